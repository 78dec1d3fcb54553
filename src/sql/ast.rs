//! The syntax tree that the planner reads.
//!
//! Only what routing and merging need is told apart; the rest is [`ExprKind::Other`] with its
//! children, or [`ExprKind::Opaque`] when even those are unknown. Every node has the byte span of
//! its text, because a plan splices the client's bytes and never prints a tree. Literals and
//! `?` are *holes*: the tree holds their number, not their value, so that one plan serves every
//! statement that differs only in them.

mod expr;

pub use expr::{Comparison, Expr, ExprKind, Function};

/// A range of bytes in the statement text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// The number of a hole: the literals and placeholders of a statement, counted from 0 in text
/// order. The lexer's list of holes has the same numbering.
pub type HoleId = u32;

/// An identifier, unquoted and with doubled quote characters resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name.
    pub text: String,
    /// Its bytes, quotes included.
    pub span: Span,
}

/// A parsed statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// SELECT, UNION, VALUES, with or without WITH.
    Query(Box<Query>),
    /// INSERT and REPLACE.
    Insert(Box<Insert>),
    /// UPDATE.
    Update(Box<Update>),
    /// DELETE.
    Delete(Box<Delete>),
    /// CREATE, ALTER, DROP, TRUNCATE, RENAME of tables, views and indexes.
    Ddl(Box<Ddl>),
}

/// A query expression with its own ORDER BY and LIMIT.
#[derive(Clone, Debug)]
pub struct Query {
    /// Common table expressions.
    pub with: Option<With>,
    /// SELECT or UNION.
    pub body: SetExpr,
    /// ORDER BY terms.
    pub order_by: Vec<OrderItem>,
    /// LIMIT, if any.
    pub limit: Option<Limit>,
    /// FOR UPDATE and FOR SHARE.
    pub lock: Lock,
    /// INTO OUTFILE, DUMPFILE or variables.
    pub into: bool,
    /// Where an ORDER BY would be written if there is none: after WHERE, GROUP BY, HAVING and
    /// WINDOW, before LIMIT and the locking clause.
    pub order_by_position: u32,
    /// Where a LIMIT would be written if there is none: after ORDER BY, before the locking clause.
    pub limit_position: u32,
    /// The whole query, without enclosing parentheses.
    pub span: Span,
}

/// WITH.
#[derive(Clone, Debug)]
pub struct With {
    /// WITH RECURSIVE.
    pub recursive: bool,
    /// The expressions: name, column aliases, query.
    pub ctes: Vec<Cte>,
}

/// One common table expression.
#[derive(Clone, Debug)]
pub struct Cte {
    /// Its name.
    pub name: Ident,
    /// `WITH t (a, b) AS`.
    pub columns: Vec<Ident>,
    /// Its query.
    pub query: Query,
}

/// The body of a query.
#[derive(Clone, Debug)]
pub enum SetExpr {
    /// SELECT.
    Select(Box<Select>),
    /// UNION, INTERSECT, EXCEPT.
    SetOperation(Box<SetOperation>),
    /// A parenthesised query.
    Query(Box<Query>),
    /// VALUES ROW(..), ROW(..).
    Values(Vec<Vec<Expr>>),
}

/// Two queries combined.
#[derive(Clone, Debug)]
pub struct SetOperation {
    /// UNION, INTERSECT or EXCEPT.
    pub operator: SetOperator,
    /// ALL; without it duplicates are removed.
    pub all: bool,
    /// Left side.
    pub left: SetExpr,
    /// Right side.
    pub right: SetExpr,
    /// Both sides and the operator.
    pub span: Span,
}

/// The operator of a [`SetOperation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// UNION.
    Union,
    /// INTERSECT.
    Intersect,
    /// EXCEPT or MINUS.
    Except,
}

/// One SELECT.
#[allow(clippy::struct_excessive_bools, reason = "each is a word of the grammar")]
#[derive(Clone, Debug)]
pub struct Select {
    /// SELECT DISTINCT.
    pub distinct: bool,
    /// SQL_CALC_FOUND_ROWS.
    pub calc_found_rows: bool,
    /// STRAIGHT_JOIN directly after SELECT.
    pub straight_join: bool,
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// FROM, comma separated.
    pub from: Vec<TableRef>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY terms.
    pub group_by: Vec<Expr>,
    /// WITH ROLLUP.
    pub rollup: bool,
    /// HAVING.
    pub having: Option<Expr>,
    /// Named windows are present.
    pub named_windows: bool,
    /// Their expressions.
    pub window_clauses: Vec<Expr>,
    /// One past the last byte of the select list: more columns can be appended here.
    pub items_end: u32,
    /// Where WHERE would be written if there is none: after FROM.
    pub filter_position: u32,
    /// The whole SELECT without ORDER BY, LIMIT and lock of the query around it.
    pub span: Span,
}

/// An element of the select list.
#[derive(Clone, Debug)]
pub enum SelectItem {
    /// `*`
    Wildcard(Span),
    /// `t.*` or `ks.t.*`
    QualifiedWildcard {
        /// `ks` of `ks.t.*`.
        keyspace: Option<Ident>,
        /// `t`.
        table: Ident,
        /// All of it.
        span: Span,
    },
    /// An expression.
    Expr {
        /// The expression.
        expr: Expr,
        /// Its alias.
        alias: Option<Ident>,
        /// Both.
        span: Span,
    },
}

/// An element of FROM.
#[derive(Clone, Debug)]
pub enum TableRef {
    /// A table.
    Table(Box<TableFactor>),
    /// `(SELECT ..) AS alias`.
    Derived {
        /// The query.
        query: Box<Query>,
        /// Its alias.
        alias: Option<Ident>,
        /// Column aliases.
        columns: Vec<Ident>,
        /// LATERAL.
        lateral: bool,
    },
    /// A join.
    Join(Box<Join>),
    /// `(a, b)`, parentheses around several references.
    Nested(Vec<TableRef>),
    /// JSON_TABLE and what else is not a table.
    Function {
        /// Its alias.
        alias: Option<Ident>,
        /// Its text.
        span: Span,
    },
}

/// A table in FROM, or the target of a write.
#[derive(Clone, Debug)]
pub struct TableFactor {
    /// Its name.
    pub name: ObjectName,
    /// A PARTITION (..) clause is present.
    pub partition: bool,
    /// Its alias.
    pub alias: Option<Ident>,
    /// USE VINDEX (..) names; spliced out before a server sees the text.
    pub use_vindex: Vec<Ident>,
    /// IGNORE VINDEX (..) names.
    pub ignore_vindex: Vec<Ident>,
    /// The byte range of those hints.
    pub vindex_hint_span: Option<Span>,
    /// Name, alias and hints.
    pub span: Span,
}

/// A name that may be qualified with a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// `ks` of `ks.t`; also `ks:-80`, `ks[-80]` and `ks@replica` as they were written.
    pub keyspace: Option<Ident>,
    /// `t`.
    pub name: Ident,
    /// All of it. The qualifier with its dot is `span.start..name.span.start`.
    pub span: Span,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// Left side.
    pub left: TableRef,
    /// Right side.
    pub right: TableRef,
    /// Which join.
    pub kind: JoinKind,
    /// ON, USING, NATURAL.
    pub constraint: JoinConstraint,
    /// All of it.
    pub span: Span,
}

/// The kind of a [`Join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// JOIN, INNER JOIN, CROSS JOIN.
    Inner,
    /// STRAIGHT_JOIN.
    Straight,
    /// LEFT JOIN.
    Left,
    /// RIGHT JOIN.
    Right,
}

/// The condition of a [`Join`].
#[derive(Clone, Debug)]
pub enum JoinConstraint {
    /// None.
    None,
    /// ON.
    On(Expr),
    /// USING.
    Using(Vec<Ident>),
    /// NATURAL.
    Natural,
}

/// FOR UPDATE and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// None.
    None,
    /// FOR SHARE, LOCK IN SHARE MODE.
    Share,
    /// FOR UPDATE.
    Update,
}

/// A term of ORDER BY.
#[derive(Clone, Debug)]
pub struct OrderItem {
    /// The expression.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// Expression and direction.
    pub span: Span,
}

/// LIMIT.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Number of rows.
    pub count: Expr,
    /// Rows to skip.
    pub offset: Option<Expr>,
    /// From the word LIMIT to the end of the clause.
    pub span: Span,
}

/// INSERT or REPLACE.
#[allow(clippy::struct_excessive_bools, reason = "each is a word of the grammar")]
#[derive(Clone, Debug)]
pub struct Insert {
    /// REPLACE.
    pub replace: bool,
    /// IGNORE.
    pub ignore: bool,
    /// The table.
    pub table: ObjectName,
    /// A PARTITION (..) clause is present.
    pub partition: bool,
    /// The column list; `None` if it was not written. INSERT .. SET gives its columns here.
    pub columns: Option<Vec<Ident>>,
    /// Where a column can be added to the list: before its closing parenthesis (or, without a
    /// list, directly after the table name).
    pub columns_end: u32,
    /// The rows.
    pub source: InsertSource,
    /// `VALUES (..) AS alias`, by which ON DUPLICATE KEY UPDATE names the new row.
    pub row_alias: Option<Ident>,
    /// `VALUES (..) AS alias (a, b)`: the names of its columns.
    pub row_columns: Vec<Ident>,
    /// ON DUPLICATE KEY UPDATE.
    pub on_duplicate: Vec<Assignment>,
    /// A RETURNING clause is present.
    pub returning: bool,
    /// All of it.
    pub span: Span,
}

/// Where the rows of an [`Insert`] come from.
#[derive(Clone, Debug)]
pub enum InsertSource {
    /// VALUES.
    Values(Vec<InsertRow>),
    /// SET a = 1, b = 2: one row, in the order of `columns`.
    Set(Vec<Expr>),
    /// INSERT .. SELECT.
    Query(Box<Query>),
}

/// One row of VALUES.
#[derive(Clone, Debug)]
pub struct InsertRow {
    /// Its expressions.
    pub values: Vec<Expr>,
    /// The row with its parentheses (and ROW).
    pub span: Span,
}

/// `column = expression`.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// `ks` of `ks.t.c`.
    pub keyspace: Option<Ident>,
    /// `t` of `t.c`.
    pub table: Option<Ident>,
    /// The column.
    pub column: Ident,
    /// The new value.
    pub value: Expr,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    /// WITH.
    pub with: Option<With>,
    /// IGNORE.
    pub ignore: bool,
    /// The tables.
    pub tables: Vec<TableRef>,
    /// SET.
    pub assignments: Vec<Assignment>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// ORDER BY.
    pub order_by: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Option<Limit>,
    /// All of it.
    pub span: Span,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    /// WITH.
    pub with: Option<With>,
    /// IGNORE.
    pub ignore: bool,
    /// The tables rows are deleted from, if named apart from FROM (multi-table form).
    pub targets: Vec<ObjectName>,
    /// The tables.
    pub from: Vec<TableRef>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// ORDER BY.
    pub order_by: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Option<Limit>,
    /// A RETURNING clause is present.
    pub returning: bool,
    /// All of it.
    pub span: Span,
}

/// A data definition statement: which objects it names is all that routing needs.
#[derive(Clone, Debug)]
pub struct Ddl {
    /// What it does.
    pub kind: DdlKind,
    /// The tables or views it names, the one it is about first.
    pub tables: Vec<ObjectName>,
    /// CREATE TEMPORARY TABLE.
    pub temporary: bool,
    /// IF EXISTS or IF NOT EXISTS.
    pub conditional: bool,
    /// The query of CREATE VIEW and CREATE TABLE .. SELECT.
    pub query: Option<Box<Query>>,
    /// All of it.
    pub span: Span,
}

/// The kind of a [`Ddl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DdlKind {
    /// CREATE TABLE.
    CreateTable,
    /// ALTER TABLE.
    AlterTable,
    /// DROP TABLE.
    DropTable,
    /// TRUNCATE TABLE.
    TruncateTable,
    /// RENAME TABLE.
    RenameTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// CREATE VIEW.
    CreateView,
    /// ALTER VIEW.
    AlterView,
    /// DROP VIEW.
    DropView,
}
