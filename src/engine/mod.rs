//! Plans and the pure half of running them: compare, merge, aggregate, limit.
//!
//! Start with [`plan`]. [`routing`] turns values into shards, [`template`] makes each shard's text,
//! [`merge_sort`] chooses among shards and [`pipeline`] runs the stages after them. All of it sees
//! packet payloads, never sockets: the executor reads and writes.

pub mod bindings;
pub mod budget;
pub mod capacity;
pub mod column;
pub mod describe;
pub mod literal;
pub mod merge_cursor;
pub mod merge_sort;
pub mod pipeline;
pub mod plan;
pub mod routing;
pub mod row;
pub mod template;

mod aggregate;
mod compare;
mod decimal;
mod distinct;
mod limit;
mod number_text;
mod sort;
mod temporal;
mod truncate;
mod weighed;

pub use limit::limit_value;

#[cfg(test)]
pub(crate) mod fake;
