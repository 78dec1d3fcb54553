//! Notices that the VSchema files have changed, and has them taken over, if they may be; otherwise
//! they are a draft.
//!
//! The system's notifications make it quick; a look once a second makes it sure (network file
//! systems and mounted configuration do not notify). SIGHUP asks for a look at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::canary::{Actor, Reread, Steward};
use crate::clock;

/// How often files are looked at without notification.
const POLL: Duration = Duration::from_secs(1);
/// Files that were written a moment ago may be followed by others.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches until the task is dropped.
pub async fn run(steward: Arc<Steward>, path: &Path) {
    let changed = Arc::new(Notify::new());
    // Dropping the watcher would end the notifications.
    let _watcher = notifications(path, &changed);
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP will not reload the VSchema");
            None
        }
    };
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hung_up => {
                let actor = Actor { name: "SIGHUP".to_owned(), at: clock::unix_seconds() };
                // The outcome is in the audit log and in the API.
                let _ = steward.reload(Reread::OnSignal, &actor);
            }
            () = changed.notified() => look(&steward).await,
            () = clock::sleep(POLL) => look(&steward).await,
        }
    }
}

/// Takes the files over if they have changed and stand still.
async fn look(steward: &Steward) {
    if !steward.files_changed() {
        return;
    }
    clock::sleep(SETTLE).await;
    if steward.files_changed() {
        let actor = Actor { name: "file watcher".to_owned(), at: clock::unix_seconds() };
        let _ = steward.reload(Reread::IfChanged, &actor);
    }
}

fn notifications(path: &Path, changed: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let wake = Arc::clone(changed);
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            wake.notify_one();
        }
    };
    // A file is often replaced by renaming, which only its folder sees.
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::info!(%error, "no file notifications; VSchema files are polled");
            None
        }
    }
}
