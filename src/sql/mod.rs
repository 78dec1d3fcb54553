//! SQL text: what a statement is, where its literals stand, and its syntax tree.
//!
//! Two readers share one tokeniser: [`scan`] makes one pass over every statement (hot path:
//! statement kind, cache key, literal positions, features), the parser builds a tree only when
//! the plan cache has no answer. Neither prints SQL: a statement goes to a server as the client's
//! own bytes, with splices.
//!
//! This module must not know VSchemas, shards or sockets.

/// The stack of a thread that reads statements, in bytes: a tree may be some thousand nodes high,
/// and builds that are not optimised take about a kilobyte for each.
pub const STACK_BYTES: usize = 8 << 20;

pub mod ast;
pub mod control;
pub mod effects;
pub mod features;
pub mod fill;
pub mod lexer;
pub mod literal;
pub mod mode;
pub mod null_places;
pub mod own_account;
pub mod parse;
pub mod position;
pub mod scan;
pub mod sequence_use;
pub mod splice;
pub mod statement_kind;
pub mod steps;
pub mod stored_programs;
pub mod system_variable;
pub mod token;
pub mod value;
pub mod visit;

mod builtin;
mod byte_class;
pub mod charset;
mod compound;
pub(crate) mod cursor;
mod keyword;
