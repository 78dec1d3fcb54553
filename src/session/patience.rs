//! How long a session waits for its client: `wait_timeout`, which the proxy keeps itself.
//!
//! A server cannot: it sees no client between two statements. Only the session's own value is
//! looked at; `interactive_timeout` decides what an interactive client begins with, which is a
//! limit of the configuration here.

use std::sync::Arc;

use crate::backend::{Product, ServerKind, Settings};
use crate::error::{SqlError, catalog};
use crate::executor::client::Client;

use super::Services;
use super::connections::Connections;
use super::state::State;

/// Tells the registry how long the client may now be idle, if that may have changed.
pub(super) fn note_patience(client: &Client, connections: &mut Connections, state: &mut State) {
    let settings = &connections.mirror.settings;
    if state.patience_of.as_ref().is_some_and(|known| Arc::ptr_eq(known, settings)) {
        return;
    }
    let limit = connections.limits.client_idle(client.manner()).as_secs();
    connections.control.set_idle_max(wait_timeout(settings).unwrap_or(limit));
    state.patience_of = Some(Arc::clone(settings));
    connections.note_held();
}

/// What a client that was idle for too long is told: MySQL gives a reason since 8.0.24, others
/// close without a word.
pub(super) fn idle_error(services: &Services) -> Option<SqlError> {
    let kind = ServerKind::parse(services.server_version.as_bytes());
    let tells = kind.product == Product::MySql && kind.version >= (8, 0, 24);
    tells.then(|| catalog::IDLE.error())
}

/// Seconds, as far as they were set as a number.
fn wait_timeout(settings: &Settings) -> Option<u64> {
    let literal = std::str::from_utf8(settings.get("wait_timeout")?).ok()?;
    literal.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Names;

    #[test]
    fn only_numbers_count() {
        let mut settings = Settings::new(Names { charset: "utf8mb4".into(), collation: None });
        assert_eq!(wait_timeout(&settings), None);
        for (literal, seconds) in [("5", Some(5)), (" 28800", Some(28_800)), ("'5'", None)] {
            settings.set("wait_timeout", literal.as_bytes().to_vec());
            assert_eq!(wait_timeout(&settings), seconds, "{literal}");
        }
    }
}
