//! Two VSchema generations side by side: which one serves a statement, and who may change that.
//!
//! [`Serving`] is what sessions read, [`Split`] decides the side of a session, [`Steward`]
//! keeps versions and the state of the canary, refuses whatever would look for a row elsewhere than
//! it is, and swaps what is served. All of it decides; files are written by
//! `vschema::store` and watched by `control`.
//!
//! Why a session keeps its side: with the same rollout id and weight every proxy and every
//! statement of a session must agree, so the side is a hash and never a die.

mod cautions;
mod change;
mod fit;
mod held;
mod history;
mod serving;
mod split;
mod state;
mod steward;

pub use cautions::cautions;
pub use change::{Actor, ChangeError, Changed, Effect, Refusal};
pub use fit::fit;
pub use held::HeldGeneration;
pub use history::{Digest, Origin, StoredFile, Version};
pub use serving::{NoCandidate, Preference, Serving};
pub use split::{InvalidWeight, Side, Split, Weight};
pub use state::{CanaryState, EndedCanary, Outcome, State};
pub use steward::{Draft, DraftReason, Rehearsal, Reread, Status, Steward, StewardSettings};
