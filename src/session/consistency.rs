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
use crate::topology::{Role, ServerId, ShardId, Topology};

use super::Session;
use super::attached::Index;
use super::region::Geography;
use super::transaction::Transaction;

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

impl Session {
    /// The options of a statement: those of its hints, else `None` for the session's.
    pub(super) fn hints(
        &self,
        text: &[u8],
        features: Features,
    ) -> Result<Option<ReadOptions>, SqlError> {
        if !features.contains(Features::DIRECTIVE) {
            return Ok(None);
        }
        let options = &self.state.reading.options;
        let hinted = options.hinted(text, self.state.lex_mode, &self.services.geography)?;
        Ok((hinted != *options).then_some(hinted))
    }

    /// The server for a statement on a shard. `hints` are those of [`Session::hints`].
    pub(super) fn place(
        &mut self,
        topology: &Topology,
        shard: ShardId,
        access: Access,
        hints: Option<&ReadOptions>,
    ) -> Result<Placement, SqlError> {
        self.place_except(topology, shard, access, hints, None)
    }

    /// The level of a statement's reads. Everything in a transaction sees the writes before it.
    pub(super) fn read_level(&self, hints: Option<&ReadOptions>) -> Consistency {
        let plain = self.state.autocommit
            && !self.in_transaction()
            && self.transaction == Transaction::None { next: None };
        let options = hints.unwrap_or(&self.state.reading.options);
        if plain { options.level } else { Consistency::Strong }
    }

    /// What is not known of a command is that it may commit.
    pub(super) fn begin_stake(&mut self) {
        self.stake = Stake::Commit;
        self.lost_at = None;
    }

    /// What hangs on a statement that is placed now.
    fn note_stake(&mut self, access: Access) {
        use crate::observe::Kind;
        self.stake = match (access, self.tally.query.kind) {
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
        &mut self,
        topology: &Topology,
        shard: ShardId,
        access: Access,
        hints: Option<&ReadOptions>,
        except: Option<Placement>,
    ) -> Result<Placement, SqlError> {
        self.note_stake(access);
        if let Some(placement) = self.bound(topology, shard, access)? {
            self.state.reading.served = Some(placement);
            return Ok(placement);
        }
        let level = self.read_level(hints);
        let reading = &mut self.state.reading;
        reading.salt = reading.salt.wrapping_add(1);
        let options = hints.unwrap_or(&reading.options);
        let request = geo::Request {
            access,
            level,
            region: options.region.as_ref(),
            leaving: options.leaving,
            target: reading.target,
            lag_max: self.services.limits.replica_lag_max(),
            lag_no_primary_max: self.services.limits.replica_lag_no_primary_max(),
            except: except.map(|placement| placement.server()).or(self.lost_at),
            // Multiplying spreads the low bits, which decide, over sessions that take turns.
            salt: reading.salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32,
        };
        let placement = geo::place(topology, shard, &request).inspect_err(|error| {
            if error.origin == Origin::Network {
                // The reason may have passed already.
                for server in topology.holders(shard) {
                    self.services.monitor.recheck(*server);
                }
            }
        })?;
        let left = topology.server(placement.server()).region.as_ref() != request.region;
        if left && access == Access::Read && request.level == Consistency::Eventual {
            let way = match placement.role() {
                Role::Primary => Way::EventualToPrimary,
                Role::Replica => Way::EventualToRegion,
            };
            self.services.metrics.record_fallback(self.worker, way);
        }
        reading.served = Some(placement);
        Ok(placement)
    }

    /// The server to which the session is bound on a shard: it takes part in the transaction
    /// there, or holds state of the session. Rows are not written there if it is not the primary
    /// any more.
    fn bound(
        &self,
        topology: &Topology,
        shard: ShardId,
        access: Access,
    ) -> Result<Option<Placement>, SqlError> {
        let on_shard = |a: &&super::attached::Attached| a.placement.shard() == shard;
        let mut bound = self.attached.iter().filter(on_shard).filter(|a| a.is_kept());
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
        &self,
        topology: &Topology,
        shard: ShardId,
        hints: Option<&ReadOptions>,
    ) -> bool {
        let options = hints.unwrap_or(&self.state.reading.options);
        let here = |id: &ServerId| topology.server(*id).region == options.region;
        options.level != Consistency::Strong && topology.holders(shard).iter().any(here)
    }

    /// A server for what any holder of the shard can judge: names, syntax, settings. The primary
    /// if it answers.
    pub(super) fn place_anywhere(
        &mut self,
        topology: &Topology,
        shard: ShardId,
    ) -> Result<Placement, SqlError> {
        if let Some(placement) = self.bound(topology, shard, Access::Describe)? {
            return Ok(placement);
        }
        geo::primary(topology, shard).or_else(|error| {
            let request = geo::Request {
                access: Access::Read,
                level: Consistency::Eventual,
                region: self.state.reading.options.region.as_ref(),
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
        &mut self,
        shard: ShardId,
        access: Access,
        hints: Option<&ReadOptions>,
        database: &[u8],
        wants_insert_id: bool,
    ) -> Result<Index, SqlError> {
        let topology = self.services.topology();
        let placement = self.place(&topology, shard, access, hints)?;
        drop(topology);
        let error = match self.attach(placement, database, wants_insert_id).await {
            Ok(index) => return Ok(index),
            Err(error) => error,
        };
        let is = |entry: catalog::Entry| error.id == Some(entry.id);
        let may_be_elsewhere = is(catalog::NOT_SENT)
            || access != Access::Write
                && (is(catalog::SERVER_UNREACHABLE) || is(catalog::SERVER_GONE));
        if !may_be_elsewhere {
            return Err(error);
        }
        // The servers may have been seen in another state since.
        let topology = self.services.topology().clone();
        match self.place_except(&topology, shard, access, hints, Some(placement)) {
            Ok(other) if other != placement => self.attach(other, database, wants_insert_id).await,
            _ => Err(error),
        }
    }
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
