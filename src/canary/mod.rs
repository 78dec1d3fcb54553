//! Two VSchema generations side by side: which one serves a statement, and who may change that.
//!
//! [`Serving`] is what sessions read, [`Split`] decides the side of a session, [`compare`] refuses
//! candidates that would send the same row to two homes, [`Steward`] keeps versions and the state
//! of the canary and swaps what is served. All of it decides; files are written by
//! `vschema::store` and watched by `control`.
//!
//! Why a session keeps its side: with the same rollout id and weight every proxy and every
//! statement of a session must agree, so the side is a hash and never a die.

mod change;
mod compare;
mod fit;
mod held;
mod history;
mod serving;
mod split;
mod state;
mod steward;

pub use change::{Actor, ChangeError, Changed, Effect};
pub use compare::{Difference, cautions, compare, render_differences};
pub use fit::fit;
pub use held::HeldGeneration;
pub use history::{Digest, Origin, StoredFile, Version};
pub use serving::{NoCandidate, Preference, Serving};
pub use split::{InvalidWeight, Side, Split, Weight};
pub use state::{CanaryState, EndedCanary, Outcome, State};
pub use steward::{RefusedFiles, Rehearsal, Reread, Status, Steward, StewardSettings, Waits};
