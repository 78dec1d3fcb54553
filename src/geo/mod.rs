//! Which server may answer: a [`Placement`] can be built only here, and a pool of connections is
//! reached only with one. So no path can skip the rules of consistency and residency.
//!
//! Start at [`place`]. [`access`] says which statements may leave the primary at all,
//! [`Consistency`] what a read promises. Deciding is pure: the topology is a snapshot, and nothing
//! here asks a server or a clock.

mod access;
mod consistency;
mod placement;
mod select;

pub use access::{Access, access};
pub use consistency::Consistency;
pub use placement::{Placement, answers, primary, writable_primary};
pub use select::{Leaving, Request, place};
