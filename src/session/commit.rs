//! The end of a transaction on every server that takes part, and what is known of it afterwards.
//!
//! Nothing makes a commit on several servers atomic here. The first one is committed alone, while
//! all others can still be rolled back; then all others at once, so that the whole takes two round
//! trips. What is told of each shard is true: a COMMIT that broke off may have been done.

use crate::backend::{Failure, Stake};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::executor::deadline::Fate as TimedOut;
use crate::executor::together;
use crate::geo;
use crate::observe::{Outcome as Ended, TransactionMode};
use crate::sql::control::transaction::{Choice, Completion};
use crate::topology::{Role, ServerId};
use crate::wire::scanner::{Expect, Outcome};

use super::answer::{Answer, Ran, Stop};
use super::connections::Connections;
use super::diagnostics;
use super::mirror::Mirror;
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;
use super::tracking;
use super::transaction::Transaction;

/// What became of a shard's part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    NotCommitted,
    /// Its COMMIT was sent, and what the server said to it is not known or does not tell.
    Unknown,
}

/// What became of a transaction's parts, by the names of the shards.
#[derive(Debug, Default)]
struct Fates {
    committed: Vec<String>,
    not_committed: Vec<String>,
    unknown: Vec<String>,
}

/// COMMIT, or ROLLBACK, with what the client wants to happen afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Commit,
    Rollback,
}

/// What is done after a transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Another one begins that is like it.
    Chain,
    /// The session ends.
    Release,
}

/// Errors to a COMMIT after which a server has rolled back, or goes on with the transaction, which
/// is then rolled back: a deadlock or a failed certification, a server that takes no writes, and
/// a plugin that has the transaction rolled back.
const NOT_COMMITTED: [u16; 5] = [1213, 1290, 1792, 1836, 3101];

impl Fates {
    fn note(&mut self, shard: String, fate: Fate) {
        match fate {
            Fate::Committed => self.committed.push(shard),
            Fate::NotCommitted => self.not_committed.push(shard),
            Fate::Unknown => self.unknown.push(shard),
        }
    }

    fn count(&self) -> usize {
        self.committed.len() + self.not_committed.len() + self.unknown.len()
    }

    /// What the client is told, if `error` was the first one: where nothing but the one shard is in
    /// doubt it says all.
    fn error(&self, error: SqlError) -> SqlError {
        let in_doubt = !self.committed.is_empty() || !self.unknown.is_empty();
        if self.count() < 2 || !in_doubt {
            return error;
        }
        let list = |shards: &[String]| {
            if shards.is_empty() { "none".to_owned() } else { shards.join(", ") }
        };
        let why = String::from_utf8_lossy(&error.message);
        catalog::PARTIAL_COMMIT.with(&[
            &list(&self.committed),
            &list(&self.not_committed),
            &list(&self.unknown),
            &why,
        ])
    }

    fn ended(&self) -> Ended {
        match (self.not_committed.is_empty() && self.unknown.is_empty(), self.committed.is_empty())
        {
            (true, _) => Ended::Commit,
            (false, true) => Ended::Lost,
            (false, false) => Ended::Partial,
        }
    }
}

impl Mirror {
    /// What follows on a COMMIT or ROLLBACK: what it says, else `completion_type`.
    fn then(&self, completion: Completion) -> Then {
        let kind = self.completion_type();
        let wants = |written: Option<Choice>, by_kind: bool| {
            written.map_or(by_kind, |choice| choice == Choice::Yes)
        };
        if wants(completion.release, kind == Then::Release) {
            Then::Release
        } else if wants(completion.chain, kind == Then::Chain) {
            Then::Chain
        } else {
            Then::Nothing
        }
    }

    fn completion_type(&self) -> Then {
        let literal = self.settings.get("completion_type").unwrap_or_default();
        let word = literal.trim_ascii().to_ascii_uppercase();
        match word.strip_prefix(b"'").and_then(|word| word.strip_suffix(b"'")).unwrap_or(&word) {
            b"1" | b"CHAIN" => Then::Chain,
            b"2" | b"RELEASE" => Then::Release,
            _ => Then::Nothing,
        }
    }

    /// The statement that ends a transaction on a server and does nothing more.
    fn ending(&self, verb: Verb) -> &'static [u8] {
        match (verb, self.completion_type()) {
            (Verb::Commit, Then::Nothing) => b"COMMIT",
            (Verb::Rollback, Then::Nothing) => b"ROLLBACK",
            (Verb::Commit, _) => b"COMMIT AND NO CHAIN NO RELEASE",
            (Verb::Rollback, _) => b"ROLLBACK AND NO CHAIN NO RELEASE",
        }
    }
}

impl Connections {
    /// COMMIT and ROLLBACK of the client's.
    pub(super) async fn complete(&mut self, verb: Verb, completion: Completion) -> Ran {
        let was_open = self.in_transaction();
        let was_begun = matches!(self.transaction, Transaction::Open(_));
        let then = self.mirror.then(completion);
        let access = self.mirror.access_by_default(self.transaction.asked_for());
        let chained = self.transaction.chained(access);
        let result = match (verb, &self.transaction) {
            (Verb::Commit, Transaction::Broken { shard }) => {
                let error = catalog::TRANSACTION_LOST.with(&[shard]);
                self.rollback_all().await;
                Err(error)
            }
            (Verb::Commit, _) => self.commit_all().await,
            (Verb::Rollback, _) => Ok(self.rollback_all().await),
        };
        if then == Then::Chain && result.is_ok() {
            self.transaction = chained;
        }
        if self.control.pin().is_some() {
            self.publish_holds();
        }
        if was_begun || matches!(self.transaction, Transaction::Open(_)) {
            tracking::track_begun_transaction(self);
        } else if was_open {
            tracking::track_transaction(self);
        }
        let answer = Answer::completed(result?);
        match then {
            Then::Release => Err(Stop::Left(Box::new(answer))),
            Then::Chain | Then::Nothing => Ok(answer),
        }
    }

    /// Commits on every server that takes part. Gives the number of warnings.
    pub(super) async fn commit_all(&mut self) -> Result<u16, SqlError> {
        if let Transaction::Broken { shard } = &self.transaction {
            return Err(catalog::TRANSACTION_LOST.with(&[shard]));
        }
        if let Some(limit) = self.control.deadline.passed() {
            self.rollback_all().await;
            return Err(TimedOut::RolledBack.error(limit));
        }
        if let Err(error) = self.may_commit() {
            self.rollback_all().await;
            return Err(error);
        }
        let mut fates = Fates::default();
        let mut warnings = 0u16;
        let mut first_error: Option<SqlError> = None;
        // The first alone; then all others.
        for taken in [1, usize::MAX] {
            let grace = self.limits.statement_timeout_grace();
            self.control.deadline.extend(clock::now(), grace);
            let ending = self.mirror.ending(Verb::Commit);
            let parts = self.attached.iter_mut().filter(|part| part.takes_part()).take(taken);
            let ended = together::all(parts.map(|part| commit_part(part, ending))).await;
            for (server, ended) in ended {
                let Some(index) = self.index_of(server) else { continue };
                let (fate, error) = self.note_ended(index, ended, &mut warnings).await;
                fates.note(fate.0, fate.1);
                if let Some(error) = error {
                    first_error.get_or_insert(error);
                }
            }
            if first_error.is_some() {
                break;
            }
        }
        // What was not committed with the first is rolled back.
        for shard in self.participants() {
            fates.note(shard, Fate::NotCommitted);
        }
        self.roll_back_parts().await;
        self.transaction = Transaction::None { next: None };
        self.drop_held().await;
        self.count_transaction(fates.count(), fates.ended());
        match first_error {
            None => Ok(warnings),
            Some(error) => Err(fates.error(error)),
        }
    }

    /// What the end of a part means: its shard's fate, and the error if it was not committed.
    async fn note_ended(
        &mut self,
        index: ConnectionId,
        ended: Result<Outcome, Failure>,
        warnings: &mut u16,
    ) -> ((String, Fate), Option<SqlError>) {
        let attached = &mut self.attached[index];
        let shard = self.services.topology().shard_name(attached.placement.shard());
        let stake = attached.lease.stake();
        match ended {
            Ok(outcome) => {
                attached.end_transaction();
                *warnings = warnings.saturating_add(outcome.warnings);
                diagnostics::note_completion(self, index, &outcome);
                tracking::collect_tracked(self, index);
                ((shard, Fate::Committed), None)
            }
            Err(Failure::Server(error)) => {
                // The server may go on with the transaction.
                let ending = self.mirror.ending(Verb::Rollback);
                let rolled_back = self.attached[index].lease.execute(ending).await;
                self.attached[index].end_transaction();
                let known = NOT_COMMITTED.contains(&error.errno);
                let fate = if known { Fate::NotCommitted } else { Fate::Unknown };
                let error = match rolled_back {
                    Ok(_) => self.fail(index, Failure::Server(error)).await,
                    Err(failure) => {
                        let _ = self.lose(index, &failure);
                        error
                    }
                };
                ((shard, fate), Some(error))
            }
            Err(failure) => {
                let fate = if stake == Stake::Commit { Fate::Unknown } else { Fate::NotCommitted };
                ((shard, fate), Some(self.lose(index, &failure)))
            }
        }
    }

    /// Whether every server where rows were written is still the one that takes its shard's
    /// writes. Asked before the first COMMIT, while all of it can be undone.
    fn may_commit(&self) -> Result<(), SqlError> {
        let topology = self.services.topology();
        for attached in self.attached.iter().filter(|attached| attached.takes_part()) {
            let shard = attached.placement.shard();
            let name = || topology.shard_name(shard);
            if !attached.lease.is_current() {
                return Err(catalog::TRANSACTION_LOST.with(&[&name()]));
            }
            let is_primary = attached.placement.role() == Role::Primary;
            if attached.may_have_written && is_primary && topology.holders(shard).len() > 1 {
                let why = match geo::writable_primary(&topology, shard) {
                    Ok(primary) if primary.server() == attached.placement.server() => continue,
                    Ok(_) => "another server is its primary now".to_owned(),
                    Err(_) => topology.primary_problem(shard).unwrap_or_default(),
                };
                return Err(catalog::COMMIT_REFUSED.with(&[&name(), &why]));
            }
        }
        Ok(())
    }

    /// Rolls back on every server that takes part. Gives the number of warnings, which tell of
    /// tables that cannot roll back.
    pub(super) async fn rollback_all(&mut self) -> u16 {
        let servers = self.participants().len();
        let warnings = self.roll_back_parts().await;
        self.transaction = Transaction::None { next: None };
        self.drop_held().await;
        self.count_transaction(servers, Ended::Rollback);
        warnings
    }

    /// The same without an end of the transaction. A connection that fails is closed, which rolls
    /// back too.
    async fn roll_back_parts(&mut self) -> u16 {
        let ending = self.mirror.ending(Verb::Rollback);
        let parts = self.attached.iter_mut().filter(|part| part.takes_part());
        let parts = parts.map(|part| async {
            part.end_transaction();
            (part.placement.server(), part.lease.execute(ending).await)
        });
        let mut warnings = 0u16;
        for (server, ended) in together::all(parts).await {
            let Some(index) = self.index_of(server) else { continue };
            match ended {
                Ok(outcome) => {
                    warnings = warnings.saturating_add(outcome.warnings);
                    diagnostics::note_completion(self, index, &outcome);
                }
                Err(_) => drop(self.attached.remove(index)),
            }
        }
        warnings
    }

    /// Runs a statement on every server that takes part in the transaction.
    pub(super) async fn on_participants(&mut self, statement: &[u8]) -> Result<(), SqlError> {
        let parts = self.attached.iter_mut().filter(|part| part.enrolled || part.in_transaction);
        let parts = parts.map(|part| async {
            let ended = part.lease.command(0x03, statement, Expect::Query).await;
            (part.placement.server(), ended)
        });
        let mut first_error = None;
        for (server, ended) in together::all(parts).await {
            let (Err(failure), Some(index)) = (ended, self.index_of(server)) else {
                continue;
            };
            let error = self.fail(index, failure).await;
            first_error.get_or_insert(error);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The shards that take part.
    fn participants(&self) -> Vec<String> {
        let topology = self.services.topology();
        let parts = self.attached.iter().filter(|part| part.takes_part());
        parts.map(|part| topology.shard_name(part.placement.shard())).collect()
    }

    /// Counts a transaction in which so many servers took part.
    fn count_transaction(&self, servers: usize, ended: Ended) {
        let mode = match servers {
            0 => return,
            1 => TransactionMode::Single,
            _ => TransactionMode::Multi,
        };
        self.services.metrics.record_transaction(self.worker, mode, ended);
    }
}

async fn commit_part(
    part: &mut Attached,
    ending: &'static [u8],
) -> (ServerId, Result<Outcome, Failure>) {
    (part.placement.server(), part.lease.commit(ending).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fates: &[(&str, Fate)]) -> String {
        let mut all = Fates::default();
        for (shard, fate) in fates {
            all.note((*shard).to_owned(), *fate);
        }
        let error = all.error(SqlError::from_server(1213, *b"40001", "Deadlock"));
        String::from_utf8_lossy(&error.message).into_owned()
    }

    #[test]
    fn every_shard_is_named_with_what_became_of_it() {
        use Fate::{Committed, NotCommitted, Unknown};
        let partial = told(&[("a", Committed), ("b", NotCommitted), ("c", Unknown)]);
        for part in ["committed on a;", "not committed on b;", "not known on c:", "Deadlock"] {
            assert!(partial.contains(part), "{partial}");
        }
        assert!(told(&[("a", Unknown), ("b", NotCommitted)]).contains("committed on none;"));
        assert_eq!(told(&[("a", NotCommitted), ("b", NotCommitted)]), "Deadlock");
        assert_eq!(told(&[("a", Unknown)]), "Deadlock");
    }

    #[test]
    fn what_follows_is_written_or_the_sessions() {
        use crate::backend::{Names, Settings};
        use crate::sql::mode::Versions;
        let mirror = |kind: Option<&str>| {
            let mut settings = Settings::new(Names::utf8mb4());
            if let Some(kind) = kind {
                settings.set("completion_type", kind.as_bytes().to_vec());
            }
            Mirror::new(std::sync::Arc::new(settings), Versions::default())
        };
        let plain = Completion::default();
        let chain = |choice| Completion { chain: Some(choice), release: None };
        for (kind, completion, then) in [
            (None, plain, Then::Nothing),
            (None, chain(Choice::Yes), Then::Chain),
            (Some("0"), plain, Then::Nothing),
            (Some("1"), plain, Then::Chain),
            (Some("'CHAIN'"), chain(Choice::No), Then::Nothing),
            (Some("'RELEASE'"), plain, Then::Release),
            (Some("2"), Completion { chain: None, release: Some(Choice::No) }, Then::Nothing),
        ] {
            assert_eq!(mirror(kind).then(completion), then, "{kind:?} {completion:?}");
        }
        assert_eq!(mirror(None).ending(Verb::Commit), b"COMMIT");
        let explicit = mirror(Some("1"));
        assert_eq!(explicit.ending(Verb::Commit), b"COMMIT AND NO CHAIN NO RELEASE");
    }
}
