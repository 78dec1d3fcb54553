//! Long texts: what the work on them takes in memory, before it is begun, and threads of their own
//! for it, so that the clients of a worker do not wait until one text is read.
//!
//! A session goes over to those threads for one command as if they were one more worker, and comes
//! back. Its stream stays with its worker; connections that it takes there are given back there,
//! and are the others' like those of any worker.

use std::pin::pin;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::Session;
use super::answer::Ran;
use super::statement_timeout;
use crate::executor::deadline::{self, Timer};
use crate::net::Packet;
use crate::sql::mode::LexMode;
use crate::sql::scan::count_tokens;
use crate::wire::command::code;

/// Longer commands and texts are asked what they will take.
pub(super) const LONG: usize = 64 << 10;

/// Where a text is only scanned, this is little.
const LONG_TO_SCAN: usize = 1 << 20;

/// The threads for long texts.
#[derive(Debug)]
pub struct LongTexts {
    /// Their runtime.
    pub threads: Handle,
    /// Their number among the workers.
    pub worker: usize,
}

impl Session {
    /// Whether the command is done on the threads for long texts.
    pub(super) fn is_for_others(&self, packet: Packet) -> bool {
        if packet.len <= LONG && !self.prepared.has_long {
            return false;
        }
        let is_text = || {
            let code = self.client.framed.payload(packet).first();
            matches!(code, Some(&(code::QUERY | code::STMT_PREPARE)))
        };
        if self.connections.mode.is_several() {
            return self.prepared.has_long || is_text();
        }
        packet.len > LONG_TO_SCAN && is_text()
    }

    /// Does a command on the threads for long texts. `None` if they have ended.
    #[cold]
    pub(super) async fn command_elsewhere(mut self, packet: Packet) -> Option<(Self, Ran)> {
        let services = Arc::clone(&self.connections.services);
        let (control, here) = (Arc::clone(&self.connections.control), services.long_texts.worker);
        let home = std::mem::replace(&mut self.connections.worker, here);
        let command = services.long_texts.threads.clone().spawn(async move {
            let grace = services.limits.load().statement_timeout_grace();
            let note = |stage| statement_timeout::note_stage(&services, here, stage);
            let ran = {
                let command = pin!(self.command(packet));
                deadline::keep(&control, &mut Timer::default(), grace, note, command).await
            };
            self.connections.worker = home;
            (self, ran)
        });
        command.await.ok()
    }
}

/// Copies of a text on its way, in lengths of it.
const COPIES: usize = 2;
/// Bytes for each token: its literal, twice while the list of them grows.
const READ: usize = 40;
/// Bytes for each token where statements are planned: also its place in the tree, and what is made
/// of it. Lists of numbers, sums and rows took 90 to 150.
const PLANNED: usize = 160;

/// Bytes that the work on a command may take at once.
pub(super) fn work(payload: &[u8], mode: LexMode, is_planned: bool) -> usize {
    match payload.split_first() {
        Some((&(code::QUERY | code::STMT_PREPARE), text)) => work_on_text(text, mode, is_planned),
        _ => payload.len().saturating_mul(COPIES),
    }
}

/// The same for a text.
pub(super) fn work_on_text(text: &[u8], mode: LexMode, is_planned: bool) -> usize {
    let of_token = if is_planned { PLANNED } else { READ };
    let tokens = count_tokens(text, mode).saturating_mul(of_token);
    text.len().saturating_mul(COPIES).saturating_add(tokens)
}
