//! Commands: what a client asks for in the first packet of an exchange.
//!
//! Protocol page: MySQL "Command Phase" (`page_protocol_command_phase`), MariaDB "Text Protocol",
//! "Binary Protocol". COM_CHANGE_USER's body is read by [`super::handshake::ChangeUser`],
//! COM_STMT_EXECUTE's by [`super::statement::Execute`].

use super::cursor::{Cursor, Malformed};
use super::encode::{put_u16, put_u32};

/// The command byte of each command.
pub mod code {
    /// COM_QUIT.
    pub const QUIT: u8 = 0x01;
    /// COM_INIT_DB.
    pub const INIT_DB: u8 = 0x02;
    /// COM_QUERY.
    pub const QUERY: u8 = 0x03;
    /// COM_FIELD_LIST.
    pub const FIELD_LIST: u8 = 0x04;
    /// COM_REFRESH.
    pub const REFRESH: u8 = 0x07;
    /// COM_STATISTICS.
    pub const STATISTICS: u8 = 0x09;
    /// COM_PROCESS_INFO.
    pub const PROCESS_INFO: u8 = 0x0a;
    /// COM_PROCESS_KILL.
    pub const PROCESS_KILL: u8 = 0x0c;
    /// COM_DEBUG.
    pub const DEBUG: u8 = 0x0d;
    /// COM_PING.
    pub const PING: u8 = 0x0e;
    /// COM_CHANGE_USER.
    pub const CHANGE_USER: u8 = 0x11;
    /// COM_BINLOG_DUMP.
    pub const BINLOG_DUMP: u8 = 0x12;
    /// COM_STMT_PREPARE.
    pub const STMT_PREPARE: u8 = 0x16;
    /// COM_STMT_EXECUTE.
    pub const STMT_EXECUTE: u8 = 0x17;
    /// COM_STMT_SEND_LONG_DATA.
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    /// COM_STMT_CLOSE.
    pub const STMT_CLOSE: u8 = 0x19;
    /// COM_STMT_RESET.
    pub const STMT_RESET: u8 = 0x1a;
    /// COM_SET_OPTION.
    pub const SET_OPTION: u8 = 0x1b;
    /// COM_STMT_FETCH.
    pub const STMT_FETCH: u8 = 0x1c;
    /// COM_RESET_CONNECTION.
    pub const RESET_CONNECTION: u8 = 0x1f;
    /// COM_STMT_BULK_EXECUTE (MariaDB).
    pub const STMT_BULK_EXECUTE: u8 = 0xfa;
}

/// A command as a client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The client goes; there is no answer.
    Quit,
    /// Changes the current database.
    InitDb(&'a [u8]),
    /// A statement as text.
    Query(&'a [u8]),
    /// Lists a table's columns that match a pattern.
    FieldList {
        /// Table name.
        table: &'a [u8],
        /// LIKE pattern; may be empty.
        pattern: &'a [u8],
    },
    /// Asks for one line of statistics.
    Statistics,
    /// Kills a connection.
    ProcessKill(u32),
    /// Asks the server to write debug information to its log.
    Debug,
    /// Asks whether the server lives.
    Ping,
    /// Logs in anew; the payload, command byte included, for [`super::handshake::ChangeUser`].
    ChangeUser(&'a [u8]),
    /// Resets the session without logging in anew.
    ResetConnection,
    /// Switches multi-statements.
    SetOption(MultiStatements),
    /// Prepares a statement.
    StmtPrepare(&'a [u8]),
    /// Executes a prepared statement; the payload, command byte included.
    StmtExecute(&'a [u8]),
    /// Sends a piece of a parameter; there is no answer.
    StmtSendLongData {
        /// Statement id.
        id: u32,
        /// Parameter number, from 0.
        param: u16,
        /// The piece.
        data: &'a [u8],
    },
    /// Closes a prepared statement; there is no answer.
    StmtClose(u32),
    /// Drops long data and the cursor of a prepared statement.
    StmtReset(u32),
    /// Fetches rows from a cursor.
    StmtFetch {
        /// Statement id.
        id: u32,
        /// Rows at most.
        rows: u32,
    },
    /// Executes a prepared statement with many rows of parameters (MariaDB); the payload, command
    /// byte included.
    StmtBulkExecute(&'a [u8]),
    /// A command that this proxy does not know; its command byte.
    Unknown(u8),
}

/// Whether a COM_QUERY may hold several statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiStatements {
    /// It may.
    On,
    /// It may not.
    Off,
}

/// Whether a command is answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The server sends an answer.
    Yes,
    /// The server sends nothing.
    No,
}

impl Command<'_> {
    /// The command without the bytes that it carries, so that these can be dropped.
    pub fn detached(&self) -> Command<'static> {
        match *self {
            Self::Quit => Command::Quit,
            Self::InitDb(_) => Command::InitDb(b""),
            Self::Query(_) => Command::Query(b""),
            Self::FieldList { .. } => Command::FieldList { table: b"", pattern: b"" },
            Self::Statistics => Command::Statistics,
            Self::ProcessKill(id) => Command::ProcessKill(id),
            Self::Debug => Command::Debug,
            Self::Ping => Command::Ping,
            Self::ChangeUser(_) => Command::ChangeUser(b""),
            Self::ResetConnection => Command::ResetConnection,
            Self::SetOption(option) => Command::SetOption(option),
            Self::StmtPrepare(_) => Command::StmtPrepare(b""),
            Self::StmtExecute(_) => Command::StmtExecute(b""),
            Self::StmtSendLongData { id, param, .. } => {
                Command::StmtSendLongData { id, param, data: b"" }
            }
            Self::StmtClose(id) => Command::StmtClose(id),
            Self::StmtReset(id) => Command::StmtReset(id),
            Self::StmtFetch { id, rows } => Command::StmtFetch { id, rows },
            Self::StmtBulkExecute(_) => Command::StmtBulkExecute(b""),
            Self::Unknown(code) => Command::Unknown(code),
        }
    }
}

impl<'a> Command<'a> {
    /// Reads a command's payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let command = cursor.u8().map_err(|_| Malformed::new("a command", 0))?;
        Ok(match command {
            code::QUIT => Self::Quit,
            code::INIT_DB => Self::InitDb(cursor.rest()),
            code::QUERY => Self::Query(cursor.rest()),
            code::FIELD_LIST => {
                Self::FieldList { table: cursor.nul_bytes_or_rest(), pattern: cursor.rest() }
            }
            code::STATISTICS => Self::Statistics,
            code::PROCESS_KILL => Self::ProcessKill(cursor.u32()?),
            code::DEBUG => Self::Debug,
            code::PING => Self::Ping,
            code::CHANGE_USER => Self::ChangeUser(payload),
            code::RESET_CONNECTION => Self::ResetConnection,
            code::SET_OPTION => match cursor.u16()? {
                0 => Self::SetOption(MultiStatements::On),
                1 => Self::SetOption(MultiStatements::Off),
                _ => Self::Unknown(code::SET_OPTION),
            },
            code::STMT_PREPARE => Self::StmtPrepare(cursor.rest()),
            code::STMT_EXECUTE => Self::StmtExecute(payload),
            code::STMT_SEND_LONG_DATA => Self::StmtSendLongData {
                id: cursor.u32()?,
                param: cursor.u16()?,
                data: cursor.rest(),
            },
            code::STMT_CLOSE => Self::StmtClose(cursor.u32()?),
            code::STMT_RESET => Self::StmtReset(cursor.u32()?),
            code::STMT_FETCH => Self::StmtFetch { id: cursor.u32()?, rows: cursor.u32()? },
            code::STMT_BULK_EXECUTE => Self::StmtBulkExecute(payload),
            unknown => Self::Unknown(unknown),
        })
    }

    /// Whether the server answers this command.
    pub const fn answered(&self) -> Answered {
        match self {
            Self::Quit | Self::StmtSendLongData { .. } | Self::StmtClose(_) => Answered::No,
            _ => Answered::Yes,
        }
    }

    /// Appends the command's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Quit => out.push(code::QUIT),
            Self::InitDb(name) => put_text(out, code::INIT_DB, name),
            Self::Query(text) => put_text(out, code::QUERY, text),
            Self::FieldList { table, pattern } => {
                put_text(out, code::FIELD_LIST, table);
                out.push(0);
                out.extend_from_slice(pattern);
            }
            Self::Statistics => out.push(code::STATISTICS),
            Self::ProcessKill(id) => put_id(out, code::PROCESS_KILL, id),
            Self::Debug => out.push(code::DEBUG),
            Self::Ping => out.push(code::PING),
            Self::ChangeUser(payload)
            | Self::StmtExecute(payload)
            | Self::StmtBulkExecute(payload) => {
                out.extend_from_slice(payload);
            }
            Self::ResetConnection => out.push(code::RESET_CONNECTION),
            Self::SetOption(multi) => {
                out.push(code::SET_OPTION);
                put_u16(out, u16::from(multi == MultiStatements::Off));
            }
            Self::StmtPrepare(text) => put_text(out, code::STMT_PREPARE, text),
            Self::StmtSendLongData { id, param, data } => {
                put_id(out, code::STMT_SEND_LONG_DATA, id);
                put_u16(out, param);
                out.extend_from_slice(data);
            }
            Self::StmtClose(id) => put_id(out, code::STMT_CLOSE, id),
            Self::StmtReset(id) => put_id(out, code::STMT_RESET, id),
            Self::StmtFetch { id, rows } => {
                put_id(out, code::STMT_FETCH, id);
                put_u32(out, rows);
            }
            Self::Unknown(command) => out.push(command),
        }
    }
}

fn put_text(out: &mut Vec<u8>, command: u8, text: &[u8]) {
    out.push(command);
    out.extend_from_slice(text);
}

fn put_id(out: &mut Vec<u8>, command: u8, id: u32) {
    out.push(command);
    put_u32(out, id);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_come_back() {
        let commands = [
            Command::Quit,
            Command::InitDb(b"shop"),
            Command::Query(b"SELECT 1"),
            Command::FieldList { table: b"t", pattern: b"%" },
            Command::Statistics,
            Command::ProcessKill(7),
            Command::Debug,
            Command::Ping,
            Command::ChangeUser(b"\x11root\0"),
            Command::ResetConnection,
            Command::SetOption(MultiStatements::On),
            Command::SetOption(MultiStatements::Off),
            Command::StmtPrepare(b"SELECT ?"),
            Command::StmtBulkExecute(b"\xfa\x01\0\0\0\x80\0\x03\0"),
            Command::StmtExecute(b"\x17\x01\0\0\0\0\x01\0\0\0"),
            Command::StmtSendLongData { id: 1, param: 2, data: b"piece" },
            Command::StmtClose(1),
            Command::StmtReset(1),
            Command::StmtFetch { id: 1, rows: 100 },
            Command::Unknown(0x1d),
        ];
        for command in commands {
            let mut out = Vec::new();
            command.encode(&mut out);
            assert_eq!(Command::parse(&out), Ok(command));
        }
    }

    #[test]
    fn short_commands_are_refused() {
        assert!(Command::parse(&[]).is_err());
        assert!(Command::parse(&[code::STMT_CLOSE, 1, 2]).is_err());
        let unknown = Command::parse(&[code::SET_OPTION, 2, 0]);
        assert_eq!(unknown, Ok(Command::Unknown(code::SET_OPTION)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Command::parse(&bytes);
        }
    }
}
