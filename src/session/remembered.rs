//! What servers remember with a prepared statement beside its text, and what follows from it for
//! the server statement that an execution may run on.
//!
//! - **Types of parameters** (MySQL from 8.0.22 on; traces of them MariaDB): [`BoundTypes`].
//! - **Settings and database at PREPARE**: part of the key of server statements (`reading_key`).
//! - **Types of the user variables that it names** (MySQL): the server statement is not shared, and
//!   one that is just prepared will do only while the types are those of PREPARE.
//! - **Settings of an execution after a definition of its tables**, because the server then
//!   prepares it again: once it has run under other settings than those of its PREPARE it is not
//!   shared, and one that is just prepared will do only while no definition has come since.
//!
//! Where a server statement that was just prepared will not do, the one that the client's last
//! execution ran on must; if that cannot be had, the execution is refused by name.

use crate::backend::{
    Arrival, BoundTypes, Fresh, Keeper, Need, Settings, ValueKinds, VariableKinds, Variant,
};
use crate::wire::statement::Param;

use super::diagnostics::Home;

/// What servers remember with a client's prepared statement.
#[derive(Debug)]
pub(super) struct Remembered {
    types: BoundTypes,
    /// The user variables in the text with their types at PREPARE, where those are remembered.
    variables: Option<VariableKinds>,
    moved: Option<Moved>,
    /// How many definitions had come at PREPARE, or when it was executed last.
    definitions: u32,
    /// The connection of the last execution, or of PREPARE.
    home: Option<Home>,
    /// What keeps the server statement there.
    keeper: Option<Keeper>,
}

/// The statement has run under other settings than those of its PREPARE.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// How many definitions had come when it ran last.
    definitions: u32,
    /// Whether one that is just prepared remembers the same.
    fresh: Fresh,
}

/// What an execution finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// The session's settings.
    pub(super) settings: &'a Settings,
    /// How many definitions have come.
    pub(super) definitions: u32,
    /// Whether the settings read texts as those of PREPARE did.
    pub(super) reading: ReadingNow,
}

/// How the session's settings read a text that it has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadingNow {
    /// As at PREPARE.
    Same,
    /// Otherwise.
    Other,
}

impl Remembered {
    /// Of a statement that was just prepared, on this connection if it is shared among sessions.
    pub(super) fn new(
        mut types: BoundTypes,
        variables: Option<VariableKinds>,
        definitions: u32,
        home: Option<Home>,
    ) -> Self {
        if variables.is_some() {
            types.stop_sharing();
        }
        Self { types, variables, moved: None, definitions, home, keeper: None }
    }

    /// Notes what keeps the server statement that was prepared for the client.
    pub(super) fn keep(&mut self, keeper: Option<Keeper>) {
        self.keeper = keeper;
    }

    /// The state that the server statement is in which was just prepared.
    pub(super) fn prepared_as(&self) -> Variant {
        self.types.need().before.clone()
    }

    /// Notes the parameters of the execution that comes.
    pub(super) fn bind<'a>(
        &mut self,
        parameters: &[Param],
        payload: &'a [u8],
        long_data: impl Fn(usize) -> &'a [u8],
    ) {
        self.types.bind(parameters, payload, long_data);
    }

    /// The same for a statement with a name.
    pub(super) fn bind_kinds(&mut self, kinds: ValueKinds) {
        self.types.bind_kinds(kinds);
    }

    /// What the execution needs that was bound last.
    pub(super) fn need(&mut self, found: Found<'_>) -> Need {
        if found.definitions != self.definitions {
            self.definitions = found.definitions;
            self.types.note_definition();
        }
        if found.reading == ReadingNow::Other && self.moved.is_none() {
            let definitions = found.definitions;
            self.moved = Some(Moved { definitions, fresh: Fresh::WillDo });
            self.types.stop_sharing();
        }
        if let Some(moved) = &mut self.moved
            && moved.definitions != found.definitions
        {
            // The server may prepare it again, under what is in force now.
            *moved = Moved { definitions: found.definitions, fresh: Fresh::WillNotDo };
            self.types.leave_state();
        }
        let mut need = self.types.need().clone();
        let variables = self.variables.as_ref();
        let retyped = variables.is_some_and(|then| !then.are_those_of(found.settings));
        let defined = self.moved.is_some_and(|moved| moved.fresh == Fresh::WillNotDo);
        // What was prepared again for the types of an execution was read as it was read then.
        let is_own = self.moved.is_some() || self.variables.is_some();
        if retyped || defined || is_own && self.types.is_rebound() {
            need.fresh = Fresh::WillNotDo;
        }
        need
    }

    /// The connection that an execution must run on for which a statement that was just prepared
    /// will not do.
    pub(super) fn home(&self) -> Option<Home> {
        self.home
    }

    /// Notes that a server has run the execution that was bound last, on this connection, with
    /// what keeps its server statement.
    pub(super) fn note_executed(&mut self, home: Home, keeper: Option<&Keeper>) {
        if self.types.runs_in_its_state() {
            self.home = Some(home);
            self.keeper = keeper.cloned();
        }
        self.types.note_executed();
    }

    /// The same for an execution on several shards, of which none alone is its home.
    pub(super) fn note_executed_on_shards(&mut self) {
        self.types.note_executed();
    }

    /// Notes that it answered with an error, on a server statement that came into its state so.
    /// Gives the state that this must be taken to be in if it may not be in the one that it is
    /// counted as.
    pub(super) fn note_failed(
        &mut self,
        home: Home,
        arrival: Arrival,
        keeper: Option<&Keeper>,
    ) -> Option<Variant> {
        if self.types.runs_in_its_state() {
            self.home = Some(home);
            self.keeper = keeper.cloned();
        }
        self.types.note_failed(arrival)
    }
}
