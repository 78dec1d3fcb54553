//! Session state changes in answers that Geogate writes itself, for clients that track them.
//!
//! Answers that are relayed carry the server's own entries. What a server told in answer to a
//! statement of Geogate's (the GTID of a COMMIT) or what no server knows (a transaction that was
//! begun, a keyspace in use) is collected here and goes with the next OK.

use crate::backend::Product;
use crate::wire::capability::Capabilities;
use crate::wire::session_track::SessionChange;

use super::connections::Connections;
use super::mirror::Mirror;
use super::shard_connections::ConnectionId;
use super::transaction::Transaction;

/// What `session_track_transaction_info` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TransactionInfo {
    Off,
    State,
    Characteristics,
}

/// The state of a transaction that was begun and has done nothing yet.
const BEGUN: &[u8] = b"T_______";
/// The state outside of a transaction.
const NONE: &[u8] = b"________";

/// Session state changes that go with the next OK of Geogate's own.
#[derive(Debug)]
pub(super) struct Tracked {
    /// Whether the client tracks any.
    wanted: bool,
    pub(super) entries: Vec<u8>,
}

impl Tracked {
    /// For a client that can do this.
    pub(super) fn new(client: Capabilities) -> Self {
        Self { wanted: client.contains(Capabilities::SESSION_TRACK), entries: Vec::new() }
    }
}

impl Mirror {
    fn transaction_info(&self) -> TransactionInfo {
        let setting = self.settings.get("session_track_transaction_info");
        let word = setting.unwrap_or_default().to_ascii_uppercase();
        match word.trim_ascii() {
            b"STATE" | b"'STATE'" | b"1" => TransactionInfo::State,
            b"CHARACTERISTICS" | b"'CHARACTERISTICS'" | b"2" => TransactionInfo::Characteristics,
            _ => TransactionInfo::Off,
        }
    }
}

/// Whether the client wants to be told of transactions.
pub(super) fn tracks_transactions(connections: &Connections) -> bool {
    connections.mirror.transaction_info() != TransactionInfo::Off
}

/// A keyspace is in use that no server was told of.
pub(super) fn track_schema(connections: &mut Connections, name: &[u8]) {
    let setting = connections.mirror.settings.get("session_track_schema");
    if connections.tracked.wanted && setting.is_none_or(super::assignment::is_on) {
        SessionChange::Schema(name).encode(&mut connections.tracked.entries);
    }
}

/// A transaction was begun or has ended here.
pub(super) fn track_transaction(connections: &mut Connections) {
    if connections.tracked.wanted && connections.mirror.transaction_info() != TransactionInfo::Off {
        tell_transaction(connections);
    }
}

/// The same by BEGIN, or after it: MySQL tells this to whoever tracks anything at all.
pub(super) fn track_begun_transaction(connections: &mut Connections) {
    if connections.tracked.wanted && connections.services.product() == Product::MySql {
        tell_transaction(connections);
    } else {
        track_transaction(connections);
    }
}

fn tell_transaction(connections: &mut Connections) {
    let open = matches!(connections.transaction, Transaction::Open(_));
    let told = if open { BEGUN } else { NONE };
    SessionChange::TransactionState(told).encode(&mut connections.tracked.entries);
    track_characteristics(connections);
}

/// The statements that would begin a transaction like the present or the next one have changed.
pub(super) fn track_characteristics(connections: &mut Connections) {
    if !connections.tracked.wanted
        || connections.mirror.transaction_info() != TransactionInfo::Characteristics
    {
        return;
    }
    let characteristics = connections.transaction.characteristics();
    SessionChange::TransactionCharacteristics(&characteristics)
        .encode(&mut connections.tracked.entries);
}

/// Collects what a server told with the answer to a statement of Geogate's own that stands for
/// one of the client's: GTIDs and variables, but not transactions, which are told above.
pub(super) fn collect_tracked(connections: &mut Connections, index: ConnectionId) {
    if !connections.tracked.wanted {
        return;
    }
    let Some(attached) = connections.attached.get(index) else { return };
    for change in attached.lease.session_changes().flatten() {
        if matches!(change, SessionChange::Gtids(_) | SessionChange::SystemVariable { .. }) {
            change.encode(&mut connections.tracked.entries);
        }
    }
}
