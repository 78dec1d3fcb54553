//! Connections to servers: dial, pool, mirror of what the server remembers, reset.
//!
//! Invariants: a connection returns to its pool only at rest (no open transaction, no unread
//! answer, no state that is not mirrored); there are never more connections to a server than its
//! cap; waiting for one ends with a named error at a deadline.
//!
//! This module does not know VSchemas, plans or clients.

mod account;
mod bound_types;
mod connection;
mod cutoff;
mod defaults;
mod dial;
mod exchange;
mod fitting;
mod full;
mod last_use;
mod mirror;
mod named;
mod next_transaction;
mod passed;
mod pool;
mod presence;
mod profile;
mod server_kind;
mod settings;
mod several;
mod statements;
mod term;
mod variable_kinds;

pub use account::AccountTrouble;
pub use bound_types::{BoundTypes, Fresh, Need, ValueKind, ValueKinds, Variant};
pub use connection::{Connection, PrepareError};
pub use cutoff::{Cutoff, Patience};
pub use defaults::Defaults;
pub use dial::{Dial, DialError, DialSettings, TOO_MANY, account_refused};
pub use exchange::{
    Answered, AnsweredColumn, Exchange, Failure, Packets, Stake, first_answer_sequence,
};
pub use last_use::{FORGET_WARNINGS, LastUse};
pub use mirror::{Aligned, reading_key};
pub use named::NamedStatements;
pub use passed::{AttributeSet, PassedAttributes};
pub use pool::{CheckoutError, Lease, Pool, PoolLimits, PoolUse};
pub use profile::Profile;
pub use server_kind::{Product, ServerKind, server_identity};
pub use settings::{Names, RESULTSET_METADATA, Settings};
pub use several::Several;
pub use statements::{Arrival, Exclusive, Keeper, Owner, ServerStatement, Statements};
pub use term::{Outdated, Term};
pub use variable_kinds::{VariableKind, VariableKinds};
