//! What the work on long texts takes in memory, before it is begun.

use crate::sql::mode::LexMode;
use crate::sql::scan::count_tokens;
use crate::wire::command::code;

/// Longer commands and texts are asked what they will take.
pub(super) const LONG: usize = 64 << 10;

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
