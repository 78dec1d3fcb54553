//! SHOW: which list is asked for, of what, with which filter.

use super::set::Scope;
use super::{ControlError, expected, literal_at};
use crate::sql::ast::{Ident, Span};
use crate::sql::cursor::Cursor;
use crate::sql::token::TokenKind;
use crate::sql::value::Value;

/// A SHOW statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Show {
    /// Which list.
    pub kind: ShowKind,
    /// FULL or EXTENDED.
    pub full: bool,
    /// GLOBAL or SESSION before VARIABLES and STATUS.
    pub scope: Option<Scope>,
    /// The table, view, procedure, ... that it is about.
    pub object: Option<Ident>,
    /// The database: after FROM or IN, or as qualifier of the object.
    pub database: Option<Ident>,
    /// From the word FROM to the end of the database's name, or the qualifier with its dot: what
    /// to cut so that the server's current database is meant.
    pub database_span: Option<Span>,
    /// The pattern of LIKE.
    pub like: Option<Vec<u8>>,
    /// The expression after WHERE.
    pub filter: Option<Span>,
    /// What follows and is not understood (LIMIT, FOR QUERY, ..).
    pub rest: Option<Span>,
    /// The whole statement.
    pub span: Span,
}

/// Which list a [`Show`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named after its words")]
pub enum ShowKind {
    Databases,
    Tables,
    TableStatus,
    OpenTables,
    Columns,
    Index,
    Triggers,
    Events,
    ProcedureStatus,
    FunctionStatus,
    CreateTable,
    CreateView,
    CreateDatabase,
    /// CREATE PROCEDURE, FUNCTION, PACKAGE, TRIGGER, EVENT, USER, SEQUENCE.
    CreateOther,
    Variables,
    Status,
    Warnings,
    /// COUNT(*) WARNINGS.
    WarningCount,
    Errors,
    /// COUNT(*) ERRORS.
    ErrorCount,
    Processlist,
    Engines,
    /// ENGINE name STATUS, MUTEX.
    Engine,
    CharacterSet,
    Collation,
    Grants,
    Privileges,
    Plugins,
    Profiles,
    /// MASTER STATUS, BINARY LOG STATUS.
    BinaryLogStatus,
    BinaryLogs,
    /// SLAVE STATUS, REPLICA STATUS.
    ReplicaStatus,
    /// REPLICAS, SLAVE HOSTS.
    Replicas,
    VschemaTables,
    VschemaVindexes,
    VschemaKeyspaces,
    VschemaHistory,
    VitessShards,
    VitessTablets,
    VitessTarget,
    VitessReplicationStatus,
    VitessMetadata,
    Keyspaces,
    Regions,
    Servers,
    Canary,
    Residency,
    UnresolvedTransactions,
    /// Anything else.
    Other,
}

/// What may follow the words of a [`ShowKind`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `[FROM database] [LIKE ..|WHERE ..]`
    Database,
    /// `FROM table [FROM database] [LIKE ..|WHERE ..]`
    TableOf,
    /// `[FROM|ON table]`
    VindexesOf,
    /// `[database.]name`
    Object,
    /// `[LIKE ..|WHERE ..]`
    Filter,
}

/// Longer rows stand before the ones that they begin with.
const KINDS: &[(&[&str], ShowKind, Shape)] = &[
    (&["DATABASES"], ShowKind::Databases, Shape::Filter),
    (&["SCHEMAS"], ShowKind::Databases, Shape::Filter),
    (&["TABLES"], ShowKind::Tables, Shape::Database),
    (&["TABLE", "STATUS"], ShowKind::TableStatus, Shape::Database),
    (&["OPEN", "TABLES"], ShowKind::OpenTables, Shape::Database),
    (&["COLUMNS"], ShowKind::Columns, Shape::TableOf),
    (&["FIELDS"], ShowKind::Columns, Shape::TableOf),
    (&["INDEX"], ShowKind::Index, Shape::TableOf),
    (&["INDEXES"], ShowKind::Index, Shape::TableOf),
    (&["KEYS"], ShowKind::Index, Shape::TableOf),
    (&["TRIGGERS"], ShowKind::Triggers, Shape::Database),
    (&["EVENTS"], ShowKind::Events, Shape::Database),
    (&["PROCEDURE", "STATUS"], ShowKind::ProcedureStatus, Shape::Filter),
    (&["FUNCTION", "STATUS"], ShowKind::FunctionStatus, Shape::Filter),
    (&["CREATE", "TABLE"], ShowKind::CreateTable, Shape::Object),
    (&["CREATE", "VIEW"], ShowKind::CreateView, Shape::Object),
    (&["CREATE", "DATABASE"], ShowKind::CreateDatabase, Shape::Object),
    (&["CREATE", "SCHEMA"], ShowKind::CreateDatabase, Shape::Object),
    (&["PACKAGE", "BODY", "STATUS"], ShowKind::FunctionStatus, Shape::Filter),
    (&["PACKAGE", "STATUS"], ShowKind::FunctionStatus, Shape::Filter),
    (&["CREATE", "PACKAGE", "BODY"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "PACKAGE"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "PROCEDURE"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "FUNCTION"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "TRIGGER"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "EVENT"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "SEQUENCE"], ShowKind::CreateOther, Shape::Object),
    (&["CREATE", "USER"], ShowKind::CreateOther, Shape::Filter),
    (&["VARIABLES"], ShowKind::Variables, Shape::Filter),
    (&["STATUS"], ShowKind::Status, Shape::Filter),
    (&["WARNINGS"], ShowKind::Warnings, Shape::Filter),
    (&["ERRORS"], ShowKind::Errors, Shape::Filter),
    (&["PROCESSLIST"], ShowKind::Processlist, Shape::Filter),
    (&["STORAGE", "ENGINES"], ShowKind::Engines, Shape::Filter),
    (&["ENGINES"], ShowKind::Engines, Shape::Filter),
    (&["ENGINE"], ShowKind::Engine, Shape::Filter),
    (&["CHARACTER", "SET"], ShowKind::CharacterSet, Shape::Filter),
    (&["CHARSET"], ShowKind::CharacterSet, Shape::Filter),
    (&["COLLATION"], ShowKind::Collation, Shape::Filter),
    (&["GRANTS"], ShowKind::Grants, Shape::Filter),
    (&["PRIVILEGES"], ShowKind::Privileges, Shape::Filter),
    (&["PLUGINS"], ShowKind::Plugins, Shape::Filter),
    (&["PROFILES"], ShowKind::Profiles, Shape::Filter),
    (&["PROFILE"], ShowKind::Profiles, Shape::Filter),
    (&["MASTER", "STATUS"], ShowKind::BinaryLogStatus, Shape::Filter),
    (&["BINARY", "LOG", "STATUS"], ShowKind::BinaryLogStatus, Shape::Filter),
    (&["BINLOG", "STATUS"], ShowKind::BinaryLogStatus, Shape::Filter),
    (&["BINARY", "LOGS"], ShowKind::BinaryLogs, Shape::Filter),
    (&["MASTER", "LOGS"], ShowKind::BinaryLogs, Shape::Filter),
    (&["SLAVE", "STATUS"], ShowKind::ReplicaStatus, Shape::Filter),
    (&["REPLICA", "STATUS"], ShowKind::ReplicaStatus, Shape::Filter),
    (&["REPLICAS"], ShowKind::Replicas, Shape::Filter),
    (&["SLAVE", "HOSTS"], ShowKind::Replicas, Shape::Filter),
    (&["VSCHEMA", "TABLES"], ShowKind::VschemaTables, Shape::Database),
    (&["VSCHEMA", "VINDEXES"], ShowKind::VschemaVindexes, Shape::VindexesOf),
    (&["VSCHEMA", "KEYSPACES"], ShowKind::VschemaKeyspaces, Shape::Filter),
    (&["VSCHEMA", "HISTORY"], ShowKind::VschemaHistory, Shape::Filter),
    (&["VITESS_SHARDS"], ShowKind::VitessShards, Shape::Filter),
    (&["VITESS_TABLETS"], ShowKind::VitessTablets, Shape::Filter),
    (&["VITESS_TARGET"], ShowKind::VitessTarget, Shape::Filter),
    (&["VITESS_REPLICATION_STATUS"], ShowKind::VitessReplicationStatus, Shape::Filter),
    (&["VITESS_METADATA"], ShowKind::VitessMetadata, Shape::Filter),
    (&["KEYSPACES"], ShowKind::Keyspaces, Shape::Filter),
    (&["VITESS_KEYSPACES"], ShowKind::Keyspaces, Shape::Filter),
    (&["REGIONS"], ShowKind::Regions, Shape::Filter),
    (&["SERVERS"], ShowKind::Servers, Shape::Filter),
    (&["CANARY"], ShowKind::Canary, Shape::Filter),
    (&["RESIDENCY"], ShowKind::Residency, Shape::Filter),
    (&["UNRESOLVED", "TRANSACTIONS"], ShowKind::UnresolvedTransactions, Shape::Filter),
];

/// Reads SHOW; the cursor is at SHOW.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Show, ControlError> {
    let start = cursor.advance().start;
    let mut show = Show {
        kind: ShowKind::Other,
        full: false,
        scope: None,
        object: None,
        database: None,
        database_span: None,
        like: None,
        filter: None,
        rest: None,
        span: Span { start, end: start },
    };
    modifiers(cursor, &mut show);
    if let Some(kind) = eat_count(cursor) {
        show.kind = kind;
    } else if let Some((words, kind, shape)) =
        KINDS.iter().find(|(words, _, _)| cursor.at_words(words))
    {
        cursor.eat_words(words);
        show.kind = *kind;
        what(cursor, &mut show, *shape)?;
        filter(cursor, &mut show)?;
    } else if cursor.at_end() {
        return expected(cursor, "what to show");
    }
    if !cursor.at_end() {
        show.rest = Some(super::rest(cursor));
    }
    show.span = cursor.span_from(start);
    Ok(show)
}

fn modifiers(cursor: &mut Cursor<'_>, show: &mut Show) {
    loop {
        if cursor.eat_word("FULL") || cursor.eat_word("EXTENDED") {
            show.full = true;
        } else if cursor.eat_word("GLOBAL") {
            show.scope = Some(Scope::Global);
        } else if cursor.eat_word("SESSION") || cursor.eat_word("LOCAL") {
            show.scope = Some(Scope::Session);
        } else {
            return;
        }
    }
}

fn eat_count(cursor: &mut Cursor<'_>) -> Option<ShowKind> {
    if !cursor.at_word("COUNT") || !cursor.symbol_at(1, "(") {
        return None;
    }
    let kind = if cursor.word_at(4, "WARNINGS") {
        ShowKind::WarningCount
    } else if cursor.word_at(4, "ERRORS") {
        ShowKind::ErrorCount
    } else {
        return None;
    };
    (0..5).for_each(|_| {
        cursor.advance();
    });
    Some(kind)
}

/// The object and its database.
fn what(cursor: &mut Cursor<'_>, show: &mut Show, shape: Shape) -> Result<(), ControlError> {
    match shape {
        Shape::Filter => Ok(()),
        Shape::Database => database(cursor, show),
        Shape::VindexesOf => {
            if eat_from(cursor) || cursor.eat_word("ON") {
                object(cursor, show)?;
            }
            Ok(())
        }
        Shape::TableOf => {
            if !eat_from(cursor) {
                return expected(cursor, "FROM and a table");
            }
            object(cursor, show)?;
            database(cursor, show)
        }
        Shape::Object => {
            if show.kind == ShowKind::CreateDatabase {
                cursor.eat_words(&["IF", "NOT", "EXISTS"]);
            }
            object(cursor, show)
        }
    }
}

fn eat_from(cursor: &mut Cursor<'_>) -> bool {
    cursor.eat_word("FROM") || cursor.eat_word("IN")
}

fn database(cursor: &mut Cursor<'_>, show: &mut Show) -> Result<(), ControlError> {
    let start = cursor.start();
    if !eat_from(cursor) {
        return Ok(());
    }
    let Some(name) = cursor.eat_ident() else { return expected(cursor, "a database") };
    show.database_span = Some(cursor.span_from(start));
    show.database = Some(name);
    Ok(())
}

fn object(cursor: &mut Cursor<'_>, show: &mut Show) -> Result<(), ControlError> {
    let Some(mut name) = cursor.eat_ident() else { return expected(cursor, "a name") };
    if cursor.eat_symbol(".") {
        let Some(second) = cursor.eat_ident() else { return expected(cursor, "a name") };
        show.database_span = Some(Span { start: name.span.start, end: second.span.start });
        show.database = Some(std::mem::replace(&mut name, second));
    }
    show.object = Some(name);
    Ok(())
}

fn filter(cursor: &mut Cursor<'_>, show: &mut Show) -> Result<(), ControlError> {
    if cursor.at_word("LIKE") && cursor.peek_at(1).kind == TokenKind::String {
        cursor.advance();
        match literal_at(cursor) {
            Some(Value::Text(pattern)) => show.like = Some(pattern.into_owned()),
            _ => return expected(cursor, "a pattern"),
        }
        cursor.advance();
    } else if cursor.eat_word("WHERE") {
        show.filter = Some(super::rest(cursor));
    }
    Ok(())
}
