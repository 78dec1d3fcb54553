//! COM_QUERY: the steps of a statement.

use std::sync::Arc;

use crate::backend::{Connection, first_answer_sequence};
use crate::error::{SqlError, catalog};
use crate::executor::relay::{Forwarded, Place, RelayError, relay};
use crate::geo;
use crate::net::Packet;
use crate::observe::Route;
use crate::planner::input::Target;
use crate::sql::control::{self, Control};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::topology::KeyspaceIndex;
use crate::wire::capability::Capabilities;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::session_track::SessionChange;

use super::attached::Index;
use super::planned::{OneShard, Statement};
use super::state::Warnings;
use super::{End, Session, target};

/// Where the bytes of a command are.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// A packet in the client's read buffer, which can be forwarded as it is.
    Packet(Packet),
    /// A command payload of our own: command byte and argument.
    Payload(Vec<u8>),
}

/// Features after which a connection holds state that is mirrored nowhere.
const PINNING: Features = Features::ASSIGNS_VARIABLE.with(Features::NAMED_LOCK);

/// ER_OPTION_PREVENTS_STATEMENT (`read_only`) and ER_READ_ONLY_MODE.
const READ_ONLY_SERVER: &[u16] = &[1290, 1836];

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self, packet: Packet) -> Result<(), End> {
        let text = &self.client.framed.payload(packet)[1..];
        let scanned = self.scan.run(text, self.state.lex_mode);
        if scanned.is_ok()
            && self.scan.next_statement().is_some()
            && self.client.capabilities.contains(Capabilities::MULTI_STATEMENTS)
        {
            let text = text.to_vec();
            self.client.framed.consume_packet(packet);
            return self.multi_statement(&text).await;
        }
        let understood = scanned.is_ok();
        self.statement(Request::Packet(packet), understood).await
    }

    /// Several statements in one command: each is run by itself, the answers are chained.
    async fn multi_statement(&mut self, text: &[u8]) -> Result<(), End> {
        let mut rest = text;
        loop {
            let understood = self.scan.run(rest, self.state.lex_mode).is_ok();
            let next = if understood { self.scan.next_statement() } else { None };
            let end = if understood { self.scan.end() as usize } else { rest.len() };
            self.more_follows = next.is_some();
            let payload = [b"\x03", &rest[..end]].concat();
            self.failed = false;
            self.statement(Request::Payload(payload), understood).await?;
            match next {
                // An error ends the chain.
                Some(next) if !self.failed => rest = &rest[next as usize..],
                _ => break,
            }
        }
        self.more_follows = false;
        Ok(())
    }

    /// One statement, which has been scanned.
    pub(super) async fn statement(
        &mut self,
        request: Request,
        understood: bool,
    ) -> Result<(), End> {
        let (kind, features) = if understood {
            (self.scan.kind(), self.scan.features())
        } else {
            (StatementKind::Other, Features::NONE)
        };
        self.begin_tally(kind);
        let result = self.answer_statement(request, kind, features).await;
        self.end_tally();
        result
    }

    async fn answer_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        if !features.contains(Features::FOUND_ROWS) {
            self.drop_held().await;
        }
        let text = match &request {
            Request::Packet(packet) => &self.client.framed.payload(*packet)[1..],
            Request::Payload(payload) => &payload[1..],
        };
        let control = control::parse(text, self.state.lex_mode, &self.scan);
        if let Ok(Some(control)) = control {
            return self.control_statement(request, control).await;
        }
        if let Some(answer) = self.builtin(text, features) {
            self.consume(&request);
            return self.reply_builtin(answer).await;
        }
        if let Some(own) = self.select_own_variables(text, features) {
            self.consume(&request);
            return self.reply_own_variables(own).await;
        }
        self.run_statement(request, kind, features).await
    }

    /// A statement about the session rather than about rows.
    async fn control_statement(&mut self, request: Request, control: Control) -> Result<(), End> {
        match control {
            Control::Transaction(statement) => {
                self.consume(&request);
                self.forget_warnings();
                self.transaction_statement(statement).await
            }
            Control::Set(set) => self.set(request, &set).await,
            Control::Use(_) => {
                let text = self.text(&request).to_vec();
                self.consume(&request);
                let name = use_argument(&text);
                self.use_database(&name).await
            }
            Control::Kill(kill) => {
                self.consume(&request);
                self.kill(kill).await
            }
            Control::Show(show) => self.show(request, &show).await,
            Control::Prepared(_) if self.services.topology().single_server().is_none() => {
                let what = "PREPARE, EXECUTE and DEALLOCATE as text over several servers";
                self.refuse(&request, catalog::UNSUPPORTED.with(&[&what])).await
            }
            Control::Prepared(_) => {
                self.run_statement(request, StatementKind::Prepare, Features::NONE).await
            }
            Control::Explain(explain) => self.explain(request, explain).await,
        }
    }

    /// Runs a statement on the servers.
    pub(super) async fn run_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        let topology = self.services.topology.load_full();
        let Some(shard) = topology.single_server() else {
            return self.route_statement(request, kind, features).await;
        };
        if self.must_fill_in(features) {
            return self.route_statement(request, kind, features).await;
        }
        self.tally.query.route = Route::PassThrough;
        let hints = match self.hints(self.text(&request), features) {
            Ok(hints) => hints,
            Err(error) => return self.refuse(&request, error).await,
        };
        let access = geo::access(kind, features);
        let database = std::mem::take(&mut self.state.database);
        let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
        let attached =
            self.attach_placed(shard, access, hints.as_ref(), &database, wants_insert_id).await;
        self.state.database = database;
        let index = match attached {
            Ok(index) => index,
            Err(error) => {
                self.consume(&request);
                return self.reply_error(error).await;
            }
        };
        let Some(outcome) = self.exchange(index, request, Expect::Query).await? else {
            return Ok(());
        };
        self.after_statement(index, kind, features, &outcome).await;
        Ok(())
    }

    /// Whether a statement asks for what only the session knows, inside of something larger: a
    /// server on a pooled connection would answer with its own numbers. The planner writes the
    /// session's values into the text, or the statement is refused.
    pub(super) fn must_fill_in(&self, features: Features) -> bool {
        let of_session =
            Features::FOUND_ROWS.with(Features::ROW_COUNT).with(Features::CONNECTION_ID);
        features.intersects(of_session) && !self.attached.iter().any(|attached| attached.held)
    }

    /// Runs a statement where there are several servers.
    async fn route_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        if let Request::Packet(packet) = request
            && let Some(OneShard { shard, access, topology }) = self.cached_route(packet)
        {
            let database = topology.keyspace(shard.keyspace()).database.as_bytes();
            let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
            let attached = self.attach_placed(shard, access, None, database, wants_insert_id).await;
            let index = match attached {
                Ok(index) => index,
                Err(error) => return self.refuse(&request, error).await,
            };
            let Some(outcome) = self.exchange(index, request, Expect::Query).await? else {
                return Ok(());
            };
            self.after_statement(index, kind, features, &outcome).await;
            return Ok(());
        }
        let text = self.text(&request).to_vec();
        self.consume(&request);
        let mut scan = std::mem::take(&mut self.scan);
        // Prepared statements come with a scan of their own; this one is of this text.
        if let Err(error) = scan.run(&text, self.state.lex_mode) {
            return self.reply_error(catalog::SYNTAX.with(&[&error])).await;
        }
        self.run_planned(Statement::text(text, scan)).await
    }

    /// Sends a command over a connection and relays its answer. `None`: there is no outcome, the
    /// client has been told why and the connection is gone.
    pub(super) async fn exchange(
        &mut self,
        index: Index,
        request: Request,
        expect: Expect,
    ) -> Result<Option<Outcome>, End> {
        let attached = &mut self.attached[index];
        let (sent, payload_len) = match &request {
            Request::Packet(packet) if packet.len < MAX_PAYLOAD => {
                let sent = attached.lease.send(self.client.framed.framed(*packet)).await;
                (sent, packet.len)
            }
            Request::Packet(packet) => {
                let payload = self.client.framed.payload(*packet);
                (attached.lease.send_payload(payload).await, payload.len())
            }
            Request::Payload(payload) => {
                (attached.lease.send_payload(payload).await, payload.len())
            }
        };
        self.consume(&request);
        if let Err(failure) = sent {
            let error = self.lose(index, &failure);
            self.reply_error(error).await?;
            return Ok(None);
        }
        let first_sequence = first_answer_sequence(payload_len);
        self.attached[index].lease.expect(expect, first_sequence);
        self.relay_answer(index, first_sequence).await
    }

    /// Relays the answer that a connection's scanner waits for.
    pub(super) async fn relay_answer(
        &mut self,
        index: Index,
        first_sequence: u8,
    ) -> Result<Option<Outcome>, End> {
        let place = Place {
            sequence_offset: self.sequence.wrapping_sub(first_sequence),
            more_follows: self.more_follows,
            ..Place::default()
        };
        let attached = &mut self.attached[index];
        let relayed = relay(
            &mut self.client,
            &mut attached.lease,
            self.registered.control(),
            place,
            kill_on_server,
        )
        .await;
        match relayed {
            Ok(outcome) => {
                let next = attached.lease.next_sequence();
                self.sequence = next.wrapping_add(place.sequence_offset);
                self.failed = outcome.is_error();
                Ok(Some(outcome))
            }
            Err(RelayError::ClientGone) => {
                self.attached.swap_remove(index);
                Err(End::Quit)
            }
            Err(RelayError::Killed { forwarded }) => {
                self.attached.swap_remove(index);
                if forwarded == Forwarded::Nothing {
                    self.reply_error(catalog::CONNECTION_KILLED.error()).await?;
                }
                Err(End::Abort)
            }
            Err(RelayError::Server { failure, forwarded }) => {
                let error = self.lose(index, &failure);
                match forwarded {
                    Forwarded::Nothing => {
                        self.reply_error(error).await?;
                        Ok(None)
                    }
                    // The client waits inside a result; only the end of the stream is understood.
                    Forwarded::Part => Err(End::Abort),
                }
            }
        }
    }

    /// What an answer means for the session.
    pub(super) async fn after_statement(
        &mut self,
        index: Index,
        kind: StatementKind,
        features: Features,
        outcome: &Outcome,
    ) {
        if outcome.is_error() {
            self.state.row_count = -1;
        } else if outcome.columns > 0 {
            self.state.row_count = -1;
            self.state.found_rows = outcome.rows;
            self.tally.query.rows = outcome.rows;
        } else {
            self.state.row_count = outcome.affected_rows as i64;
        }
        self.forget_warnings();
        let attached = &mut self.attached[index];
        let mut state_changed = false;
        let mut schema = None;
        for change in attached.lease.session_changes() {
            match change {
                Ok(SessionChange::Schema(name)) => schema = Some(name.to_vec()),
                Ok(SessionChange::State(b"1")) => state_changed = true,
                _ => {}
            }
        }
        if let Some(schema) = schema {
            attached.lease.note_database(&schema);
            self.state.database = schema;
        }
        attached.held = features.contains(Features::CALC_FOUND_ROWS);
        attached.insert_id_unknown |= may_hide_insert_id(kind, features, outcome);
        // What SET and USE change is known. A CALL may change the database on its way, too.
        let pins = state_changed && !matches!(kind, StatementKind::Set | StatementKind::Use)
            || features.intersects(PINNING)
            // A stored function may do anything, and the end of rows does not tell.
            || features.contains(Features::UNKNOWN_FUNCTION) && outcome.columns > 0
            || features.contains(Features::TEMPORARY) && kind == StatementKind::Create
            || matches!(
                kind,
                StatementKind::LockTables
                    | StatementKind::Prepare
                    | StatementKind::Xa
                    | StatementKind::Handler
                    | StatementKind::Flush
                    | StatementKind::Other
            );
        if pins && !outcome.is_error() {
            self.pin(index);
        }
        if outcome.is_error() {
            let error = self.attached[index].lease.last_error();
            self.count_error(&error);
            if READ_ONLY_SERVER.contains(&error.errno) {
                // It was demoted since the monitor has looked.
                self.services.monitor.recheck_all();
            }
            self.state.warnings = Warnings::Error(error);
        }
        self.settle(index, outcome).await;
        self.columns_may_have_changed(kind).await;
    }

    /// The text of a COM_QUERY.
    pub(super) fn text<'a>(&'a self, request: &'a Request) -> &'a [u8] {
        match request {
            Request::Packet(packet) => &self.client.framed.payload(*packet)[1..],
            Request::Payload(payload) => &payload[1..],
        }
    }

    /// Drops a request that has been read.
    pub(super) fn consume(&mut self, request: &Request) {
        if let Request::Packet(packet) = request {
            self.client.framed.consume_packet(*packet);
        }
    }

    /// USE and COM_INIT_DB. `name` may end in a role: `keyspace@replica`.
    pub(super) async fn use_database(&mut self, name: &[u8]) -> Result<(), End> {
        let topology = self.services.topology.load_full();
        let Some(shard) = topology.single_server() else {
            // Which keyspaces there are is known here; no server has to be asked.
            let result = target::parse(name, &self.state.target, &topology).map(|target| {
                let keyspace = target.keyspace.as_deref();
                let keyspace = keyspace.and_then(|name| topology.find_keyspace(name));
                self.state.keyspace = keyspace.map(KeyspaceIndex::index);
                self.state.reading.target = target::role(name);
                self.state.target = target;
                self.state.database = name.to_vec();
            });
            return self.reply_result(result).await;
        };
        let (name, role) = target::split_role(name);
        if name.is_empty() && role.is_some() {
            self.state.reading.target = role;
            return self.reply_ok(0).await;
        }
        let placement = match self.place_anywhere(&topology, shard) {
            Ok(placement) => placement,
            Err(error) => return self.reply_error(error).await,
        };
        // The server is asked by the connection's own change of database: the present one need not
        // exist any more.
        let index = match self.attach(placement, name, false).await {
            Ok(index) => index,
            Err(error) => return self.reply_error(error).await,
        };
        let payload = [b"\x02", name].concat();
        let outcome = self.exchange(index, Request::Payload(payload), Expect::OkOrErr).await?;
        if let Some(outcome) = outcome {
            if !outcome.is_error() {
                self.attached[index].lease.note_database(name);
                self.state.database = name.to_vec();
                self.state.reading.target = role;
                let known = std::str::from_utf8(name).ok();
                let keyspace = known.and_then(|name| topology.find_keyspace(name));
                self.state.keyspace = keyspace.map(KeyspaceIndex::index);
                self.state.target = Target {
                    keyspace: keyspace.map(|index| Arc::clone(&topology.keyspace(index).name)),
                    ..Target::default()
                };
            }
            self.after_statement(index, StatementKind::Use, Features::NONE, &outcome).await;
        }
        Ok(())
    }

    /// An error of our own as an answer to a statement, with the request dropped.
    pub(super) async fn refuse(&mut self, request: &Request, error: SqlError) -> Result<(), End> {
        self.consume(request);
        self.reply_error(error).await
    }
}

/// Whether a statement may have changed LAST_INSERT_ID() without its answer telling so.
fn may_hide_insert_id(kind: StatementKind, features: Features, outcome: &Outcome) -> bool {
    let writes = matches!(kind, StatementKind::Insert | StatementKind::Replace);
    features.contains(Features::LAST_INSERT_ID)
        || matches!(kind, StatementKind::Call | StatementKind::Execute | StatementKind::Other)
        || writes && outcome.is_error()
}

/// Stops the statement that runs on a connection, over another one.
pub(super) fn kill_on_server(connection: &mut Connection) {
    connection.note_kill();
    let (dialer, thread_id) = (connection.dialer().clone(), connection.thread_id());
    tokio::spawn(async move {
        if let Err(error) = dialer.kill_query(thread_id).await {
            tracing::warn!(%error, "cannot kill a statement");
        }
    });
}

/// The name in a USE statement as the servers read it.
fn use_argument(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let rest = text.get(3..).unwrap_or_default().trim_ascii();
    let rest = rest.strip_suffix(b";").unwrap_or(rest).trim_ascii();
    match rest {
        [b'`', inner @ .., b'`'] => {
            let mut name = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter().copied();
            while let Some(byte) = bytes.next() {
                name.push(byte);
                if byte == b'`' {
                    bytes.next();
                }
            }
            name
        }
        plain => plain.to_vec(),
    }
}
