//! A statement that is about to run over several servers.

use std::sync::Arc;

use crate::backend::Owner;
use crate::engine::plan::{Access, Plan, SessionValue};
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;

use super::consistency::ReadOptions;
use super::execute::Wanted;

/// A statement in the form that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// COM_QUERY.
    Text,
    /// COM_STMT_EXECUTE.
    Prepared,
}

/// A statement about to run: all that its plan reads, owned, so that the session is free.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: Vec<u8>,
    pub(super) scan: Scan,
    pub(super) parameters: Vec<Value<'static>>,
    pub(super) form: Form,
    pub(super) kind: StatementKind,
    pub(super) features: Features,
    /// The prepared statement of the client that asks for a cursor.
    pub(super) cursor: Option<u32>,
    pub(super) owner: Owner,
    /// What an execution of a prepared statement needs of servers.
    pub(super) wanted: Wanted,
    /// What the session says for what it asks of it.
    pub(super) session_values: Vec<(SessionValue, Vec<u8>)>,
    /// What its hints ask of the servers.
    pub(super) hints: Option<ReadOptions>,
}

impl Statement {
    /// A statement of the text protocol.
    pub(super) fn text(text: Vec<u8>, scan: Scan) -> Self {
        Self {
            kind: scan.kind(),
            features: scan.features(),
            text,
            scan,
            parameters: Vec::new(),
            form: Form::Text,
            cursor: None,
            owner: Arc::default(),
            wanted: Wanted::PLAIN,
            session_values: Vec::new(),
            hints: None,
        }
    }

    /// Whether it reads LAST_INSERT_ID().
    pub(super) fn wants_insert_id(&self) -> bool {
        self.features.contains(Features::LAST_INSERT_ID)
    }

    /// Gives the scan back.
    pub(super) fn into_scan(self) -> Scan {
        self.scan
    }

    /// An execution of a prepared statement.
    pub(super) fn prepared(text: &Owner, scan: Scan, parameters: Vec<Value<'static>>) -> Self {
        let owner = Arc::clone(text);
        Self { parameters, form: Form::Prepared, owner, ..Self::text(text.to_vec(), scan) }
    }

    /// The client's statement whose cursor the rows of its plan are for.
    pub(super) fn cursor_of(&self, plan: &Plan) -> Option<u32> {
        use StatementKind as Kind;
        let is_query = matches!(
            self.kind,
            Kind::Select | Kind::With | Kind::Values | Kind::Table | Kind::ParenSelect | Kind::Show
        );
        self.cursor.filter(|_| is_query && plan.access != Access::Write)
    }
}
