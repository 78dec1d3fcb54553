//! How many prepared statements a session has used, for SHOW STATUS: the server's counters are
//! those of its connections, on which Geogate keeps statements prepared for other sessions, too.

use crate::sql::control::prepare::Prepared;
use crate::wire::command::Command;

/// The counters of a session, from its login or its last reset.
#[derive(Debug, Default)]
pub(super) struct StatementCounts {
    prepare: u64,
    execute: u64,
    /// A close counts if there is something to close.
    pub(super) close: u64,
    reset: u64,
    fetch: u64,
    long_data: u64,
}

impl StatementCounts {
    /// The counter of a status variable.
    pub(super) fn named(&self, variable: &[u8]) -> Option<u64> {
        Some(match variable {
            b"Com_stmt_prepare" => self.prepare,
            b"Com_stmt_execute" => self.execute,
            b"Com_stmt_close" => self.close,
            b"Com_stmt_reset" => self.reset,
            b"Com_stmt_fetch" => self.fetch,
            b"Com_stmt_send_long_data" => self.long_data,
            _ => return None,
        })
    }

    /// Counts an execution of one set of parameters.
    pub(super) fn execution(&mut self) {
        self.execute += 1;
    }

    /// Counts another command.
    pub(super) fn command(&mut self, command: &Command<'_>) {
        let counter = match command {
            Command::StmtPrepare(_) => &mut self.prepare,
            Command::StmtBulkExecute(_) => &mut self.execute,
            Command::StmtReset(_) => &mut self.reset,
            Command::StmtFetch { .. } => &mut self.fetch,
            Command::StmtSendLongData { .. } => &mut self.long_data,
            _ => return,
        };
        *counter += 1;
    }

    /// Counts a statement of text, as servers do. `is_known`: its name is one already.
    pub(super) fn text(&mut self, statement: &Prepared, is_known: bool) {
        match statement {
            Prepared::Prepare { .. } => {
                self.prepare += 1;
                self.close += u64::from(is_known);
            }
            Prepared::Execute { .. } => self.execute += u64::from(is_known),
            Prepared::Immediate { .. } => {
                self.prepare += 1;
                self.execute += 1;
                self.close += 1;
            }
            Prepared::Deallocate(_) => self.close += u64::from(is_known),
        }
    }
}
