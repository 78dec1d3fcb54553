//! A small blocking MySQL client for tests, on a bare TCP stream.
//!
//! It shares no code with the proxy's own wire layer, so that a mistake there cannot hide itself,
//! and it gives tests raw control over packets: wrong sequence numbers, several commands in one
//! segment, truncated packets, leaving in the middle of a result. It does not do TLS; drivers in
//! `tests/drivers` do.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::packet::{Column, Reader, lenenc, native_scramble, sha2_scramble};

/// Capability flags that a test may add or leave out.
pub(crate) mod capability {
    /// One extra row count rule: affected rows are the rows found.
    pub(crate) const FOUND_ROWS: u32 = 1 << 1;
    /// The handshake carries a database.
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    /// The handshake carries connection attributes.
    pub(crate) const CONNECT_ATTRS: u32 = 1 << 20;
    /// LOAD DATA LOCAL INFILE is answered with the file.
    pub(crate) const LOCAL_FILES: u32 = 1 << 7;
    /// Several statements in one query packet.
    pub(crate) const MULTI_STATEMENTS: u32 = 1 << 16;
    /// Several results of one query.
    pub(crate) const MULTI_RESULTS: u32 = 1 << 17;
    /// Several results of one execution.
    pub(crate) const PS_MULTI_RESULTS: u32 = 1 << 18;
    /// State changes of the session in OK packets.
    pub(crate) const SESSION_TRACK: u32 = 1 << 23;
    /// Rows end with an OK packet instead of EOF.
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    /// Results may come without the definitions of their columns.
    pub(crate) const OPTIONAL_RESULTSET_METADATA: u32 = 1 << 25;
    /// What the test client always asks for: long password, 4.1 protocol, transactions,
    /// secure connection, plugin authentication, multiple results.
    pub(crate) const BASE: u32 = 1 | 1 << 2 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 19 | MULTI_RESULTS;
}

/// More results follow this one.
pub(crate) const SERVER_MORE_RESULTS: u16 = 8;
/// The rows are OUT parameters.
const SERVER_PS_OUT_PARAMS: u16 = 0x1000;
/// The session is inside a transaction.
pub(crate) const SERVER_IN_TRANS: u16 = 1;

/// How to log in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Account name.
    pub(crate) user: String,
    /// Its password.
    pub(crate) password: String,
    /// Database (keyspace) of the session, if any.
    pub(crate) database: Option<String>,
    /// Flags beyond [`capability::BASE`].
    pub(crate) capabilities: u32,
    /// MariaDB's extended flags, shifted down by 32.
    pub(crate) extended: u32,
    /// Flags of [`capability::BASE`] to leave out.
    pub(crate) without: u32,
    /// The number of the collation that the client asks for.
    pub(crate) collation: u8,
    /// Connection attributes; names and values are short.
    pub(crate) attributes: Vec<(String, String)>,
    /// A plugin that it begins with, as client libraries do that were told one (`--default-auth`):
    /// it answers nothing and waits to be asked.
    pub(crate) default_auth: Option<&'static str>,
}

/// What the client sends when a server asks for a file: one piece, so many times.
#[derive(Clone, Debug)]
pub(crate) struct LocalFile {
    /// Payload of each packet.
    pub(crate) piece: Vec<u8>,
    /// Number of packets.
    pub(crate) count: usize,
}

impl Login {
    /// The account that every test server and proxy knows.
    pub(crate) fn test(database: &str) -> Self {
        Self {
            user: "test".into(),
            password: "test".into(),
            database: (!database.is_empty()).then(|| database.into()),
            capabilities: capability::DEPRECATE_EOF,
            extended: 0,
            without: 0,
            collation: 45,
            attributes: Vec::new(),
            default_auth: None,
        }
    }
}

/// An error packet of the server, or a broken connection.
#[derive(Debug)]
pub(crate) enum Error {
    /// The server answered ERR.
    Server { errno: u16, sqlstate: String, message: String },
    /// The connection broke, or the peer said something that is not the protocol.
    Io(io::Error),
}

impl Error {
    /// The server's error number; 0 for a broken connection.
    pub(crate) fn errno(&self) -> u16 {
        match self {
            Self::Server { errno, .. } => *errno,
            Self::Io(_) => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { errno, sqlstate, message } => {
                write!(f, "ERROR {errno} ({sqlstate}): {message}")
            }
            Self::Io(error) => write!(f, "connection: {error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A value as text, or NULL.
pub(crate) type Value = Option<Vec<u8>>;

/// One result: either rows with their columns, or counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Column definitions; empty for statements without rows.
    pub(crate) columns: Vec<Column>,
    /// Rows; values of the binary protocol are turned into text.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Affected rows of the final packet.
    pub(crate) affected: u64,
    /// Last insert id of the final packet.
    pub(crate) last_insert_id: u64,
    /// Warning count of the final packet.
    pub(crate) warnings: u16,
    /// Status flags of the final packet.
    pub(crate) status: u16,
    /// Info text of the final packet.
    pub(crate) info: String,
}

impl Answer {
    /// The rows as text, NULL written `NULL`, for assertions.
    pub(crate) fn texts(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(|row| row.iter().map(text).collect()).collect()
    }

    /// The first value of the first row as text.
    pub(crate) fn scalar(&self) -> String {
        self.rows.first().and_then(|row| row.first()).map(text).unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    match value {
        None => "NULL".into(),
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// VARCHAR in the connection's charset.
    Text(Vec<u8>),
}

/// A statement that the server has prepared.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The server's id.
    pub(crate) id: u32,
    /// Number of placeholders.
    pub(crate) parameters: u16,
}

/// A logged-in connection.
pub(crate) struct Client {
    stream: TcpStream,
    sequence: u8,
    capabilities: u32,
    /// Connection id from the greeting.
    pub(crate) connection_id: u32,
    /// Version text from the greeting.
    pub(crate) server_version: String,
    /// The short packets read since the last command, as they came.
    pub(crate) recorded: Vec<Vec<u8>>,
    /// What it sends as a file; `None` for no file, which is an empty packet.
    pub(crate) local_file: Option<LocalFile>,
}

/// Longer packets are not recorded.
const RECORDED_MAX: usize = 1 << 16;

impl Client {
    /// Connects and logs in; every read and write has a deadline of 30 seconds.
    pub(crate) fn connect(address: SocketAddr, login: &Login) -> Result<Self, Error> {
        Self::over(TcpStream::connect_timeout(&address, Duration::from_secs(5))?, login)
    }

    /// The same on a stream that is connected.
    pub(crate) fn over(stream: TcpStream, login: &Login) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Self {
            stream,
            sequence: 0,
            capabilities: 0,
            connection_id: 0,
            server_version: String::new(),
            recorded: Vec::new(),
            local_file: None,
        };
        client.log_in(login)?;
        Ok(client)
    }

    /// The stream of a client that is logged in, for other ways to drive it.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Runs a text query and returns its first result; further results are read and dropped.
    pub(crate) fn query(&mut self, sql: impl AsRef<[u8]>) -> Result<Answer, Error> {
        let mut all = self.query_all(sql)?;
        Ok(all.swap_remove(0))
    }

    /// Runs a text query and returns all its results.
    pub(crate) fn query_all(&mut self, sql: impl AsRef<[u8]>) -> Result<Vec<Answer>, Error> {
        self.command(0x03, sql.as_ref())?;
        let mut answers = vec![self.read_answer(false)?];
        while answers.last().is_some_and(|last| last.status & SERVER_MORE_RESULTS != 0) {
            answers.push(self.read_answer(false)?);
        }
        Ok(answers)
    }

    /// Prepares a statement.
    pub(crate) fn prepare(&mut self, sql: impl AsRef<[u8]>) -> Result<Prepared, Error> {
        self.command(0x16, sql.as_ref())?;
        let packet = self.read_reply()?;
        let mut reader = Reader::new(&packet[1..]);
        let prepared = {
            let id = reader.u32()?;
            let columns = reader.u16()?;
            let parameters = reader.u16()?;
            reader.take(3)?;
            let described = is_described(reader.rest());
            for count in [parameters, columns] {
                for _ in 0..if described { count } else { 0 } {
                    self.read_packet()?;
                }
                if count > 0 && self.capabilities & capability::DEPRECATE_EOF == 0 {
                    self.read_packet()?;
                }
            }
            Prepared { id, parameters }
        };
        Ok(prepared)
    }

    /// Executes a prepared statement.
    pub(crate) fn execute(
        &mut self,
        statement: &Prepared,
        parameters: &[Parameter],
    ) -> Result<Answer, Error> {
        let mut body = statement.id.to_le_bytes().to_vec();
        body.extend_from_slice(&[0, 1, 0, 0, 0]);
        if !parameters.is_empty() {
            let (mut nulls, mut types) = (vec![0_u8; parameters.len().div_ceil(8)], Vec::new());
            let mut values = Vec::new();
            for (at, parameter) in parameters.iter().enumerate() {
                let kind = match parameter {
                    Parameter::Null => {
                        nulls[at / 8] |= 1 << (at % 8);
                        6
                    }
                    Parameter::Int(number) => {
                        values.extend_from_slice(&number.to_le_bytes());
                        8
                    }
                    Parameter::Text(text) => {
                        lenenc(&mut values, text);
                        0xfd
                    }
                };
                types.extend_from_slice(&[kind, 0]);
            }
            body.extend_from_slice(&nulls);
            body.push(1);
            body.extend_from_slice(&types);
            body.extend_from_slice(&values);
        }
        self.command(0x17, &body)?;
        self.read_answer(true)
    }

    /// Closes a prepared statement; the server does not answer.
    pub(crate) fn close(&mut self, statement: &Prepared) -> Result<(), Error> {
        self.command(0x19, &statement.id.to_le_bytes())
    }

    /// `COM_PING`.
    pub(crate) fn ping(&mut self) -> Result<(), Error> {
        self.command(0x0e, b"")?;
        self.read_reply().map(drop)
    }

    /// `COM_RESET_CONNECTION`.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        self.command(0x1f, b"")?;
        self.read_reply().map(drop)
    }

    /// `COM_INIT_DB`.
    pub(crate) fn use_database(&mut self, name: &str) -> Result<(), Error> {
        self.command(0x02, name.as_bytes())?;
        self.read_reply().map(drop)
    }

    /// Sends a command packet with sequence number 0; nothing is read.
    pub(crate) fn command(&mut self, command: u8, body: &[u8]) -> Result<(), Error> {
        let mut payload = vec![command];
        payload.extend_from_slice(body);
        self.sequence = 0;
        self.recorded.clear();
        self.write_packet(&payload)
    }

    /// Sends bytes as they are: broken packets, several commands in one segment.
    pub(crate) fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes)?;
        Ok(())
    }

    /// Reads one packet (chunks of 16 MiB joined), without looking into it.
    pub(crate) fn read_packet(&mut self) -> Result<Vec<u8>, Error> {
        let mut payload = Vec::new();
        loop {
            let mut header = [0; 4];
            self.stream.read_exact(&mut header)?;
            let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            self.sequence = header[3].wrapping_add(1);
            let start = payload.len();
            payload.resize(start + length, 0);
            self.stream.read_exact(&mut payload[start..])?;
            if length < 0xff_ffff {
                if payload.len() <= RECORDED_MAX {
                    let sequence = [self.sequence.wrapping_sub(1)];
                    self.recorded.push([&sequence, &payload[..]].concat());
                }
                return Ok(payload);
            }
        }
    }

    /// Reads one packet and turns ERR into an error.
    pub(crate) fn read_reply(&mut self) -> Result<Vec<u8>, Error> {
        let packet = self.read_packet()?;
        match packet.first() {
            Some(0xff) => Err(server_error(&packet)?),
            Some(_) => Ok(packet),
            None => Err(malformed("an empty packet")),
        }
    }

    /// The stream below, to close one direction or to change deadlines.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads one result after a command has been sent; `binary` after an execute.
    pub(crate) fn read_answer(&mut self, binary: bool) -> Result<Answer, Error> {
        let mut packet = self.read_reply()?;
        if packet[0] == 0xfb {
            if let Some(LocalFile { piece, count }) = self.local_file.clone() {
                for _ in 0..count {
                    self.write_packet(&piece)?;
                }
            }
            self.write_packet(b"")?;
            packet = self.read_reply()?;
        }
        if packet[0] == 0 {
            return Ok(self.final_packet(&packet)?);
        }
        let mut reader = Reader::new(&packet);
        let count = reader.lenenc_int()?;
        let described = is_described(reader.rest());
        let mut columns = Vec::new();
        for _ in 0..if described { count } else { 0 } {
            columns.push(Column::read(&self.read_packet()?)?);
        }
        let deprecate_eof = self.capabilities & capability::DEPRECATE_EOF != 0;
        // MySQL says only here that an OK follows OUT parameters.
        let mut more = 0;
        if !deprecate_eof {
            let eof = self.read_packet()?;
            let status = Reader::new(eof.get(3..).unwrap_or_default()).u16()?;
            if status & SERVER_PS_OUT_PARAMS != 0 {
                more = status & SERVER_MORE_RESULTS;
            }
        }
        let mut rows = Vec::new();
        loop {
            let packet = self.read_reply()?;
            if packet[0] == 0xfe && packet.len() < 0xff_ffff && (deprecate_eof || packet.len() < 9)
            {
                let mut answer = self.final_packet(&packet)?;
                answer.status |= more;
                answer.columns = columns;
                answer.rows = rows;
                return Ok(answer);
            }
            let mut reader = Reader::new(&packet);
            rows.push(match (binary, described) {
                (false, _) => reader.text_row(count as usize)?,
                (true, true) => reader.binary_row(&columns)?,
                // Only who knows the types can read them.
                (true, false) => vec![Some(packet.clone())],
            });
        }
    }

    fn final_packet(&self, packet: &[u8]) -> io::Result<Answer> {
        let mut reader = Reader::new(&packet[1..]);
        let mut answer = Answer::default();
        if packet[0] == 0xfe && self.capabilities & capability::DEPRECATE_EOF == 0 {
            answer.warnings = reader.u16()?;
            answer.status = reader.u16()?;
            return Ok(answer);
        }
        answer.affected = reader.lenenc_int()?;
        answer.last_insert_id = reader.lenenc_int()?;
        answer.status = reader.u16()?;
        answer.warnings = reader.u16()?;
        if !reader.rest().is_empty() {
            answer.info = String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned();
        }
        Ok(answer)
    }

    /// Sends a packet with the next sequence number.
    pub(crate) fn write_packet(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut out = Vec::with_capacity(payload.len() + 8);
        let mut chunks = payload.chunks(0xff_ffff).collect::<Vec<_>>();
        if payload.len().is_multiple_of(0xff_ffff) {
            chunks.push(&[]);
        }
        for chunk in chunks {
            out.extend_from_slice(&(chunk.len() as u32).to_le_bytes()[..3]);
            out.push(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
            out.extend_from_slice(chunk);
        }
        self.stream.write_all(&out)?;
        Ok(())
    }

    fn log_in(&mut self, login: &Login) -> Result<(), Error> {
        let greeting = self.read_reply()?;
        let mut reader = Reader::new(&greeting);
        reader.u8()?;
        self.server_version = String::from_utf8_lossy(reader.until_zero()?).into_owned();
        self.connection_id = reader.u32()?;
        let mut scramble = reader.take(8)?.to_vec();
        reader.take(1 + 2 + 1 + 2 + 2 + 1 + 10)?;
        scramble.extend_from_slice(reader.take(12)?);
        self.capabilities = (capability::BASE | login.capabilities) & !login.without;
        let mut payload = Vec::new();
        if login.database.is_some() {
            self.capabilities |= capability::CONNECT_WITH_DB;
        }
        if !login.attributes.is_empty() {
            self.capabilities |= capability::CONNECT_ATTRS;
        }
        // Extended flags count only without MySQL's first one.
        let first = u32::from(login.extended != 0);
        payload.extend_from_slice(&(self.capabilities & !first).to_le_bytes());
        payload.extend_from_slice(&(1_u32 << 30).to_le_bytes());
        payload.push(login.collation);
        payload.extend_from_slice(&[0; 19]);
        payload.extend_from_slice(&login.extended.to_le_bytes());
        payload.extend_from_slice(login.user.as_bytes());
        payload.push(0);
        let answer = match login.default_auth {
            Some(_) => Vec::new(),
            None => native_scramble(&login.password, &scramble),
        };
        lenenc(&mut payload, &answer);
        if let Some(database) = &login.database {
            payload.extend_from_slice(database.as_bytes());
            payload.push(0);
        }
        payload.extend_from_slice(login.default_auth.unwrap_or("mysql_native_password").as_bytes());
        payload.push(0);
        if !login.attributes.is_empty() {
            let mut attributes = Vec::new();
            for (name, value) in &login.attributes {
                lenenc(&mut attributes, name.as_bytes());
                lenenc(&mut attributes, value.as_bytes());
            }
            lenenc(&mut payload, &attributes);
        }
        self.write_packet(&payload)?;
        self.finish_log_in(login)
    }

    /// Answers what the server asks until it says OK; also after COM_CHANGE_USER.
    pub(crate) fn finish_log_in(&mut self, login: &Login) -> Result<(), Error> {
        loop {
            let packet = self.read_reply()?;
            match packet[0] {
                0 => return Ok(()),
                0xfe => {
                    let mut reader = Reader::new(&packet[1..]);
                    let plugin = reader.until_zero()?;
                    let rest = reader.rest();
                    let scramble = rest.strip_suffix(&[0]).unwrap_or(rest);
                    let reply = match plugin {
                        b"mysql_native_password" => native_scramble(&login.password, scramble),
                        b"caching_sha2_password" => sha2_scramble(&login.password, scramble),
                        _ => return Err(malformed("an authentication plugin that is not known")),
                    };
                    self.write_packet(&reply)?;
                }
                1 if packet.get(1) == Some(&3) => {}
                1 => return Err(malformed("full sha2 authentication, which needs TLS")),
                _ => return Err(malformed("a strange packet during login")),
            }
        }
    }
}

/// What stands behind a number of columns where OPTIONAL_RESULTSET_METADATA was agreed on: whether
/// their definitions follow.
fn is_described(rest: &[u8]) -> bool {
    rest != [0]
}

fn malformed(what: &str) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::InvalidData, format!("the peer sent {what}")))
}

fn server_error(packet: &[u8]) -> Result<Error, Error> {
    let mut reader = Reader::new(&packet[1..]);
    let errno = reader.u16()?;
    let mut rest = reader.rest();
    let mut sqlstate = String::new();
    if rest.first() == Some(&b'#') && rest.len() >= 6 {
        sqlstate = String::from_utf8_lossy(&rest[1..6]).into_owned();
        rest = &rest[6..];
    }
    Ok(Error::Server { errno, sqlstate, message: String::from_utf8_lossy(rest).into_owned() })
}
