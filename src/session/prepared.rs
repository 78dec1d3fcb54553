//! Prepared statements of the binary protocol.
//!
//! The client's statement is a text with a number; servers prepare that text lazily, each
//! connection for itself, in a bounded cache. An execution is forwarded as it came with the
//! server's number put in. Parameter types that a client sends only once are remembered here and
//! sent again whenever they are missing, because another connection may get the execution.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::backend::Failure;
use crate::error::{SqlError, catalog};
use crate::geo;
use crate::net::Packet;
use crate::observe::Route;
use crate::sql::control::{self, Control};
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;
use crate::wire::command::code;
use crate::wire::cursor::Malformed;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::Expect;
use crate::wire::statement::{
    CURSOR_MASK, Execute, ExecuteHeader, Param, TypesCarried, patch_statement_id,
};

use super::attached::Index;
use super::planned::OneShard;
use super::query::Request;
use super::reply::Rows;
use super::{End, Session, planned};

/// The statements that a client has prepared.
#[derive(Debug)]
pub(super) struct Prepared {
    by_id: HashMap<u32, Statement>,
    last_id: u32,
    max: usize,
    long_data_bytes: usize,
}

/// A statement that a client has prepared.
#[derive(Debug)]
struct Statement {
    text: Arc<[u8]>,
    /// The scan of the text; `None` if it is no sequence of tokens.
    scan: Option<Scan>,
    /// How it was scanned.
    mode: LexMode,
    kind: StatementKind,
    features: Features,
    params: u16,
    /// The parameters of the last execution, whose types count until new ones come.
    bound: Vec<Param>,
    long_data: BTreeMap<u16, Vec<u8>>,
    /// Why a piece of long data was not taken; told at the next execution.
    long_data_error: Option<SqlError>,
}

impl Prepared {
    pub(super) fn new(max: usize) -> Self {
        Self { by_id: HashMap::new(), last_id: 0, max, long_data_bytes: 0 }
    }

    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            // MariaDB's clients mean "the last one" by the highest number.
            if self.last_id != 0
                && self.last_id != u32::MAX
                && !self.by_id.contains_key(&self.last_id)
            {
                return self.last_id;
            }
        }
    }

    fn clear_long_data(&mut self, id: u32) {
        if let Some(statement) = self.by_id.get_mut(&id) {
            let freed: usize = statement.long_data.values().map(Vec::len).sum();
            statement.long_data.clear();
            statement.long_data_error = None;
            self.long_data_bytes -= freed;
        }
    }

    /// A statement's text and its scan, if that is how the session reads text now.
    pub(super) fn scanned(&self, id: u32, mode: LexMode) -> Option<(&[u8], &Scan)> {
        let statement = self.by_id.get(&id).filter(|statement| statement.mode == mode)?;
        Some((&statement.text, statement.scan.as_ref()?))
    }

    /// The parameters of the execution in `payload`, which has been parsed; none of them came as
    /// long data.
    pub(super) fn parameters<'a>(
        &self,
        id: u32,
        payload: &'a [u8],
    ) -> Option<SmallVec<[Value<'a>; 8]>> {
        let statement = self.by_id.get(&id).filter(|statement| statement.long_data.is_empty())?;
        statement.bound.iter().map(|param| param.value(payload, &[]).ok()).collect()
    }

    /// Forgets all statements.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.long_data_bytes = 0;
    }
}

impl Session {
    /// COM_STMT_PREPARE.
    pub(super) async fn prepare(&mut self, packet: Packet) -> Result<(), End> {
        let text: Arc<[u8]> = self.client.framed.payload(packet)[1..].into();
        self.client.framed.consume_packet(packet);
        if self.prepared.by_id.len() >= self.prepared.max {
            let error = SqlError::from_server(
                1461,
                *b"42000",
                format!(
                    "Can't create more than max_prepared_stmt_count statements (current value: {})",
                    self.prepared.max
                ),
            );
            return self.reply_error(error).await;
        }
        let mut scan = Scan::new();
        let understood = scan.run(&text, self.state.lex_mode).is_ok();
        let (kind, features) = if understood {
            (scan.kind(), scan.features())
        } else {
            (StatementKind::Other, Features::NONE)
        };
        let scan = understood.then_some(scan);
        let result = self.prepare_on_server(&text).await;
        let (mut answer, params) = match result {
            Ok(prepared) => prepared,
            Err(error) => return self.reply_error(error).await,
        };
        let id = self.prepared.next_id();
        // The id stands after the header and the OK byte.
        answer[5..9].copy_from_slice(&id.to_le_bytes());
        let statement = Statement {
            text,
            scan,
            mode: self.state.lex_mode,
            kind,
            features,
            params,
            bound: Vec::new(),
            long_data: BTreeMap::new(),
            long_data_error: None,
        };
        self.prepared.by_id.insert(id, statement);
        self.client.framed.write_all(&answer).await.map_err(|_| End::Quit)
    }

    /// Prepares a text on a server that can run it; gives the framed answer and the number of
    /// parameters. Where there are several servers the plan is made too, so that a statement that
    /// is refused is refused here.
    async fn prepare_on_server(&mut self, text: &[u8]) -> Result<(Vec<u8>, u16), SqlError> {
        let topology = self.services.topology.load_full();
        let (placement, database, text) = match topology.single_server() {
            Some(shard) => {
                let placement = self.place_anywhere(&topology, shard)?;
                (placement, self.state.database.clone(), text.to_vec())
            }
            None => {
                let mut scan = std::mem::take(&mut self.scan);
                scan.run(text, self.state.lex_mode)
                    .map_err(|error| catalog::SYNTAX.with(&[&error]))?;
                let statement = planned::Statement::prepared(text.to_vec(), scan, Vec::new());
                let sample = self.sample_piece(&statement, &topology);
                self.scan = statement.into_scan();
                let (shard, text) = sample?;
                let database = &topology.keyspace(shard.keyspace()).database;
                (self.place_anywhere(&topology, shard)?, database.as_bytes().to_vec(), text)
            }
        };
        let index = self.attach(placement, &database, false).await?;
        let prepared = self.prepare_answer(index, &text).await;
        match prepared {
            Ok(found) => {
                self.settle_quietly(index).await;
                Ok(found)
            }
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    async fn prepare_answer(
        &mut self,
        index: Index,
        text: &[u8],
    ) -> Result<(Vec<u8>, u16), Failure> {
        let lease = &mut self.attached[index].lease;
        let answer = lease.answer(code::STMT_PREPARE, text, Expect::Prepare).await?;
        let prepared = lease.outcome().prepared;
        let Some(prepared) = prepared.filter(|_| answer.len() >= 9) else {
            return Err(std::io::Error::other("the server prepared nothing").into());
        };
        lease.note_prepared(text, prepared.statement_id).await?;
        Ok((answer, prepared.params))
    }

    /// COM_STMT_EXECUTE.
    pub(super) async fn execute(&mut self, packet: Packet) -> Result<(), End> {
        let payload = self.client.framed.payload(packet);
        let Ok(header) = ExecuteHeader::parse(payload) else {
            return self.malformed(packet, "COM_STMT_EXECUTE").await;
        };
        let id = header.statement_id;
        let Some(statement) = self.prepared.by_id.get_mut(&id) else {
            let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]);
            return self.refuse(&Request::Packet(packet), error).await;
        };
        if let Some(error) = statement.long_data_error.take() {
            self.prepared.clear_long_data(id);
            return self.refuse(&Request::Packet(packet), error).await;
        }
        let long_data = &statement.long_data;
        let parsed = Execute::parse(payload, statement.params, &mut statement.bound, |param| {
            long_data.contains_key(&(param as u16))
        });
        let Ok(execute) = parsed else {
            let error = catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"]);
            return self.refuse(&Request::Packet(packet), error).await;
        };
        let (kind, features) = (statement.kind, statement.features);
        if execute.header.flags & CURSOR_MASK != 0 {
            // Answering with all rows instead is legal, but Connector/J waits for ever then.
            let what = "a server-side cursor (in Connector/J: useCursorFetch=false)";
            let error = catalog::UNSUPPORTED.with(&[&what]);
            self.prepared.clear_long_data(id);
            return self.refuse(&Request::Packet(packet), error).await;
        }
        if !features.contains(Features::FOUND_ROWS) {
            self.drop_held().await;
        }
        if self.answers_itself(id) {
            return self.execute_as_text(id, packet).await;
        }
        self.begin_tally(kind);
        let several = self.services.topology().single_server().is_none();
        let found = if several { self.cached_execution(id, packet) } else { None };
        let result = if found.is_none() && (several || self.must_fill_in(features)) {
            self.execute_planned(id, packet).await
        } else {
            self.execute_on_server(id, packet, &execute, found).await
        };
        self.end_tally();
        result
    }

    async fn execute_on_server(
        &mut self,
        id: u32,
        packet: Packet,
        execute: &Execute,
        found: Option<OneShard>,
    ) -> Result<(), End> {
        if found.is_none() {
            self.tally.query.route = Route::PassThrough;
        }
        let (index, first_sequence) = match self.attach_for_execute(id, found).await {
            Ok((index, server_id)) => {
                match self.send_execute(index, id, server_id, packet, execute).await {
                    Ok(first_sequence) => (index, first_sequence),
                    Err(failure) => {
                        let error = self.lose(index, &failure);
                        return self.reply_error(error).await;
                    }
                }
            }
            Err(error) => {
                self.prepared.clear_long_data(id);
                return self.refuse(&Request::Packet(packet), error).await;
            }
        };
        self.prepared.clear_long_data(id);
        let Some(outcome) = self.relay_answer(index, first_sequence).await? else { return Ok(()) };
        let (kind, features) = match self.prepared.by_id.get(&id) {
            // A SET with parameters has not been read: whatever it set stays with this session.
            Some(statement) if statement.kind == StatementKind::Set => {
                (StatementKind::Other, statement.features)
            }
            Some(statement) => (statement.kind, statement.features),
            None => (StatementKind::Other, Features::NONE),
        };
        self.after_statement(index, kind, features, &outcome).await;
        Ok(())
    }

    /// Whether a statement is about the session, so that the text path must answer it.
    fn answers_itself(&mut self, id: u32) -> bool {
        use StatementKind as Kind;
        let Some(statement) = self.prepared.by_id.get(&id) else { return false };
        if statement.kind == Kind::Select
            && statement.params == 0
            && statement.features.intersects(super::builtin::OF_SESSION)
        {
            let (text, features) = (Arc::clone(&statement.text), statement.features);
            let understood = self.scan.run(&text, self.state.lex_mode).is_ok();
            return understood && self.builtin(&text, features).is_some();
        }
        if statement.kind == Kind::Show {
            let text = Arc::clone(&statement.text);
            return self.scan.run(&text, self.state.lex_mode).is_ok()
                && matches!(
                    control::parse(&text, self.state.lex_mode, &self.scan),
                    Ok(Some(Control::Show(show))) if super::builtin::is_of_session(show.kind)
                );
        }
        matches!(
            statement.kind,
            Kind::Begin
                | Kind::StartTransaction
                | Kind::Commit
                | Kind::Rollback
                | Kind::Savepoint
                | Kind::Release
                | Kind::Use
                | Kind::Kill
        ) || (statement.kind == Kind::Set && statement.params == 0)
    }

    /// Runs a prepared statement without parameters by the text path. Its OK is the same in both
    /// protocols; rows that Geogate makes are written in the binary form.
    async fn execute_as_text(&mut self, id: u32, packet: Packet) -> Result<(), End> {
        self.client.framed.consume_packet(packet);
        let Some(statement) = self.prepared.by_id.get(&id) else { return Ok(()) };
        let text = Arc::clone(&statement.text);
        let understood = self.scan.run(&text, self.state.lex_mode).is_ok();
        self.rows = Rows::Binary;
        let payload = [&[code::QUERY], &text[..]].concat();
        let result = self.statement(Request::Payload(payload), understood).await;
        self.rows = Rows::Text;
        result
    }

    /// An execution where there are several servers.
    async fn execute_planned(&mut self, id: u32, packet: Packet) -> Result<(), End> {
        let Some(statement) = self.prepared.by_id.get(&id) else { return Ok(()) };
        let payload = self.client.framed.payload(packet);
        let no_data = Vec::new();
        let values = statement.bound.iter().enumerate().map(|(number, param)| {
            let long = statement.long_data.get(&(number as u16)).unwrap_or(&no_data);
            Ok(param.value(payload, long)?.into_owned())
        });
        let values: Result<Vec<Value<'static>>, Malformed> = values.collect();
        let text = statement.text.to_vec();
        self.prepared.clear_long_data(id);
        let Ok(values) = values else {
            let error = catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"]);
            return self.refuse(&Request::Packet(packet), error).await;
        };
        self.client.framed.consume_packet(packet);
        let mut scan = std::mem::take(&mut self.scan);
        if let Err(error) = scan.run(&text, self.state.lex_mode) {
            return self.reply_error(catalog::SYNTAX.with(&[&error])).await;
        }
        self.rows = Rows::Binary;
        let result = self.run_planned(planned::Statement::prepared(text, scan, values)).await;
        self.rows = Rows::Text;
        result
    }

    /// A connection on which the statement is prepared, and its number there.
    async fn attach_for_execute(
        &mut self,
        id: u32,
        found: Option<OneShard>,
    ) -> Result<(Index, u32), SqlError> {
        let Some(statement) = self.prepared.by_id.get(&id) else {
            return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]));
        };
        let text = Arc::clone(&statement.text);
        let (kind, features) = (statement.kind, statement.features);
        let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
        let attached = if let Some(OneShard { shard, access, topology }) = found {
            let database = topology.keyspace(shard.keyspace()).database.as_bytes();
            self.attach_placed(shard, access, None, database, wants_insert_id).await
        } else {
            let shard = self.services.topology().single_server().ok_or_else(|| {
                catalog::UNSUPPORTED.with(&[&"prepared statements over several servers"])
            })?;
            let hints = self.hints(&text, features)?;
            let access = geo::access(kind, features);
            let database = std::mem::take(&mut self.state.database);
            let hints = hints.as_ref();
            let attached =
                self.attach_placed(shard, access, hints, &database, wants_insert_id).await;
            self.state.database = database;
            attached
        };
        let index = attached?;
        match self.attached[index].lease.prepare(&text).await {
            Ok(server) => Ok((index, server.id)),
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    /// Sends pending long data and the execution, and drops the command from the client's buffer.
    /// Gives the sequence id that the answer begins with.
    async fn send_execute(
        &mut self,
        index: Index,
        id: u32,
        server_id: u32,
        packet: Packet,
        execute: &Execute,
    ) -> Result<u8, Failure> {
        let lease = &mut self.attached[index].lease;
        let Some(statement) = self.prepared.by_id.get(&id) else { return Ok(1) };
        for (param, data) in &statement.long_data {
            let mut argument = server_id.to_le_bytes().to_vec();
            argument.extend_from_slice(&param.to_le_bytes());
            argument.extend_from_slice(data);
            lease.send_command(code::STMT_SEND_LONG_DATA, &argument).await?;
        }
        let payload = self.client.framed.payload_mut(packet);
        let mut sent = packet.len;
        if execute.types == TypesCarried::Yes && packet.len < MAX_PAYLOAD {
            patch_statement_id(payload, server_id)?;
            lease.send(self.client.framed.framed(packet)).await?;
        } else {
            let mut changed = Vec::with_capacity(payload.len() + 2 * statement.bound.len());
            execute.encode(&mut changed, server_id, payload, &statement.bound);
            lease.send_payload(&changed).await?;
            sent = changed.len();
        }
        let first_sequence = crate::backend::first_answer_sequence(sent);
        lease.expect(Expect::Query, first_sequence);
        self.client.framed.consume_packet(packet);
        Ok(first_sequence)
    }

    /// COM_STMT_SEND_LONG_DATA, which is never answered.
    pub(super) fn long_data(&mut self, id: u32, param: u16, data: &[u8]) {
        let limit = self.services.limits.long_data_bytes_max;
        let used = self.prepared.long_data_bytes;
        let Some(statement) = self.prepared.by_id.get_mut(&id) else { return };
        if param >= statement.params {
            statement.long_data_error =
                Some(catalog::WRONG_PARAMETERS.with(&[&"COM_STMT_SEND_LONG_DATA"]));
            return;
        }
        if used + data.len() > limit {
            let reason = format!("{} bytes of long data", used + data.len());
            statement.long_data_error =
                Some(catalog::LIMIT.with(&[&"long_data_bytes_max", &reason]));
            return;
        }
        statement.long_data.entry(param).or_default().extend_from_slice(data);
        self.prepared.long_data_bytes += data.len();
    }

    /// COM_STMT_RESET.
    pub(super) async fn reset_statement(&mut self, id: u32) -> Result<(), End> {
        if !self.prepared.by_id.contains_key(&id) {
            let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_RESET"]);
            return self.reply_error(error).await;
        }
        self.prepared.clear_long_data(id);
        self.reply_ok(0).await
    }

    /// COM_STMT_CLOSE, which is never answered.
    pub(super) fn close_statement(&mut self, id: u32) {
        self.prepared.clear_long_data(id);
        self.prepared.by_id.remove(&id);
    }
}
