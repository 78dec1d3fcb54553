//! What a statement left behind to be asked for: its warnings, ROW_COUNT(), FOUND_ROWS().
//!
//! A server answers from its own memory as long as the session's last statement is the last one of
//! the connection too. The session remembers where that is and goes back there if nobody else has
//! used the connection since. Else it answers from what it has copied: the warnings before it gave
//! the connection back, the counts from the end of the answer.

use std::sync::Arc;

use crate::backend::{Connection, FORGET_WARNINGS, Product};
use crate::error::{SqlError, catalog};
use crate::executor::watch::{Watched, wait_watching};
use crate::geo::Placement;
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::wire::scanner::Outcome;

use super::answer::{Answer, FoundRows, Leaves, Table, Way, Went};
use super::attached;
use super::character_sets::CharacterSets;
use super::connections::Connections;
use super::consistency;
use super::inspect;
use super::reply::{Cell, CellText, Column, Kind};
use super::request::Request;
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_timeout;
use crate::executor::client::Client;

/// A connection that a statement of the session ran on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    pub(super) placement: Placement,
    thread: u32,
}

/// For whatever shard it was used: it is the same connection.
impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        self.thread == other.thread && self.placement.server() == other.placement.server()
    }
}

/// What the last statements left behind, as the session knows it.
#[derive(Debug, Default)]
pub(super) struct Diagnosed {
    /// The warnings of the last statement that was not diagnostic itself.
    pub(super) warnings: Warnings,
    /// Whose server remembers those warnings.
    warnings_at: Option<Home>,
    /// Whose server forgot all warnings with the session's last statement that uses tables.
    clean_at: Option<Home>,
    /// Whose server remembers the counts.
    counts_at: Option<Home>,
}

/// The warnings of a statement.
#[derive(Debug, Default)]
pub(super) enum Warnings {
    /// None.
    #[default]
    None,
    /// The statement failed with this error.
    Error(SqlError),
    /// Rows of SHOW WARNINGS: level, number, text in the character set of the session.
    Noted(Vec<WarningRow>),
}

/// A row of SHOW WARNINGS.
pub(super) type WarningRow = Vec<Option<Vec<u8>>>;

/// The servers' own `max_error_count`, where a session has set none: that of MariaDB.
const WARNINGS_MAX: usize = 64;

/// What a server tells by its own memory of the last statement.
const COUNTS: Features = Features::FOUND_ROWS.with(Features::ROW_COUNT);

/// Whether a SHOW is about the statement before it.
pub(super) fn is_diagnostic(show: ShowKind) -> bool {
    use ShowKind as Of;
    matches!(show, Of::Warnings | Of::Errors | Of::WarningCount | Of::ErrorCount)
}

/// Whether a statement without warnings leaves those of the statement before it: MariaDB forgets
/// them when a statement uses a table, MySQL whenever it does not ask for them.
fn leaves_warnings(kind: StatementKind, features: Features, product: Product) -> bool {
    use StatementKind as Of;
    match kind {
        kind if product == Product::MySql => kind == Of::Diagnostics,
        Of::Select => !features.contains(Features::FROM),
        kind => matches!(kind, Of::Set | Of::Use | Of::Do | Of::Deallocate | Of::Diagnostics),
    }
}

impl Diagnosed {
    /// The last statement was answered by the session itself, without warnings.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The last statement was answered by the session itself, with this error.
    pub(super) fn fail(&mut self, error: SqlError) {
        *self = Self { warnings: Warnings::Error(error), ..Self::default() };
    }

    /// The last statement was answered by the session itself, without warnings; whether those of
    /// the statement before are still there depends on the product.
    pub(super) fn answer_here(&mut self, product: Product) {
        match product {
            Product::MySql => self.clear(),
            Product::MariaDb => self.count_here(),
        }
    }

    /// Another session has used a connection: its server does not know of this one's statements.
    pub(super) fn lose(&mut self, home: Home) {
        for at in [&mut self.warnings_at, &mut self.clean_at, &mut self.counts_at] {
            at.take_if(|at| *at == home);
        }
    }

    /// The counts are what the session says; the warnings stay.
    pub(super) fn count_here(&mut self) {
        self.counts_at = None;
    }
}

impl Attached {
    pub(super) fn home(&self) -> Home {
        Home { placement: self.placement, thread: self.lease.thread_id() }
    }
}

/// Notes what a statement left behind on a connection that is still attached.
pub(super) fn note_diagnostics(
    connections: &mut Connections,
    index: ConnectionId,
    kind: StatementKind,
    features: Features,
    outcome: &Outcome,
) {
    let home = connections.attached[index].home();
    let product = connections.attached[index].lease.kind().product;
    connections.diagnosed.counts_at = Some(home);
    if outcome.is_error() || outcome.warnings > 0 {
        forget_warnings(connections);
        connections.diagnosed.warnings_at = Some(home);
        connections.attached[index].has_warnings = true;
    } else if !leaves_warnings(kind, features, product) {
        connections.diagnosed.clean_at = Some(home);
        if connections.diagnosed.warnings_at == Some(home) {
            // Only the server knows whether it has forgotten them.
            connections.diagnosed.warnings = Warnings::None;
        } else {
            forget_warnings(connections);
        }
    }
}

/// Notes what COMMIT or ROLLBACK left behind on a connection.
pub(super) fn note_completion(
    connections: &mut Connections,
    index: ConnectionId,
    outcome: &Outcome,
) {
    if outcome.warnings > 0 {
        note_diagnostics(connections, index, StatementKind::Commit, Features::NONE, outcome);
    }
}

/// Notes what preparing a statement left behind. One that is diagnostic itself leaves all as it
/// was.
pub(super) fn note_preparation(
    connections: &mut Connections,
    index: ConnectionId,
    kind: StatementKind,
    features: Features,
    outcome: &Outcome,
) {
    let counts_at = connections.diagnosed.counts_at;
    let kind = if kind == StatementKind::Show { StatementKind::Diagnostics } else { kind };
    note_diagnostics(connections, index, kind, features, outcome);
    connections.diagnosed.counts_at = counts_at;
}

/// How many warnings are kept of a statement.
pub(super) fn warnings_max(connections: &Connections) -> usize {
    let set = connections
        .mirror
        .settings
        .get("max_error_count")
        .and_then(|literal| std::str::from_utf8(literal).ok()?.trim_matches('\'').parse().ok());
    set.unwrap_or(WARNINGS_MAX)
}

/// Forgets the warnings of the statement before.
pub(super) fn forget_warnings(connections: &mut Connections) {
    connections.diagnosed.warnings = Warnings::None;
    connections.diagnosed.warnings_at = None;
    for attached in connections.attached.iter_mut() {
        attached.has_warnings = false;
    }
}

/// Goes back to the connection that remembers ROW_COUNT() and FOUND_ROWS(), if a statement asks
/// for them and nothing else ran there.
pub(super) fn go_to_counts(connections: &mut Connections, features: Features) {
    if !features.intersects(COUNTS) {
        return;
    }
    let Some(home) = connections.diagnosed.counts_at else { return };
    let Some(index) = go_home(connections, home) else { return };
    let attached = &mut connections.attached[index];
    if attached.lease.last_use().is_statement_of(connections.control.id) {
        attached.held = true;
    }
}

/// Goes back to the connection that remembers the warnings, for a statement that asks for them.
pub(super) fn go_to_warnings(connections: &mut Connections) -> Option<ConnectionId> {
    let home = connections.diagnosed.warnings_at?;
    let session = connections.control.id;
    let index = go_home_if(connections, home, |connection| connection.has_warnings_of(session))?;
    connections.attached[index].held = true;
    Some(index)
}

/// The connection of `home`, if it is attached or nobody else has used it since.
pub(super) fn go_home(connections: &mut Connections, home: Home) -> Option<ConnectionId> {
    go_home_if(connections, home, |_| true)
}

/// The same if the connection is as `wanted`.
fn go_home_if(
    connections: &mut Connections,
    home: Home,
    wanted: impl Fn(&Connection) -> bool,
) -> Option<ConnectionId> {
    if let Some(index) = connections.attached.find(|attached| attached.home() == home) {
        return wanted(&connections.attached[index].lease).then_some(index);
    }
    let server = home.placement.server();
    if connections.attached.to(server).is_some() {
        return None;
    }
    let pool = connections.services.pool(home.placement);
    let session = connections.control.id;
    let lease = pool.reclaim(connections.worker, home.thread, session, wanted)?;
    Some(statement_timeout::enter(connections, Attached::new(lease, home.placement)))
}

/// Asks a connection that the session keeps for the warnings of its last statement, before it
/// is asked what would make it forget them.
pub(super) async fn learn_warnings(connections: &mut Connections) {
    let home = connections.diagnosed.warnings_at.take();
    let session = connections.control.id;
    let remembers = |attached: &&mut Attached| {
        (attached.has_warnings || home.is_some_and(|home| attached.home() == home))
            && attached.lease.has_warnings_of(session)
    };
    let Some(attached) = connections.attached.iter_mut().find(remembers) else { return };
    attached.has_warnings = false;
    // A connection that fails here fails the next statement, which then tells why.
    if let Ok(rows) = attached.lease.rows(b"SHOW WARNINGS").await {
        connections.diagnosed.warnings = Warnings::Noted(rows);
    }
}

/// The same of one connection, while others may be busy.
pub(super) async fn learn_warnings_of(connections: &mut Connections, index: ConnectionId) {
    let session = connections.control.id;
    let attached = &mut connections.attached[index];
    let home = attached.home();
    let is_home = connections.diagnosed.warnings_at.take_if(|at| *at == home).is_some();
    let has_some = std::mem::take(&mut attached.has_warnings) || is_home;
    if has_some
        && attached.lease.has_warnings_of(session)
        && let Ok(rows) = attached.lease.rows(b"SHOW WARNINGS").await
    {
        connections.diagnosed.warnings = Warnings::Noted(rows);
    }
}

/// Goes to the connection that remembers the warnings, if a statement asks for them.
pub(super) fn recall(
    connections: &mut Connections,
    kind: StatementKind,
    features: Features,
    text: &[u8],
) {
    let asks = features.contains(Features::SYSTEM_VARIABLE) && asks_for_warnings(text);
    if asks || kind == StatementKind::Diagnostics {
        go_to_warnings(connections);
    }
}

/// Whether a text with system variables may have one about the last statement's warnings.
fn asks_for_warnings(text: &[u8]) -> bool {
    let is = |name: &'static [u8]| move |part: &[u8]| part.eq_ignore_ascii_case(name);
    text.windows(13).any(is(b"warning_count")) || text.windows(11).any(is(b"error_count"))
}

/// Goes to the connection whose diagnostics GET DIAGNOSTICS reads.
pub(super) async fn go_to_diagnostics(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
) -> Result<(), SqlError> {
    if go_to_warnings(connections).is_some() {
        return Ok(());
    }
    if !matches!(connections.diagnosed.warnings, Warnings::None) {
        return Err(catalog::DIAGNOSTICS_LOST.error());
    }
    if let Some(index) = connections.diagnosed.clean_at.and_then(|home| go_home(connections, home))
    {
        connections.attached[index].held = true;
        return Ok(());
    }
    go_to_fresh(client, connections, state, Some(FORGET_WARNINGS)).await
}

/// Goes to a connection on which nothing was done since it was made or reset but `first`,
/// unless the session has some already.
pub(super) async fn go_to_fresh(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    first: Option<&[u8]>,
) -> Result<(), SqlError> {
    let topology = connections.services.topology.load_full();
    let Some(shard) = connections.mode.only() else { return Ok(()) };
    if !connections.attached.is_empty() {
        return Ok(());
    }
    let placement = consistency::place_anywhere(connections, state, &topology, shard)?;
    let index = attached::attach_here(client, connections, state, placement, false).await?;
    let lease = &mut connections.attached[index].lease;
    let mut done = lease.reset().await;
    if let (Ok(()), Some(first)) = (&done, first) {
        done = lease.execute(first).await.map(drop);
    }
    if let Err(failure) = done {
        return Err(connections.fail(index, failure).await);
    }
    let attached = &mut connections.attached[index];
    attached.lease.note_session(connections.control.id);
    attached.held = true;
    Ok(())
}

/// Goes to the connection of `home`, whoever has used it since, and waits while somebody does.
/// Another connection to the same server is kept if the session has one.
pub(super) async fn wait_for_home(client: &mut Client, connections: &mut Connections, home: Home) {
    let server = home.placement.server();
    if connections.attached.to(server).is_some() {
        return;
    }
    let pool = Arc::clone(connections.services.pool(home.placement));
    let found = pool.reclaim_thread(connections.worker, connections.profile, home.thread);
    let found = wait_watching(client, &connections.control, found).await;
    let Watched::Done(Some(mut lease)) = found else { return };
    lease.note_session(connections.control.id);
    connections.diagnosed.lose(home);
    statement_timeout::enter(
        connections,
        Attached { held: true, ..Attached::new(lease, home.placement) },
    );
}

/// SHOW WARNINGS and its kin.
pub(super) async fn show_diagnostics(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    show: &Show,
) -> Went {
    if go_to_warnings(connections).is_some() && connections.mode.is_single() {
        return Ok(Way::Servers(StatementKind::Diagnostics, state.scan.features()));
    }
    let limit = show.rest.and_then(|span| {
        let text = request.text(client);
        limit_of(text.get(span.start as usize..span.end as usize).unwrap_or_default())
    });
    if show.rest.is_some() && limit.is_none() {
        // The server says what is wrong with it.
        return inspect::show_on_server(client, connections, state, request, show).await;
    }
    learn_warnings(connections).await;
    let errors_only = matches!(show.kind, ShowKind::Errors | ShowKind::ErrorCount);
    let (skip, take) = limit.unwrap_or((0, usize::MAX));
    let rows = connections.diagnosed.warnings.rows(errors_only, &connections.mirror.character_sets);
    let rows: Vec<_> = rows.into_iter().skip(skip).take(take).collect();
    if matches!(show.kind, ShowKind::WarningCount | ShowKind::ErrorCount) {
        let name = if errors_only { "@@session.error_count" } else { "@@session.warning_count" };
        let count = vec![Some(rows.len().to_string())];
        let answer = Answer::text(vec![Column::new(name, Kind::Count)], vec![count]);
        return Ok(answer.leaving(Leaves::Warnings).into());
    }
    let columns = vec![
        Column::new("Level", Kind::Filled(7)),
        Column::new("Code", Kind::Code),
        Column::new("Message", Kind::Filled(512)),
    ];
    let (leaves, found_rows) = (Leaves::Warnings, FoundRows::AsBefore);
    Ok(Answer::Rows(Box::new(Table { columns, rows, leaves, found_rows })).into())
}

impl Warnings {
    /// How many there are, or how many errors.
    pub(super) fn count(&self, errors_only: bool, sets: &CharacterSets) -> usize {
        self.rows(errors_only, sets).len()
    }

    /// The rows of SHOW WARNINGS, or of SHOW ERRORS.
    fn rows(&self, errors_only: bool, sets: &CharacterSets) -> Vec<Vec<Cell>> {
        match self {
            Self::None => Vec::new(),
            Self::Error(error) => vec![vec![
                Some(CellText::Encoded(b"Error".to_vec())),
                Some(CellText::Encoded(error.errno.to_string().into_bytes())),
                Some(CellText::Encoded(sets.message(error).into_owned())),
            ]],
            Self::Noted(rows) => {
                let wanted = |row: &&WarningRow| {
                    !errors_only || row.first().is_some_and(|l| l.as_deref() == Some(b"Error"))
                };
                let cells = |row: &WarningRow| {
                    row.iter().map(|cell| cell.clone().map(CellText::Encoded)).collect()
                };
                rows.iter().filter(wanted).map(cells).collect()
            }
        }
    }
}

/// Rows to skip and to show of `LIMIT n`, `LIMIT skip, n` and `LIMIT n OFFSET skip`.
fn limit_of(text: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let numbers = text.trim().strip_prefix("limit")?;
    let number = |text: &str| text.trim().parse::<usize>().ok();
    if let Some((skip, take)) = numbers.split_once(',') {
        return Some((number(skip)?, number(take)?));
    }
    if let Some((take, skip)) = numbers.split_once("offset") {
        return Some((number(skip)?, number(take)?));
    }
    Some((0, number(numbers)?))
}
