//! Expressions.

use super::{HoleId, Ident, Query, Span};

/// An expression and its text.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its bytes.
    pub span: Span,
}

/// What an [`Expr`] is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A literal or `?`.
    Hole(HoleId),
    /// A whole number that names a column of the select list by its position (`ORDER BY 2`); it is
    /// part of the skeleton and no hole.
    Ordinal(u64),
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// DEFAULT, in INSERT and UPDATE.
    Default,
    /// A column.
    Column {
        /// `ks` of `ks.t.c`.
        keyspace: Option<Ident>,
        /// `t` of `t.c`.
        table: Option<Ident>,
        /// `c`.
        name: Ident,
    },
    /// `*` as in COUNT(*).
    Wildcard,
    /// `(e)`.
    Nested(Box<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// Unary minus.
    Negative(Box<Expr>),
    /// AND.
    And(Box<Expr>, Box<Expr>),
    /// OR.
    Or(Box<Expr>, Box<Expr>),
    /// A comparison.
    Compare {
        /// Which.
        operator: Comparison,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// IN (list).
    In {
        /// What is looked for; a [`ExprKind::Tuple`] for `(a, b) IN ((1, 2))`.
        expr: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
        /// NOT IN.
        negated: bool,
        /// The list with its parentheses.
        list_span: Span,
    },
    /// IN (SELECT ..).
    InSubquery {
        /// What is looked for.
        expr: Box<Expr>,
        /// The query.
        query: Box<Query>,
        /// NOT IN.
        negated: bool,
    },
    /// BETWEEN.
    Between {
        /// What is compared.
        expr: Box<Expr>,
        /// Lower bound.
        low: Box<Expr>,
        /// Upper bound.
        high: Box<Expr>,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// LIKE.
    Like {
        /// What is compared.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// NOT LIKE.
        negated: bool,
        /// An ESCAPE clause is present.
        escape: bool,
    },
    /// IS NULL.
    IsNull {
        /// What is tested.
        expr: Box<Expr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// `(a, b)` or ROW(a, b).
    Tuple(Vec<Expr>),
    /// A function call.
    Function(Box<Function>),
    /// COLLATE.
    Collate {
        /// The expression.
        expr: Box<Expr>,
        /// The collation.
        collation: Ident,
    },
    /// A scalar subquery.
    Subquery(Box<Query>),
    /// EXISTS.
    Exists {
        /// The query.
        query: Box<Query>,
        /// NOT EXISTS.
        negated: bool,
    },
    /// `= ANY (..)`, `> ALL (..)`.
    Quantified {
        /// Left side.
        expr: Box<Expr>,
        /// The query.
        query: Box<Query>,
    },
    /// `@name`.
    UserVariable(String),
    /// `@@name`, scope included as written.
    SystemVariable(String),
    /// `@name := e`.
    AssignVariable(Box<Expr>),
    /// CAST, CASE, arithmetic, INTERVAL and all else whose children are known.
    Other(Vec<Expr>),
    /// NEXT VALUE, NEXT n VALUES: Vitess' way to take numbers from a sequence.
    NextValues(Option<Box<Expr>>),
    /// Something whose parts are not known.
    Opaque,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<=>`
    NullSafeEqual,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A function call.
#[allow(clippy::struct_excessive_bools, reason = "each is a word of the grammar")]
#[derive(Clone, Debug)]
pub struct Function {
    /// `db` of `db.f()`.
    pub qualifier: Option<Ident>,
    /// Its name as written.
    pub name: Ident,
    /// DISTINCT inside the parentheses.
    pub distinct: bool,
    /// The arguments.
    pub args: Vec<Expr>,
    /// ORDER BY inside the parentheses (GROUP_CONCAT).
    pub order_by: bool,
    /// The expressions of that ORDER BY and of OVER (..).
    pub clauses: Vec<Expr>,
    /// SEPARATOR of GROUP_CONCAT is present.
    pub separator: bool,
    /// OVER: a window function.
    pub over: bool,
}
