//! PREPARE, EXECUTE and DEALLOCATE PREPARE in SQL over one server: sent there as they are, so that
//! a statement is executed again rather than prepared again, and warnings come when they are due.
//!
//! The connection is not kept. If somebody else has used it when EXECUTE comes, `text_prepared`
//! runs the text that was remembered.

use std::sync::Arc;

use crate::backend::Owner;
use crate::error::SqlError;
use crate::sql::control::prepare::{Source, Using};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran};
use super::attached::Index;
use super::hold::Hold;
use super::query::Request;
use super::text_prepared::{Named, bytes};
use super::{Judges, Session};

/// What PREPARE and DEALLOCATE PREPARE are for the session: they change what it knows of.
const KNOWN: StatementKind = StatementKind::Use;

impl Session {
    /// PREPARE.
    pub(super) async fn prepare_at_server(
        &mut self,
        command: Vec<u8>,
        name: String,
        source: Source,
    ) -> Ran {
        self.prepared.has_room()?;
        let index = self.attach_for_names().await?;
        self.forget_warnings();
        let request = Request::Payload([&[code::QUERY], &command[..]].concat());
        let outcome = self.exchange(index, &request, Expect::Query).await?;
        if outcome.is_error() {
            self.attached[index].lease.named.drop(&name);
        } else {
            self.attached[index].lease.named.note(&name);
            self.learn_named(index, &command, name, source).await;
        }
        self.after_statement(index, KNOWN, Features::NONE, &outcome).await;
        Ok(Answer::Sent)
    }

    /// Remembers what was prepared.
    async fn learn_named(&mut self, index: Index, command: &[u8], name: String, source: Source) {
        let home = self.attached[index].home();
        let text: Owner = match source {
            Source::Text(text) => text.into(),
            Source::Expression(span) => {
                // It has warnings of its own to be asked for later.
                self.attached[index].held = true;
                match self.value_of(bytes(command, span)).await {
                    Ok(text) => text.into(),
                    Err(_) => return self.hold_home(home, "PREPARE"),
                }
            }
        };
        let at_home = self.attached.iter().find(|attached| attached.home() == home);
        let kind = at_home.map(|attached| attached.lease.kind().clone());
        let mut named = self.read_named(text, kind.as_ref());
        named.home = Some(home);
        self.prepared.by_name.insert(name, Arc::new(named));
    }

    /// Keeps the connection, if it is there, because only it has what was prepared.
    fn hold_home(&mut self, home: super::diagnostics::Home, reason: &'static str) {
        if let Some(index) = self.attached.iter().position(|attached| attached.home() == home) {
            self.hold(index, Hold::Lasting(reason));
        }
    }

    /// A connection for names, with those of other sessions dropped.
    async fn attach_for_names(&mut self) -> Result<Index, SqlError> {
        self.go_to_names(StatementKind::Prepare);
        let topology = self.services.topology().clone();
        let (placement, database) = self.any_server(&topology, Judges::Primary)?;
        let index = self.attach(placement, &database, false).await?;
        let session = self.registered.control().id;
        match self.attached[index].lease.own_names(session).await {
            Ok(()) => Ok(index),
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    /// The connection that has a statement under its name.
    pub(super) fn name_at_server(&mut self, name: &str, named: &Named) -> Option<Index> {
        if named.is_about_session() || self.asks_for_own(named.features) {
            return None;
        }
        let index = self.go_home(named.home?)?;
        let attached = &mut self.attached[index];
        let has = attached.lease.named.has(self.registered.control().id, name);
        if has {
            attached.held = true;
        }
        has.then_some(index)
    }

    /// The same after whoever has used it since; waits while somebody does.
    pub(super) async fn wait_for_name(&mut self, name: &str, named: &Named) -> Option<Index> {
        let home = named.home?;
        self.wait_for_home(home).await;
        let session = self.registered.control().id;
        let index = self.attached.iter().position(|attached| attached.home() == home)?;
        self.attached[index].lease.named.has(session, name).then_some(index)
    }

    /// EXECUTE where the statement was prepared.
    pub(super) async fn execute_at_server(
        &mut self,
        index: Index,
        command: Vec<u8>,
        named: &Named,
        using: &Using,
    ) -> Ran {
        if using.len() != named.params {
            return self.run_at_server(command, StatementKind::Execute).await;
        }
        let parameters: Vec<&[u8]> = using.iter().map(|span| bytes(&command, *span)).collect();
        self.note_named(named, &parameters);
        let placement = self.attached[index].placement;
        let wants_insert_id = named.features.contains(Features::LAST_INSERT_ID);
        let index = self.attach_here(placement, wants_insert_id).await?;
        let home = self.attached[index].home();
        let request = Request::Payload([&[code::QUERY], &command[..]].concat());
        let outcome = self.exchange(index, &request, Expect::Query).await?;
        named.note_executed(home, &outcome);
        // A SET with parameters has not been read: whatever it set stays with this session.
        let kind = if named.kind == StatementKind::Set { StatementKind::Other } else { named.kind };
        self.after_statement(index, kind, named.features, &outcome).await;
        Ok(Answer::Sent)
    }

    /// DEALLOCATE PREPARE of what is `known`, or was prepared by a stored procedure.
    pub(super) async fn deallocate_at_server(
        &mut self,
        command: Vec<u8>,
        name: &str,
        known: Option<&Named>,
    ) -> Ran {
        let Some(known) = known else {
            return self.run_at_server(command, StatementKind::Deallocate).await;
        };
        let session = self.registered.control().id;
        let at_home = known.home.and_then(|home| self.go_home(home));
        let index = at_home.filter(|at| self.attached[*at].lease.named.has(session, name));
        let Some(index) = index else { return Ok(Answer::ok(0)) };
        let request = Request::Payload([&[code::QUERY], &command[..]].concat());
        self.attached[index].lease.named.drop(name);
        let outcome = self.exchange(index, &request, Expect::Query).await?;
        self.after_statement(index, KNOWN, Features::NONE, &outcome).await;
        Ok(Answer::Sent)
    }

    /// A statement about a name that the session does not know.
    pub(super) async fn run_at_server(&mut self, command: Vec<u8>, kind: StatementKind) -> Ran {
        let index = self.attach_for_names().await?;
        let request = Request::Payload([&[code::QUERY], &command[..]].concat());
        let outcome = self.exchange(index, &request, Expect::Query).await?;
        if kind == StatementKind::Execute && !outcome.is_error() {
            self.hold(index, Hold::Unwipeable("EXECUTE of what a procedure has prepared"));
        }
        self.after_statement(index, kind, Features::NONE, &outcome).await;
        Ok(Answer::Sent)
    }

    /// Goes to the connection that has the session's names, for a statement that may use them.
    pub(super) fn go_to_names(&mut self, kind: StatementKind) {
        use StatementKind as Of;
        let uses =
            matches!(kind, Of::Prepare | Of::Execute | Of::Deallocate | Of::Call | Of::Compound);
        if !uses || self.prepared.by_name.is_empty() {
            return;
        }
        let homes: Vec<_> = self.prepared.by_name.values().filter_map(|named| named.home).collect();
        for home in homes {
            if let Some(index) = self.go_home(home) {
                self.attached[index].held = true;
                return;
            }
        }
    }
}
