//! What a session asks of its reads, and which server therefore answers a statement.
//!
//! A statement in a transaction, or one that needs what a connection remembers, goes where the
//! session is already. Anything else is placed by `geo` with the session's level and region, or
//! with those of a `/*vt+ .. */` hint.

use crate::backend::Stake;
use crate::config::ConsistentSnapshot;
use crate::error::{Origin, SqlError, catalog};
use crate::geo::{self, Access, Consistency, Leaving, Placement};
use crate::observe::Way;
use crate::region::Region;
use crate::sql::control::directive::directives;
use crate::sql::control::use_target::TargetRole;
use crate::sql::features::Features;
use crate::topology::{Reachability, Role, ServerId, ShardId, Topology};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::connections::Connections;
use super::region::Geography;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_timeout;
use super::transaction::Transaction;
use crate::executor::client::Client;

/// What reads promise and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadOptions {
    /// `read_consistency`.
    pub(super) level: Consistency,
    /// `nearest_only`.
    pub(super) leaving: Leaving,
    /// `client_region`.
    pub(super) region: Option<Region>,
}

/// The part of a session's state that decides where statements go.
#[derive(Debug)]
pub(super) struct Reading {
    /// For statements without a hint.
    pub(super) options: ReadOptions,
    /// `USE keyspace@role`.
    pub(super) target: Option<TargetRole>,
    /// `workload`: kept for clients that set and read it.
    pub(super) workload: &'static str,
    /// `consistent_snapshot`, if the session has set it.
    pub(super) snapshot: Option<ConsistentSnapshot>,
    /// The server of the last read.
    pub(super) served: Option<Placement>,
    /// Differs from statement to statement.
    salt: u64,
}

impl Reading {
    /// The defaults for a client in `region`. `salt` should differ from session to session.
    pub(super) fn new(region: Option<Region>, salt: u64) -> Self {
        Self {
            options: ReadOptions { level: Consistency::Strong, leaving: Leaving::Allowed, region },
            target: None,
            workload: "oltp",
            snapshot: None,
            served: None,
            salt,
        }
    }
}

impl ReadOptions {
    /// The options with the hints of a statement put in. Other directives are not looked at.
    pub(super) fn hinted(
        &self,
        text: &[u8],
        mode: crate::sql::mode::LexMode,
        geography: &Geography,
    ) -> Result<Self, SqlError> {
        let mut options = self.clone();
        for directive in directives(text, mode) {
            let name = directive.key.to_ascii_lowercase();
            if matches!(
                name.as_str(),
                "read_consistency" | "nearest_only" | "client_region" | "max_staleness"
            ) {
                options.set(&name, &directive.value, geography)?;
            }
        }
        Ok(options)
    }

    /// Sets one of the variables about reads.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: &str,
        geography: &Geography,
    ) -> Result<(), SqlError> {
        let wrong = || catalog::WRONG_VALUE.with(&[&name, &value]);
        match name {
            "read_consistency" => self.level = Consistency::parse(value)?,
            "nearest_only" => {
                self.leaving = match value.to_ascii_lowercase().as_str() {
                    "1" | "on" | "true" => Leaving::Forbidden,
                    "0" | "off" | "false" => Leaving::Allowed,
                    _ => return Err(wrong()),
                };
            }
            "client_region" => {
                let region = Region::new(value).map_err(|_| wrong())?;
                if !geography.knows(&region) {
                    return Err(wrong());
                }
                self.region = Some(region);
            }
            "max_staleness" if value.is_empty() || value == "0" => {}
            "max_staleness" => {
                let served = "none, because read_consistency = 'bounded' is not";
                return Err(catalog::UNSUPPORTED_VALUE.with(&[&name, &value, &served]));
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

/// The options of a statement: those of its hints, else `None` for the session's.
pub(super) fn hints(
    connections: &Connections,
    state: &State,
    text: &[u8],
    features: Features,
) -> Result<Option<ReadOptions>, SqlError> {
    if !features.contains(Features::DIRECTIVE) {
        return Ok(None);
    }
    let options = &state.reading.options;
    let hinted =
        options.hinted(text, connections.mirror.lex_mode, &connections.services.geography)?;
    Ok((hinted != *options).then_some(hinted))
}

/// Where a statement is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim<'a> {
    pub(super) shard: ShardId,
    pub(super) access: Access,
    /// Those of [`hints`].
    pub(super) hints: Option<&'a ReadOptions>,
    /// Whether it reads LAST_INSERT_ID().
    pub(super) wants_insert_id: bool,
    /// Whether any shard of the keyspace can answer it.
    pub(super) anywhere: bool,
}

/// The server for a statement on a shard.
pub(super) fn place(
    connections: &mut Connections,
    state: &mut State,
    topology: &Topology,
    aim: &Aim<'_>,
) -> Result<Placement, SqlError> {
    place_except(connections, state, topology, aim, None)
}

/// The level of a statement's reads. Everything in a transaction sees the writes before it.
pub(super) fn read_level(
    connections: &Connections,
    state: &State,
    hints: Option<&ReadOptions>,
) -> Consistency {
    let plain = connections.mirror.autocommit
        && !connections.in_transaction()
        && connections.transaction == Transaction::None { next: None };
    let options = hints.unwrap_or(&state.reading.options);
    if plain { options.level } else { Consistency::Strong }
}

/// What hangs on a statement that is placed now.
fn note_stake(connections: &mut Connections, state: &State, access: Access) {
    use crate::observe::Kind;
    connections.stake = match (access, state.tally.query.kind) {
        (Access::Read | Access::Describe, _) => Stake::Read,
        // Nothing that these do outlives the transaction that they are part of.
        (
            Access::Write,
            Kind::Insert | Kind::Update | Kind::Delete | Kind::Replace | Kind::Select,
        ) => Stake::Write,
        (Access::Write, _) => Stake::Commit,
    };
}

fn place_except(
    connections: &mut Connections,
    state: &mut State,
    topology: &Topology,
    aim: &Aim<'_>,
    except: Option<Placement>,
) -> Result<Placement, SqlError> {
    let Aim { mut shard, access, hints, anywhere, .. } = *aim;
    note_stake(connections, state, access);
    connections.expendable = false;
    if let Some(placement) = bound(connections, topology, shard, access)? {
        state.reading.served = Some(placement);
        return Ok(placement);
    }
    let anywhere =
        anywhere && connections.stake == Stake::Read && topology.shards(shard.keyspace()).len() > 1;
    let avoided = except.map(|placement| placement.server()).or(connections.lost_at);
    if anywhere && avoided.is_some() {
        shard = elsewhere(connections, topology, shard, avoided);
    }
    let level = read_level(connections, state, hints);
    let reading = &mut state.reading;
    reading.salt = reading.salt.wrapping_add(1);
    let options = hints.unwrap_or(&reading.options);
    let request = geo::Request {
        access,
        level,
        region: options.region.as_ref(),
        leaving: options.leaving,
        target: reading.target,
        lag_max: connections.limits.replica_lag_max(),
        lag_no_primary_max: connections.limits.replica_lag_no_primary_max(),
        except: avoided,
        // Multiplying spreads the low bits, which decide, over sessions that take turns.
        salt: reading.salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32,
    };
    let placed = geo::place(topology, shard, &request).map(|placement| {
        let except = Some(placement.server()).filter(|server| {
            level != Consistency::Strong
                && avoided.is_none()
                && connections.services.is_silent(*server)
        });
        let request = geo::Request { except, ..request };
        // Somebody else, if that is as good.
        except.and_then(|_| geo::place(topology, shard, &request).ok()).unwrap_or(placement)
    });
    let placement = placed.inspect_err(|error| {
        if error.origin == Origin::Network {
            // The reason may have passed already.
            for server in topology.holders(shard) {
                connections.services.monitor.recheck(*server);
            }
        }
    })?;
    let left = topology.server(placement.server()).region.as_ref() != request.region;
    if left && access == Access::Read && request.level == Consistency::Eventual {
        let way = match placement.role() {
            Role::Primary => Way::EventualToPrimary,
            Role::Replica => Way::EventualToRegion,
        };
        connections.services.metrics.record_fallback(connections.worker, way);
    }
    reading.served = Some(placement);
    let replaceable = anywhere || level != Consistency::Strong;
    connections.expendable = replaceable
        && connections.stake == Stake::Read
        && avoided.is_none()
        && !connections.services.is_silent(placement.server());
    Ok(placement)
}

/// Another shard of the same keyspace that answers, if one does.
fn elsewhere(
    connections: &Connections,
    topology: &Topology,
    shard: ShardId,
    avoided: Option<ServerId>,
) -> ShardId {
    let answers = |shard: &ShardId| connections.services.answers(topology, *shard, avoided);
    topology.shards(shard.keyspace()).find(answers).unwrap_or(shard)
}

impl Connections {
    /// A question that changes nothing goes to this server now; any other will do as well.
    pub(super) fn any_will_do(&mut self, placement: Placement) {
        self.stake = Stake::Question;
        self.expendable = self.attached.is_empty()
            && self.lost_at.is_none()
            && self.mode.is_several()
            && !self.services.is_silent(placement.server());
    }

    /// Whether such a question that failed is asked elsewhere: once, if its server fell silent.
    pub(super) fn goes_elsewhere(&mut self, placement: Placement) -> bool {
        let goes =
            self.lost_at.is_none() && !statement_timeout::is_late(self) && self.gave_up(placement);
        if goes {
            self.lost_at = Some(placement.server());
        }
        goes
    }

    /// Whether a server was not waited for only because another one would do.
    pub(super) fn gave_up(&self, placement: Placement) -> bool {
        let topology = self.services.topology();
        let server = topology.server(placement.server());
        let down = matches!(server.health.reachability, Reachability::Down(_));
        self.expendable && self.services.is_silent(placement.server()) && !down
    }
}

/// The server to which the session is bound on a shard: it takes part in the transaction
/// there, or holds state of the session. Rows are not written there if it is not the primary
/// any more.
fn bound(
    connections: &Connections,
    topology: &Topology,
    shard: ShardId,
    access: Access,
) -> Result<Option<Placement>, SqlError> {
    let on_shard = |a: &&super::shard_connections::Attached| a.placement.shard() == shard;
    let mut bound = connections.attached.iter().filter(on_shard).filter(|a| a.is_kept());
    let Some(attached) = bound.next() else { return Ok(None) };
    if access == Access::Write {
        if attached.placement.role() == Role::Replica {
            return Err(catalog::REPLICA_TARGET.with(&[&"replica"]));
        }
        let writable = geo::writable_primary(topology, shard);
        if topology.primary(shard) != Some(attached.placement.server()) {
            return Err(catalog::PRIMARY_MOVED.with(&[&topology.shard_name(shard)]));
        }
        if topology.holders(shard).len() > 1 {
            writable?;
        }
    }
    Ok(Some(attached.placement))
}

/// Whether a read on the shard may stay in the client's region.
pub(super) fn is_near(
    state: &State,
    topology: &Topology,
    shard: ShardId,
    hints: Option<&ReadOptions>,
) -> bool {
    let options = hints.unwrap_or(&state.reading.options);
    let here = |id: &ServerId| topology.server(*id).region == options.region;
    options.level != Consistency::Strong && topology.holders(shard).iter().any(here)
}

/// A server for what any holder of the shard can judge: names, syntax, settings. The primary
/// if it answers.
pub(super) fn place_anywhere(
    connections: &Connections,
    state: &State,
    topology: &Topology,
    shard: ShardId,
) -> Result<Placement, SqlError> {
    if let Some(placement) = bound(connections, topology, shard, Access::Describe)? {
        return Ok(placement);
    }
    geo::primary(topology, shard).or_else(|error| {
        let request = geo::Request {
            access: Access::Read,
            level: Consistency::Eventual,
            region: state.reading.options.region.as_ref(),
            leaving: Leaving::Allowed,
            target: None,
            lag_max: std::time::Duration::MAX,
            lag_no_primary_max: std::time::Duration::MAX,
            except: None,
            salt: 0,
        };
        geo::place(topology, shard, &request).map_err(|_| error)
    })
}

/// Places a statement and attaches a connection. A read that finds its server gone is placed
/// once more: nothing of it was sent.
pub(super) async fn attach_placed(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    aim: &Aim<'_>,
    database: &[u8],
) -> Result<ConnectionId, SqlError> {
    let placement = {
        let topology = connections.services.topology();
        place(connections, state, &topology, aim)?
    };
    match connections.attach_at_once(client, placement, database, aim.wants_insert_id) {
        Some(index) => Ok(index),
        None => {
            Box::pin(attach_or_elsewhere(client, connections, state, aim, database, placement))
                .await
        }
    }
}

/// Attaches to the server of `placement`, or to another one that may answer, if that one is gone
/// before anything was sent.
async fn attach_or_elsewhere(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    aim: &Aim<'_>,
    database: &[u8],
    placement: Placement,
) -> Result<ConnectionId, SqlError> {
    let error = match connections.attach(client, placement, database, aim.wants_insert_id).await {
        Ok(index) => return Ok(index),
        Err(error) => error,
    };
    let is = |entry: catalog::Entry| error.id == Some(entry.id);
    let may_be_elsewhere = is(catalog::NOT_SENT)
        || aim.access != Access::Write
            && (is(catalog::SERVER_UNREACHABLE) || is(catalog::SERVER_GONE));
    if !may_be_elsewhere {
        return Err(error);
    }
    let gave_up = connections.gave_up(placement);
    // The servers may have been seen in another state since.
    let topology = connections.services.topology().clone();
    match place_except(connections, state, &topology, aim, Some(placement)) {
        Ok(other) if other != placement => {
            connections.attach(client, other, database, aim.wants_insert_id).await
        }
        // Nobody else: it is waited for after all.
        _ if gave_up => connections.attach(client, placement, database, aim.wants_insert_id).await,
        _ => Err(error),
    }
}

/// Asks any server a question that changes nothing, and another one if the first falls silent:
/// gives the framed answer. The connection is left to the caller.
pub(super) async fn ask_any(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    question: &[u8],
) -> Result<(ConnectionId, Vec<u8>), SqlError> {
    loop {
        let topology = connections.services.topology.load_full();
        let (placement, database) = any_server(connections, state, &topology, Judges::Any)?;
        connections.any_will_do(placement);
        let error = match connections.attach(client, placement, &database, false).await {
            Ok(index) => {
                let lease = &mut connections.attached[index].lease;
                match lease.answer(code::QUERY, question, Expect::Query).await {
                    Ok(answer) => {
                        lease.set_expendable(false);
                        connections.expendable = false;
                        return Ok((index, answer));
                    }
                    Err(failure) => connections.fail(index, failure).await,
                }
            }
            Err(error) => error,
        };
        if !connections.goes_elsewhere(placement) {
            return Err(error);
        }
    }
}

/// The same of one that has one cell of text as its answer; nothing for NULL.
pub(super) async fn ask_any_for_cell(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    question: &[u8],
) -> Result<(ConnectionId, Option<Vec<u8>>), SqlError> {
    let (index, answer) = ask_any(client, connections, state, question).await?;
    let lease = &connections.attached[index].lease;
    let rows = lease.rows_of(&answer).map_err(|error| catalog::INTERNAL.with(&[&error]))?;
    Ok((index, rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten()))
}

/// Who may judge a statement about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judges {
    /// Any server; the primary if it answers.
    Any,
    /// Only a primary.
    Primary,
}

/// A server that may judge a statement which is about the session, and the schema to use there:
/// one that is attached, else the primary of a shard of the session's keyspace.
pub(super) fn any_server(
    connections: &Connections,
    state: &State,
    topology: &Topology,
    judges: Judges,
) -> Result<(Placement, Vec<u8>), SqlError> {
    let placement = match connections.attached.iter().next() {
        Some(attached) => attached.placement,
        None => {
            let named = state.target.keyspace.as_deref();
            let own = named.and_then(|name| topology.find_keyspace(name));
            let own = own.into_iter().flat_map(|keyspace| topology.shards(keyspace));
            let shards: Vec<ShardId> = own.chain(topology.all_shards()).collect();
            let first = *shards.first().ok_or_else(|| catalog::NO_KEYSPACE.error())?;
            let find = |fit: &dyn Fn(ShardId) -> bool| shards.iter().copied().find(|s| fit(*s));
            let lost_at = connections.lost_at;
            let quick = find(&|shard| connections.services.answers(topology, shard, lost_at));
            let shard = quick.or_else(|| find(&|shard| geo::answers(topology, shard)));
            let shard = shard.unwrap_or(first);
            match judges {
                Judges::Any => place_anywhere(connections, state, topology, shard)?,
                Judges::Primary => geo::primary(topology, shard)?,
            }
        }
    };
    if connections.mode.is_single() {
        return Ok((placement, state.database.clone()));
    }
    let keyspace = topology.keyspace(placement.shard().keyspace());
    Ok((placement, keyspace.database.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::sql::mode::LexMode;

    #[test]
    fn hints_override_the_session() {
        let text = "[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n[[region]]\nname = \"eu\"\n\
                    [[keyspace]]\nname = \"k\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
                    address = \"p:1\"\n";
        let config = config::parse(text, std::path::Path::new(".")).unwrap();
        let geography = Geography::new(&config);
        let options = Reading::new(None, 0).options;
        let hinted = |sql: &str| options.hinted(sql.as_bytes(), LexMode::default(), &geography);
        let local = hinted("SELECT /*vt+ READ_CONSISTENCY=local CLIENT_REGION=eu */ 1").unwrap();
        assert_eq!(local.level, Consistency::Local);
        assert_eq!(local.region, Region::new("eu").ok());
        let stay = hinted("SELECT /*vt+ read_consistency='eventual' NEAREST_ONLY */ 1").unwrap();
        assert_eq!((stay.level, stay.leaving), (Consistency::Eventual, Leaving::Forbidden));
        assert_eq!(hinted("SELECT /*vt+ QUERY_TIMEOUT_MS=9 */ 1").unwrap(), options);
        for (sql, errno) in [
            ("SELECT /*vt+ READ_CONSISTENCY=bounded */ 1", 1235),
            ("SELECT /*vt+ READ_CONSISTENCY=weak */ 1", 1231),
            ("SELECT /*vt+ CLIENT_REGION=mars */ 1", 1231),
            ("SELECT /*vt+ MAX_STALENESS=2s */ 1", 1235),
        ] {
            assert_eq!(hinted(sql).unwrap_err().errno, errno, "{sql}");
        }
    }
}
