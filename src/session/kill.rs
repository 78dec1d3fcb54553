//! KILL and COM_PROCESS_KILL, with the ids of the proxy's own sessions. In front of one server the
//! id of a session's connection there means the session, too: that is what a client reads from
//! `information_schema.processlist`.
//!
//! The answers are those of MariaDB: who is killed while it runs a statement or waits sees the
//! connection close, who kills itself is told.

use std::sync::Arc;

use crate::error::{Origin, SqlError};
use crate::executor::registry::{Control, Interrupt};
use crate::sql::control::kill::{Kill, KillId, KillTarget};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::answer::{Answer, Ran, Stop, Way, Went};
use super::query::Request;
use super::{Judges, Session};

impl Session {
    /// KILL.
    pub(super) async fn kill_statement(&mut self, request: &Request, kill: Kill) -> Went {
        let id = match kill.id {
            KillId::Number(id) => id,
            KillId::Own => u64::from(self.registered.control().id),
            KillId::Expression(span) => {
                let text = request.text(&self.client).to_vec();
                let expression = text.get(span.start as usize..span.end as usize);
                match self.work_out(expression.unwrap_or_default()).await {
                    Ok(id) => id,
                    // The server has an error of its own for it.
                    Err(error)
                        if error.origin == Origin::Server
                            && self.services.topology().single_server().is_some() =>
                    {
                        return Ok(Way::Servers(StatementKind::Kill, Features::NONE));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        self.client.drop_command();
        self.kill(kill.target, id).await.map(Way::Answered)
    }

    /// The value of an expression without tables; 0 if it is no number.
    async fn work_out(&mut self, expression: &[u8]) -> Result<u64, SqlError> {
        if self.scan.features().contains(Features::CONNECTION_ID) {
            let what = "KILL with an expression around CONNECTION_ID()";
            return Err(crate::error::catalog::UNSUPPORTED.advising(&[&what], "write the number"));
        }
        let topology = self.services.topology().clone();
        let (placement, database) = self.any_server(&topology, Judges::Any)?;
        let index = self.attach(placement, &database, false).await?;
        let question = [b"SELECT ", expression].concat();
        let rows = match self.attached[index].lease.rows(&question).await {
            Ok(rows) => rows,
            Err(failure) => return Err(self.fail(index, failure).await),
        };
        self.leave_behind_partly(index, false).await;
        self.settle_quietly(index).await;
        let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        let text = String::from_utf8(cell.unwrap_or_default()).unwrap_or_default();
        Ok(text.parse().unwrap_or_default())
    }

    /// The session of an id: of the proxy, or of its connection to the only server.
    fn victim(&self, id: u32) -> Option<Arc<Control>> {
        let registry = &self.services.registry;
        registry.find(id).or_else(|| {
            let only = self.services.topology().servers().len() == 1;
            only.then(|| registry.find_by_thread(id)).flatten()
        })
    }

    /// Interrupts a session, or the statement that it runs.
    pub(super) async fn kill(&mut self, target: KillTarget, id: u64) -> Ran {
        let found = u32::try_from(id).ok().and_then(|id| self.victim(id));
        let Some(victim) = found else {
            let error = SqlError::from_server(1094, *b"HY000", format!("Unknown thread id: {id}"));
            return Err(error.into());
        };
        // Everyone may end his own sessions.
        let operator = self.services.accounts.is_operator(&self.login.user);
        if *victim.user() != *self.login.user && !operator {
            let text = format!("You are not owner of thread {id}");
            return Err(SqlError::from_server(1095, *b"HY000", text).into());
        }
        let own = victim.id == self.registered.control().id;
        match (target, own) {
            (KillTarget::Query, true) => {
                let text = "Query execution was interrupted";
                let error = SqlError::from_server(1317, *b"70100", text);
                return Err(error.into());
            }
            (KillTarget::Connection, true) => {
                let error = SqlError::from_server(1927, *b"70100", "Connection was killed");
                return Err(Stop::fatal(error));
            }
            (KillTarget::Query, false) => victim.kill_query().await,
            (KillTarget::Connection, false) => victim.raise(Interrupt::Connection),
        }
        Ok(Answer::ok(0))
    }
}
