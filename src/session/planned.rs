//! Statements over several servers: find or make the plan, resolve its shards, run it.
//!
//! A plan that resolves to one shard takes the same way as a pass-through: the client's bytes (or
//! the spliced text) go to one server and its answer is relayed.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::Limits;
use crate::engine::bindings::BoundStatement;
use crate::engine::plan::{
    Access, Bindings as _, GivenValue, Plan, Primitive, Resolution, Route, SessionValue, ShardPart,
    StatementKind as PlanKind,
};
use crate::engine::template::Rendered;
use crate::error::{SqlError, catalog};
use crate::executor::relay::AnswerEnd;
use crate::geo::{self, Placement};
use crate::planner::cache::PlanKeyRef;
use crate::planner::input::{PlanInput, Target};
use crate::planner::{self};
use crate::sql::ast::HoleId;
use crate::sql::features::Features;
use crate::sql::parse::parse;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;
use crate::topology::{KeyspaceIndex, ShardId, Topology};
use crate::vschema::Strictness;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran};
use super::connections::Connections;
use super::consistency;
use super::consistency::ReadOptions;
use super::copies;
use super::definition;
use super::definition::defines;
use super::exchange;
use super::exchange::{Exchanged, Tries};
use super::execute;
use super::forward;
use super::insert_ids;
use super::job::{InsertId, Job};
use super::mirror::Mirror;
use super::piece;
use super::request::Source;
use super::scatter;
use super::scatter_write;
use super::sequence;
use super::state::State;
use super::statement::Statement;
use super::tally;
use super::total;
use crate::executor::client::Client;

/// What one shard gets.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) shard: ShardId,
    pub(super) text: Vec<u8>,
    /// The holes of the `?` in the text.
    pub(super) placeholders: Vec<HoleId>,
}

impl Mirror {
    /// What the plan reads of the statement.
    pub(super) fn bindings<'a>(&self, statement: &'a Statement) -> BoundStatement<'a> {
        BoundStatement {
            text: &statement.text,
            scan: &statement.scan,
            mode: self.lex_mode,
            charset: self.character_sets.literals(),
            parameters: &statement.parameters,
            zero: self.zero,
            session: &statement.session_values,
        }
    }

    /// Whether the names in a statement can be compared with those of the VSchema, which are UTF-8.
    pub(super) fn can_read_names(&self, scan: &Scan) -> bool {
        self.character_sets.names_are_utf8() || scan.skeleton().is_ascii()
    }

    /// The text for each shard.
    fn render(
        &self,
        route: &Route,
        statement: &Statement,
        topology: &Topology,
        parts: &[ShardPart],
        generated: &[u64],
    ) -> Result<Vec<Piece>, SqlError> {
        let keyspace = topology
            .find_keyspace(&route.keyspace)
            .ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&route.keyspace]))?;
        let bindings = self.bindings(statement);
        let render = |part: &ShardPart| {
            let mut rendered = Rendered::default();
            route.query.render(&bindings, part, generated, &mut rendered)?;
            let Rendered { text, placeholders } = rendered;
            Ok(Piece { shard: topology.shard(keyspace, part.shard), text, placeholders })
        };
        parts.iter().map(render).collect()
    }
}

/// Runs a statement by a plan. The request has been consumed.
pub(super) async fn run_planned(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    statement: Statement,
) -> Ran {
    let says_something = |b: &u8| !b.is_ascii_whitespace() && *b != b';';
    if statement.kind == StatementKind::Empty && statement.text.iter().any(says_something) {
        // Nothing but comments, which servers take for a statement.
        return Ok(Answer::ok(0));
    }
    if statement.kind == StatementKind::Empty {
        let error = SqlError::from_server(1065, *b"42000", "Query was empty");
        return Err(error.into());
    }
    let mut plan = plan(connections, state, &statement)?;
    if !plan.schemas.is_empty() {
        plan = plan_about(connections, state, &statement, plan)?;
    }
    let mut statement = statement;
    statement.hints = consistency::hints(connections, state, &statement.text, statement.features)?;
    statement.session_values = session_values(connections, state, statement.features);
    copies::check_copies(connections, state, &plan, statement.hints.as_ref())?;
    let result = run_primitive(client, connections, state, &plan, &plan.root, &statement).await;
    state.scan = statement.scan;
    result
}

/// The plan of a statement about schemas: that of a session in the keyspace that it names.
fn plan_about(
    connections: &Connections,
    state: &mut State,
    statement: &Statement,
    own: Arc<Plan>,
) -> Result<Arc<Plan>, SqlError> {
    let topology = connections.services.topology();
    let bindings = connections.mirror.bindings(statement);
    let mut named: Vec<KeyspaceIndex> = Vec::new();
    for hole in &own.schemas {
        let value = bindings.value(*hole);
        let Value::Text(name) = &value else { continue };
        let keyspace = std::str::from_utf8(name).ok().and_then(|n| topology.find_keyspace(n));
        let Some(keyspace) = keyspace else { continue };
        if !named.contains(&keyspace) {
            named.push(keyspace);
        }
    }
    let Some(first) = named.first() else { return Ok(own) };
    let only_server = |keyspace: &KeyspaceIndex| {
        let shards = topology.keyspace(*keyspace).shard_map().len();
        topology.primary(topology.shard(*keyspace, 0)).filter(|_| shards == 1)
    };
    let server = only_server(first);
    let together = server.is_some() && named.iter().all(|other| only_server(other) == server);
    if named.len() > 1 && !together {
        let what = "asking information_schema about several keyspaces, whose servers each know \
                    their own";
        return Err(catalog::UNSUPPORTED.advising(&[&what], "ask about each of them by itself"));
    }
    let keyspace = &topology.keyspace(*first).name;
    if state.target.keyspace.as_ref() == Some(keyspace) {
        return Ok(own);
    }
    let target = Target { keyspace: Some(Arc::clone(keyspace)), ..state.target.clone() };
    let before = std::mem::replace(&mut state.target, target);
    let found = plan(connections, state, statement);
    state.target = before;
    found
}

/// The plan of a statement, from its generation's cache or made now.
pub(super) fn plan(
    connections: &Connections,
    state: &mut State,
    statement: &Statement,
) -> Result<Arc<Plan>, SqlError> {
    let generation = Arc::clone(state.generation.hold(&connections.services.serving)?);
    let key = PlanKeyRef {
        skeleton: statement.scan.skeleton(),
        target: &state.target,
        lex_mode: connections.mirror.lex_mode,
        strictness: Strictness::Strict,
    };
    state.tally.query.side = tally::side_of(&connections.services, &generation);
    let readable = connections.mirror.can_read_names(&statement.scan);
    if readable && let Some(plan) = generation.plans().find(&key) {
        connections.services.metrics.record_plan_hit(connections.worker);
        return Ok(plan);
    }
    connections.services.metrics.record_plan_miss(connections.worker);
    let input = PlanInput {
        text: &statement.text,
        scan: &statement.scan,
        mode: connections.mirror.lex_mode,
        reference_copies: connections.services.reference_copies,
        vschema: generation.vschema(),
        target: &state.target,
        strictness: Strictness::Strict,
        columns: &**generation.columns(),
    };
    if !readable {
        // Still passed on where one shard has everything.
        let what = format!(
            "names beyond ASCII in character set {} over several shards",
            connections.mirror.character_sets.client()
        );
        let refused = || catalog::UNSUPPORTED.advising(&[&what], "SET NAMES utf8mb4");
        return planner::plan_unparsed(&input)
            .map(Arc::new)
            .map_err(|unplanned| unplanned.or_else(refused));
    }
    let plan = match parse(&statement.text, connections.mirror.lex_mode, &statement.scan) {
        Ok(tree) => planner::plan(&tree, &input)?,
        // What cannot be parsed can still be passed on where one shard has everything.
        Err(error) => planner::plan_unparsed(&input)
            .map_err(|unplanned| unplanned.or_else(|| planner::unread(&error, statement.kind)))?,
    };
    let plan = Arc::new(plan);
    generation.plans().insert(key.to_owned(), Arc::clone(&plan));
    Ok(plan)
}

async fn run_primitive(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    plan: &Plan,
    primitive: &Primitive,
    statement: &Statement,
) -> Ran {
    let route = match primitive {
        Primitive::Route(route) => route,
        Primitive::Merge(merge) => &merge.route,
        Primitive::NextValue(next) => {
            return sequence::next_value(connections, next, statement).await;
        }
    };
    let topology = connections.services.topology.load_full();
    let keyspace = topology
        .find_keyspace(&route.keyspace)
        .ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&route.keyspace]))?;
    tally::tally_route(state, route.routing.opcode(), keyspace);
    let (generated, insert_id) = generated(connections, route, statement).await?;
    let parts = parts(connections, state, &topology, keyspace, route, statement, &generated);
    let (parts, anywhere) = match (parts, &plan.otherwise) {
        (Ok(parts), _) => parts,
        (Err(_), Some(otherwise)) if !std::ptr::eq(&raw const **otherwise, primitive) => {
            let ran = run_primitive(client, connections, state, plan, otherwise, statement);
            return Box::pin(ran).await;
        }
        (Err(error), _) => return Err(error.into()),
    };
    let mirror = &connections.mirror;
    let pieces = mirror.render(route, statement, &topology, &parts, &generated)?;
    let pieces = mirror.with_copies(route, statement, &topology, pieces)?;
    let pieces = check_fan_out(&connections.limits, pieces)?;
    if pieces.len() > 1 {
        connections.services.metrics.record_scatter(connections.worker);
    }
    let access = geo_access(plan, statement.kind, statement.features);
    let rows = total::rows_of(state, plan, pieces.len());
    let job = Job {
        primitive,
        statement,
        topology: &topology,
        keyspace,
        access,
        insert_id,
        rows,
        anywhere,
    };
    if let Some(id) = statement.cursor_of(plan).filter(|_| !pieces.is_empty()) {
        return scatter::run_described(client, connections, state, &job, pieces, Some(id)).await;
    }
    match (&pieces[..], primitive) {
        ([piece], _) if route.generate.as_ref().is_some_and(|generate| generate.returning) => {
            run_returning(client, connections, state, &job, piece).await
        }
        ([piece], Primitive::Route(_))
            if route.generate.is_none() && plan.kind != PlanKind::Ddl =>
        {
            run_on_one(client, connections, state, &job, piece).await
        }
        _ if plan.kind == PlanKind::Ddl => {
            definition::run_ddl(client, connections, state, &job, pieces).await
        }
        _ if plan.access == Access::Write => {
            scatter_write::run_write(client, connections, state, &job, pieces).await
        }
        _ => scatter::run_described(client, connections, state, &job, pieces, None).await,
    }
}

/// The shards of a route, and which of its rows each of them gets; and whether any other shard
/// would do as well.
fn parts(
    connections: &Connections,
    state: &State,
    topology: &Topology,
    keyspace: KeyspaceIndex,
    route: &Route,
    statement: &Statement,
    generated: &[u64],
) -> Result<(SmallVec<[ShardPart; 1]>, bool), SqlError> {
    let map = topology.keyspace(keyspace).shard_map();
    let bindings = connections.mirror.bindings(statement);
    match route.routing.resolve(&bindings, map, generated) {
        Resolution::Shards(parts) => Ok((parts, false)),
        Resolution::AnyShard => {
            let hints = statement.hints.as_ref();
            let shard = any_shard(connections, state, topology, keyspace, hints);
            Ok((smallvec::smallvec![ShardPart::whole(shard)], true))
        }
        Resolution::AllShards => Ok(((0..map.len()).map(ShardPart::whole).collect(), false)),
        Resolution::Unusable(error) => Err(error),
    }
}

fn check_fan_out(limits: &Limits, pieces: Vec<Piece>) -> Result<Vec<Piece>, SqlError> {
    let shards = pieces.len();
    if shards <= limits.fan_out_max {
        return Ok(pieces);
    }
    Err(catalog::LIMIT.with(&[&"fan_out_max", &format!("{shards} shards")]))
}

/// The values of a sequence that the rows of an INSERT get, and the insert id of its answer.
async fn generated(
    connections: &Connections,
    route: &Route,
    statement: &Statement,
) -> Result<(Vec<u64>, InsertId), SqlError> {
    let Some(generate) = &route.generate else { return Ok((Vec::new(), InsertId::Server)) };
    let (wanted, given) = {
        let bindings = connections.mirror.bindings(statement);
        let wanted: Vec<bool> = generate.wanted(&bindings).collect();
        let given = match generate.rows.last() {
            Some(GivenValue::Hole(hole)) => whole_number(&bindings.value(*hole)),
            _ => None,
        };
        (wanted, given)
    };
    let (values, first) = sequence::generate(connections, generate, &wanted).await?;
    let insert_id = match (first, given) {
        (Some(first), _) => InsertId::Generated(first),
        (None, Some(given)) => InsertId::Given(given),
        (None, None) => InsertId::Server,
    };
    Ok((values, insert_id))
}

/// A shard on which a statement can be prepared, and the text that is prepared there: enough to
/// learn its parameters and columns.
pub(super) fn sample_piece(
    connections: &Connections,
    state: &mut State,
    statement: &Statement,
    topology: &Topology,
) -> Result<(ShardId, Vec<u8>), SqlError> {
    let plan = plan(connections, state, statement)?;
    let (route, whole) = match &plan.root {
        Primitive::Route(route) => (&**route, true),
        Primitive::Merge(merge) => (&merge.route, false),
        Primitive::NextValue(_) => {
            let what = "SELECT NEXT VALUE as a prepared statement";
            return Err(catalog::UNSUPPORTED.advising(&[&what], "send the statement as text"));
        }
    };
    let keyspace = topology
        .find_keyspace(&route.keyspace)
        .ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&route.keyspace]))?;
    let shard = topology.shard(keyspace, any_shard(connections, state, topology, keyspace, None));
    // A merge has columns that the client must not see: the client's own text has its columns.
    if !whole || route.generate.is_some() {
        return Ok((shard, statement.text.clone()));
    }
    let whole = ShardPart::whole(shard.index());
    let pieces = connections.mirror.render(route, statement, topology, &[whole], &[])?;
    Ok((shard, pieces.into_iter().next().map_or(Vec::new(), |piece| piece.text)))
}

fn session_values(
    connections: &Connections,
    state: &State,
    features: Features,
) -> Vec<(SessionValue, Vec<u8>)> {
    let wanted = Features::LAST_INSERT_ID
        .with(Features::FOUND_ROWS)
        .with(Features::ROW_COUNT)
        .with(Features::CONNECTION_ID)
        .with(Features::DATABASE)
        .with(Features::USER);
    if !features.intersects(wanted) {
        return Vec::new();
    }
    let text = |text: &str| connections.mirror.character_sets.literal(text);
    let number = |number: String| number.into_bytes();
    let user = format!("{}@{}", state.login.user, state.login.host);
    let database = match &state.target.keyspace {
        Some(keyspace) => text(keyspace),
        None => b"NULL".to_vec(),
    };
    vec![
        (SessionValue::LastInsertId, number(connections.mirror.last_insert_id.to_string())),
        (SessionValue::FoundRows, number(state.found_rows.to_string())),
        (SessionValue::RowCount, number(state.row_count.to_string())),
        (SessionValue::ConnectionId, number(connections.control.id.to_string())),
        (SessionValue::User, text(&user)),
        (SessionValue::Database, database),
    ]
}

/// A shard whose server is attached already, else one that is near if that is allowed to answer,
/// else the first whose server is not seen down.
pub(super) fn any_shard(
    connections: &Connections,
    state: &State,
    topology: &Topology,
    keyspace: KeyspaceIndex,
    hints: Option<&ReadOptions>,
) -> usize {
    let attached = |shard: &ShardId| {
        let primary = topology.primary(*shard);
        connections.attached.iter().any(|a| Some(a.placement.server()) == primary)
    };
    let near = |shard: &ShardId| consistency::is_near(state, topology, *shard, hints);
    let answers = |shard: &ShardId| geo::answers(topology, *shard);
    let quick =
        |shard: &ShardId| connections.services.answers(topology, *shard, connections.lost_at);
    let shards = || topology.shards(keyspace);
    let found = shards().find(attached).or_else(|| shards().find(near));
    let found = found.or_else(|| shards().find(quick));
    found.or_else(|| shards().find(answers)).map_or(0, ShardId::index)
}

/// The server that answers for a shard.
pub(super) fn place_piece(
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    shard: ShardId,
) -> Result<Placement, SqlError> {
    consistency::place(connections, state, job.topology, &job.aim(shard))
}

/// One shard: its answer is relayed as it comes.
async fn run_on_one(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    piece: &Piece,
) -> Ran {
    let statement = job.statement;
    let database = job.topology.keyspace(piece.shard.keyspace()).database.as_bytes();
    let aim = job.aim(piece.shard);
    // Others plan with the new columns from the answer on.
    let end = if defines(statement.kind) { AnswerEnd::Kept } else { AnswerEnd::Forwarded };
    let mut tries = Tries::default();
    loop {
        let index = consistency::attach_placed(client, connections, state, &aim, database).await?;
        let payload =
            piece::piece_payload(client, connections, index, piece, statement, database).await;
        let source = match payload {
            Ok(payload) => Source::Payload(payload),
            Err(error) => {
                let error = execute::fail_prepare(connections, index, error).await;
                if tries.again(&error) {
                    continue;
                }
                return Err(error.into());
            }
        };
        let expect = Expect::Query;
        match exchange::exchange_once(client, connections, index, &source, expect, end).await? {
            Exchanged::Outcome(outcome) => {
                let (kind, features) = (statement.kind, statement.features);
                forward::after_statement(connections, state, index, kind, features, &outcome).await;
                let sent = client.framed.out.is_empty();
                return Ok(if sent { Answer::Sent } else { Answer::Buffered });
            }
            Exchanged::Lost(lost) => {
                exchange::run_again(client, connections, state, &aim, lost).await?;
            }
        }
    }
}

/// One shard, whose answer to an INSERT with a number from a sequence is rows: they do not tell the
/// insert id, and the server, which was given it, has none.
async fn run_returning(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    piece: &Piece,
) -> Ran {
    insert_ids::learn_insert_id(connections).await;
    let before = connections.mirror.last_insert_id;
    let ran = run_on_one(client, connections, state, job, piece).await?;
    for index in connections.attached.ids() {
        connections.attached[index].insert_id_unknown = false;
    }
    connections.mirror.last_insert_id = match job.insert_id {
        InsertId::Generated(first) if !client.failed => first,
        _ => before,
    };
    Ok(ran)
}

/// What a planned statement does to the rows. The planner knows whether WITH begins a write.
pub(super) fn geo_access(plan: &Plan, kind: StatementKind, features: Features) -> geo::Access {
    match (plan.access, kind) {
        (Access::Write | Access::LockingRead, _) => geo::Access::Write,
        (Access::Read, StatementKind::With) => geo::access(StatementKind::Select, features),
        (Access::Read, kind) => geo::access(kind, features),
    }
}

/// A value that an AUTO_INCREMENT column would take as it is.
fn whole_number(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        Value::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
