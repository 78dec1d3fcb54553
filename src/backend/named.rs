//! Statements that a session has prepared by name (PREPARE in SQL) and that a connection still has.
//!
//! They are of use to that session only, and only until another one prepares names there or the
//! connection is reset. So they keep no connection; who finds them gone prepares them again.

use super::connection::{Connection, Failure};

/// The names on one connection; all are of one session.
#[derive(Debug, Default)]
pub struct NamedStatements {
    session: u32,
    names: Vec<String>,
}

impl NamedStatements {
    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the session has prepared a statement of this name here.
    pub fn has(&self, session: u32, name: &str) -> bool {
        self.session == session && self.names.iter().any(|known| known == name)
    }

    /// Notes a PREPARE of the session to which [`Connection::own_names`] has given the names.
    pub fn note(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Notes a DEALLOCATE PREPARE.
    pub fn drop(&mut self, name: &str) {
        self.names.retain(|known| known != name);
    }
}

impl Connection {
    /// Makes the names the session's: those of another one are dropped.
    pub async fn own_names(&mut self, session: u32) -> Result<(), Failure> {
        if self.named.session != session {
            while let Some(name) = self.named.names.last() {
                let sql = format!("DEALLOCATE PREPARE `{}`", name.replace('`', "``"));
                match self.execute(sql.as_bytes()).await {
                    // A stored procedure may have dropped it.
                    Ok(_) | Err(Failure::Server(_)) => self.named.names.pop(),
                    Err(failure) => return Err(failure),
                };
            }
            self.named.session = session;
        }
        Ok(())
    }
}
