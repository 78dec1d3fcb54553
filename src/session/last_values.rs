//! LASTVAL() and PREVIOUS VALUE FOR: the number that this session took from a sequence last.
//!
//! Only the server connection on which it was taken knows. The session goes back there if nobody
//! else has used it since, as for ROW_COUNT(); else the question is refused, because the answer
//! would be another session's number or NULL.

use crate::error::{SqlError, catalog};
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::sequence_use::{Sequence, SequenceUse};
use crate::sql::statement_kind::StatementKind;

use super::connections::Connections;
use super::diagnostics;
use super::diagnostics::Home;
use super::hold::Read;
use super::shard_connections::ConnectionId;
use super::state::State;
use crate::executor::client::Client;

/// Which connection knows the last numbers of which sequences.
#[derive(Debug, Default)]
pub(super) struct LastValues {
    at: Option<Home>,
    known: Known,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Known {
    /// All statements that may have taken numbers ran there.
    #[default]
    All,
    /// Numbers may have been taken elsewhere before; of these sequences the last was taken there.
    Only(Vec<Sequence>),
}

impl LastValues {
    /// The session begins anew.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The connection was taken from the pool anew: others may have used it, or it was reset.
    pub(super) fn lose(&mut self, home: Home) {
        if self.at == Some(home) {
            self.known = Known::Only(Vec::new());
        }
    }
}

/// The sequences that a statement takes numbers from, as seen from the session's database.
pub(super) fn sequences(database: &[u8], read: Read<'_>) -> SequenceUse {
    let mut found = SequenceUse::of(read.text, read.mode, read.scan);
    let own = String::from_utf8_lossy(database);
    for sequence in found.taken.iter_mut().chain(&mut found.asked) {
        sequence.database.get_or_insert_with(|| own.clone().into_owned());
    }
    found
}

/// Notes that a statement that ran on a connection may have taken numbers.
#[inline]
pub(super) fn note_last_values(
    connections: &mut Connections,
    index: ConnectionId,
    kind: StatementKind,
    features: Features,
) {
    use StatementKind as Of;
    let takes = features.intersects(Features::SEQUENCE.with(Features::UNKNOWN_FUNCTION))
        || matches!(
            kind,
            Of::Insert | Of::Replace | Of::LoadData | Of::Call | Of::Compound | Of::Execute
        );
    if takes {
        note_taken(connections, index);
    }
}

fn note_taken(connections: &mut Connections, index: ConnectionId) {
    let taken = connections.pending.as_mut().map(|pending| std::mem::take(&mut pending.sequences));
    let taken = taken.unwrap_or_default();
    let attached = &mut connections.attached[index];
    let home = attached.home();
    let is_same = connections.last_values.at == Some(home) && attached.resumed;
    attached.resumed = true;
    if is_same {
        if let Known::Only(known) = &mut connections.last_values.known {
            for sequence in taken {
                if !known.contains(&sequence) {
                    known.push(sequence);
                }
            }
        }
        return;
    }
    let known = if connections.last_values.at.is_none() { Known::All } else { Known::Only(taken) };
    connections.last_values = LastValues { at: Some(home), known };
}

/// Goes to the connection that knows the last numbers that a statement asks for.
pub(super) async fn go_to_last_values(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    text: &[u8],
) -> Result<(), SqlError> {
    let mut scan = Scan::new();
    if scan.run(text, connections.mirror.lex_mode).is_err() {
        return Ok(());
    }
    let read = Read { text, mode: connections.mirror.lex_mode, scan: &scan };
    let asked = sequences(&state.database, read).asked;
    let Some(home) = connections.last_values.at else {
        return diagnostics::go_to_fresh(client, connections, state, None).await;
    };
    let is_known = match &connections.last_values.known {
        Known::All => true,
        Known::Only(known) => asked.iter().all(|sequence| known.contains(sequence)),
    };
    if is_known && let Some(index) = diagnostics::go_home(connections, home) {
        connections.attached[index].resumed = true;
        connections.attached[index].held = true;
        return Ok(());
    }
    let name = asked.first().map_or("", |sequence| &sequence.name);
    Err(catalog::LAST_VALUE_LOST.with(&[&name]))
}
