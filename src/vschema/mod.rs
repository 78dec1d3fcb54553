//! The Vitess-compatible VSchema: as written, as checked, and its vindexes.
//!
//! [`Sources`] are the files; [`Sources::validate`] finds every problem, each with its place and
//! what to write instead, and builds the [`VSchema`] that the planner reads. What was written
//! (`raw`) and what it means (`model`) are two types. [`diff`] tells how two VSchemas differ, and
//! what that means for the rows that are there. How many shards a keyspace has, and on which
//! servers, is no part of a VSchema.

mod column;
mod decode;
mod diff;
mod equality;
mod json;
mod load;
mod model;
mod problem;
mod raw;
mod resolve;
mod same_name;
pub mod store;
mod table;
#[cfg(test)]
mod tests;
mod validate;
pub mod vindex;

pub use column::{Column, Filling, SqlType};
pub use diff::{
    Change, ChangeClass, Difference, NewNames, ReturnedName, ServerColumns, diff, diff_table,
    render_differences,
};
pub use load::{LoadError, Reach, Shape, Sources, Validated, can_be_in_folder};
pub use model::{ForeignKeyMode, Keyspace, MultiTenant, VSchema};
pub use problem::{Place, Problem, Severity, Strictness, render_json, render_text};
pub use resolve::{Names, ResolveError, Resolved, RuleTarget, TabletType};
pub use same_name::{name_key, same_name};
pub use table::{AutoIncrement, ColumnVindex, NamedVindex, Table, TableKind, TableName};
pub use validate::is_keyspace_name;
