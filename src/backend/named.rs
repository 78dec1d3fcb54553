//! Statements that a session has prepared by name (PREPARE in SQL) and that a connection still has.
//!
//! They are of use to that session only, and only until another one prepares names there or the
//! connection is reset. So they keep no connection; who finds them gone prepares them again.

use super::exchange::{Exchange, Failure};

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

    /// Notes a PREPARE of the session that has [its own names](super::Connection::own_names) here.
    pub fn note(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Notes a DEALLOCATE PREPARE.
    pub fn drop(&mut self, name: &str) {
        self.names.retain(|known| known != name);
    }

    /// Makes the names the session's: those of another one are dropped.
    pub(super) async fn give_to(
        &mut self,
        session: u32,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        if self.session != session {
            while let Some(name) = self.names.last() {
                let sql = format!("DEALLOCATE PREPARE `{}`", name.replace('`', "``"));
                match exchange.execute(sql.as_bytes()).await {
                    // A stored procedure may have dropped it.
                    Ok(_) | Err(Failure::Server(_)) => self.names.pop(),
                    Err(failure) => return Err(failure),
                };
            }
            self.session = session;
        }
        Ok(())
    }
}
