//! A statement that was prepared under a name, in text: what the session knows of it.

use parking_lot::Mutex;

use crate::backend::{Arrival, BoundTypes, Owner, Product, ServerKind, VariableKinds};
use crate::error::{SqlError, catalog};
use crate::memory::Reservation;
use crate::sql::ast::Span;
use crate::sql::control::prepare::Using;
use crate::sql::effects::Effect;
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::own_account::changes_own_account;
use crate::sql::scan::{HoleKind, Scan};
use crate::sql::statement_kind::StatementKind;
use crate::wire::scanner::Outcome;

use super::connections::Connections;
use super::diagnostics::Home;
use super::hold::{self, Read};
use super::mirror::Mirror;
use super::prepared::{kind_of, read_held};
use super::prepared_under::PreparedUnder;
use super::remembered::Remembered;
use super::several;
use super::state::State;

/// A statement that was prepared under a name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) text: Owner,
    scan: Scan,
    pub(super) kind: StatementKind,
    pub(super) features: Features,
    pub(super) params: usize,
    /// Where a server has it under its name.
    pub(super) home: Option<Home>,
    /// How the text was split at PREPARE.
    pub(super) mode: LexMode,
    pub(super) under: PreparedUnder,
    /// What servers remember with it.
    pub(super) remembered: Mutex<Remembered>,
    _held: Reservation,
}

impl Mirror {
    /// The text with the parameters written where the placeholders are.
    pub(super) fn with_parameters(
        &self,
        command: &[u8],
        named: &Named,
        using: &Using,
    ) -> Result<Vec<u8>, SqlError> {
        let mut scan = Scan::new();
        let scanned = scan.run(&named.text, self.lex_mode);
        scanned.map_err(|error| catalog::SYNTAX.with(&[&error]))?;
        let holes = scan.holes().iter().filter(|hole| hole.kind == HoleKind::Placeholder);
        let mut text = Vec::with_capacity(named.text.len() + 16 * using.len());
        let mut done = 0;
        for (hole, span) in holes.zip(using) {
            let literal = self.literal_of(bytes(command, *span))?;
            text.extend_from_slice(&named.text[done..hole.cut.start as usize]);
            text.extend_from_slice(&literal);
            done = hole.cut.end as usize;
        }
        text.extend_from_slice(&named.text[done..]);
        Ok(text)
    }

    /// A parameter as a literal: a user variable's value, or a literal as it was written.
    fn literal_of(&self, parameter: &[u8]) -> Result<Vec<u8>, SqlError> {
        let Some(name) = variable_name(parameter) else {
            let mut scan = Scan::new();
            let literal = scan.run(parameter, self.lex_mode).is_ok()
                && matches!(scan.holes(), [hole] if hole.cut.start == 0
                    && hole.cut.end as usize == parameter.len());
            let what = "EXECUTE .. USING an expression over several servers";
            return if literal {
                Ok(parameter.to_vec())
            } else {
                Err(catalog::UNSUPPORTED
                    .advising(&[&what], "SET a user variable to it and use that"))
            };
        };
        let known = self.settings.get(&format!("@{name}"));
        Ok(known.map_or_else(|| b"NULL".to_vec(), <[u8]>::to_vec))
    }
}

/// A text that is to be known by a name, on a server of this kind if it is known.
pub(super) fn read_named(
    connections: &Connections,
    state: &State,
    text: Owner,
    server: Option<&ServerKind>,
) -> Result<Named, SqlError> {
    let (services, mirror) = (&connections.services, &connections.mirror);
    let (scan, held) = read_held(connections, &text)?;
    let (kind, features) = kind_of(scan.as_ref());
    let scan = scan.unwrap_or_default();
    let under = PreparedUnder::of(&mirror.settings, state);
    let mode = mirror.lex_mode;
    let params = scan.holes().iter().filter(|hole| hole.kind == HoleKind::Placeholder).count();
    let product = ServerKind::parse(services.server_version.as_bytes());
    let server = server.unwrap_or(&product);
    let types = BoundTypes::new(server, None);
    let variables = match server.product {
        Product::MySql => VariableKinds::of_text(&text, mode, &mirror.settings),
        Product::MariaDb => None,
    };
    let remembered = Mutex::new(Remembered::new(types, variables, services.definitions(), None));
    Ok(Named {
        text,
        scan,
        kind,
        features,
        params,
        home: None,
        mode,
        under,
        remembered,
        _held: held,
    })
}

/// Reads what an execution may leave behind.
pub(super) fn note_named(
    connections: &mut Connections,
    state: &State,
    named: &Named,
    parameters: &[&[u8]],
) {
    let read = Read { text: &named.text, mode: named.mode, scan: &named.scan };
    let (kind, features) = (named.kind, named.features);
    hold::note_pending(connections, &state.database, kind, features, Some(read));
    if named.kind == StatementKind::Call
        && let Some(pending) = &mut connections.pending
    {
        // OUT parameters are given to the user variables.
        let names = parameters.iter().filter_map(|parameter| variable_name(parameter));
        pending.effects.extend(names.map(Effect::UserVariable));
    }
}

impl Named {
    /// An error if the text is more than one statement, which no server prepares.
    pub(super) fn is_one_statement(&self) -> Result<(), SqlError> {
        several::only_one(&self.text, &self.scan)
    }

    /// Notes what servers remember of an execution.
    pub(super) fn note_executed(&self, home: Home, outcome: &Outcome) {
        let mut remembered = self.remembered.lock();
        if outcome.is_error() {
            remembered.note_failed(home, Arrival::Moved, None);
        } else {
            remembered.note_executed(home, None);
        }
    }

    /// Whether it changes the account that it runs as.
    pub(super) fn changes_own_account(&self) -> bool {
        changes_own_account(&self.text, self.mode, &self.scan)
    }

    /// Whether the session answers it, or must know what it does.
    pub(super) fn is_about_session(&self) -> bool {
        use StatementKind as Kind;
        self.features.intersects(super::builtin::OF_SESSION)
            || matches!(
                self.kind,
                Kind::Begin
                    | Kind::StartTransaction
                    | Kind::Commit
                    | Kind::Rollback
                    | Kind::Savepoint
                    | Kind::Release
                    | Kind::Set
                    | Kind::Show
                    | Kind::Kill
                    | Kind::Explain
                    | Kind::VExplain
            )
    }
}

/// The name of the user variable that a parameter is.
pub(super) fn variable_name(parameter: &[u8]) -> Option<String> {
    let name = parameter.strip_prefix(b"@").filter(|name| !name.starts_with(b"@"))?;
    let name = String::from_utf8_lossy(name).to_lowercase();
    Some(name.trim_matches(['`', '\'', '"']).to_owned())
}

pub(super) fn bytes(command: &[u8], span: Span) -> &[u8] {
    command.get(span.start as usize..span.end as usize).unwrap_or_default()
}
