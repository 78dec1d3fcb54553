//! Stops a statement that runs on a server, over another connection.

use std::sync::Arc;

use super::registry::Control;
use crate::backend::Connection;

/// Stops the statement that runs on a connection, over another one.
pub fn kill_on_server(connection: &mut Connection) {
    kill_for(connection, None);
}

/// The same, and tells who waits for it at a session.
#[expect(
    clippy::disallowed_methods,
    reason = "it outlives the session, and ends with the server's answer or with its patience"
)]
pub fn kill_for(connection: &mut Connection, session: Option<&Arc<Control>>) {
    // Dropped when it is done, whatever came of it.
    let under_way = connection.begin_kill();
    let session = session.cloned();
    let (dialer, thread_id) = (connection.dialer().clone(), connection.thread_id());
    tokio::spawn(async move {
        if let Err(error) = dialer.kill_query(thread_id).await {
            tracing::warn!(%error, "cannot kill a statement");
        }
        drop(under_way);
        if let Some(session) = session {
            session.note_query_killed();
        }
    });
}
