//! What a server remembers of the types that a prepared statement's parameters were bound with, and
//! which server statement may therefore run a client's execution.
//!
//! MySQL (from 8.0.22 on) derives the type of every parameter when it prepares a statement. An
//! execution whose values do not fit has the statement prepared again with the types of the
//! values, and those stay: a text that is bound later is converted to them
//! (`Prepared_statement::check_parameter_types` in `sql/sql_prepare.cc`; manual, "PREPARE
//! Statement"). MariaDB takes the types of each execution, but some expressions keep the scale of
//! an earlier one (`SELECT -?`). So a server statement is shared only among clients whose
//! executions leave it in the same state; the states are [`Variant`]s.
//!
//! Pure: the client's statement has its [`BoundTypes`], which says of each execution what server
//! statement it [`Need`]s; [`super::Statements`] finds it.

use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use fitting::{covers, fits};
use texts::{bytes_kind, text_kind, told_apart};

use super::server_kind::{Product, ServerKind};
use super::statements::Arrival;
use crate::sql::null_places::NullPlace;
use crate::wire::binary_value::{BinaryType, content};
use crate::wire::column_type::ColumnType;
use crate::wire::statement::{Param, ParamPlace};

mod fitting;
mod kinds;
mod need;
mod texts;

use kinds::{ODD, is_integer, is_odd, kind_of};
pub use kinds::{ValueKind, ValueKinds};
pub use need::{Fresh, Need, Variant};

/// How a server remembers types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TypeMemory {
    /// MariaDB: each execution brings its own, of which traces stay.
    Traces,
    /// MySQL from 8.0.22 on: they stay until values come that do not fit.
    Sticky,
    /// It is not known.
    Unknown,
}

impl TypeMemory {
    fn of(kind: &ServerKind) -> Self {
        match kind.product {
            Product::MariaDb => Self::Traces,
            Product::MySql if kind.version >= (8, 0, 22) => Self::Sticky,
            Product::MySql => Self::Unknown,
        }
    }
}

/// On how many servers a client's statement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Servers {
    /// On one, which alone would remember the types of all executions.
    One,
    /// Each execution on some of several, of which none has seen all: every execution begins with
    /// the types of PREPARE.
    Several,
}

/// The bound types of a client's prepared statement: what one server alone would remember.
#[derive(Debug)]
pub struct BoundTypes {
    memory: TypeMemory,
    servers: Servers,
    /// The parameters' types as the server derived them; `None` if it did not say.
    derived: Option<Box<[BinaryType]>>,
    /// Where the parameters stand, as far as that is known.
    places: SmallVec<[NullPlace; 8]>,
    state: State,
    /// The state of server statements that only this one uses, as long as nothing was bound that
    /// changed them; `None` while it shares.
    own: Option<u64>,
    /// The state of those that only this one binds NULLs to that may tell what was bound before.
    for_nulls: u64,
    /// The last execution, what it needs in this state, and the state after it.
    last: ValueKinds,
    need: Need,
    next: State,
    /// How many executions in a row have bound the same.
    alike: u8,
}

/// After so many executions in a row with values of the same kinds a client shares a state that it
/// has brought its statement into. Sharing has a price: who binds something else then may have to
/// prepare anew, because another client has moved on.
const ALIKE: u8 = 16;

/// The state that one server alone would have the statement in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was bound that changed it since it was prepared.
    AsPrepared,
    /// It was prepared again for values of these kinds, as one that is just prepared is by them,
    /// whoever binds them: clients share it.
    Shared(ValueKinds),
    /// It was prepared again for values that did not fit, for this client alone.
    Own {
        /// Which server statements are in that state.
        number: u64,
        /// The kinds of those values, if one that is just prepared comes into the same state by
        /// them.
        first: Option<ValueKinds>,
    },
    /// An execution has failed that was to bring it from that of PREPARE into the one of these
    /// kinds, or tables have changed since it was there. Only the server knows in which it is.
    Failed {
        /// Which server statement it is, if it was this client's alone.
        number: u64,
        /// The kinds of its values.
        first: ValueKinds,
    },
}

impl State {
    /// That of server statements, if it is another than that of PREPARE.
    fn rebound(&self) -> Option<Variant> {
        match self {
            Self::AsPrepared => None,
            Self::Shared(kinds) => Some(Variant::Bound(kinds.clone())),
            Self::Own { number, .. } | Self::Failed { number, .. } => Some(Variant::Own(*number)),
        }
    }

    /// The values by which one that is just prepared comes into it.
    fn first(&self) -> Option<&ValueKinds> {
        match self {
            Self::AsPrepared => None,
            Self::Shared(first) => Some(first),
            Self::Own { first, .. } => first.as_ref(),
            Self::Failed { first, .. } => Some(first),
        }
    }
}

impl BoundTypes {
    /// Of a statement that was just prepared on a server of this kind, which gave its parameters
    /// these types.
    pub fn new(kind: &ServerKind, derived: Option<Box<[BinaryType]>>) -> Self {
        let memory = TypeMemory::of(kind);
        let own = (memory == TypeMemory::Unknown).then(next_number);
        let (state, last, need) = (State::AsPrepared, ValueKinds::new(), Need::AS_PREPARED);
        let servers = Servers::One;
        let (places, for_nulls) = (SmallVec::new(), next_number());
        let (next, alike) = (State::AsPrepared, 0);
        let mut types = Self {
            memory,
            servers,
            derived,
            places,
            state,
            own,
            for_nulls,
            last,
            need,
            next,
            alike,
        };
        types.enter(ValueKinds::new());
        types
    }

    /// The same of a statement whose executions run on whichever of several servers have the rows.
    #[must_use]
    pub fn over_several(self) -> Self {
        Self { servers: Servers::Several, ..self }
    }

    /// The same of a statement whose parameters stand in these places.
    #[must_use]
    pub fn with_places(self, places: SmallVec<[NullPlace; 8]>) -> Self {
        Self { places, ..self }
    }

    /// From now on no other client's statement shares a server statement with this one.
    pub fn stop_sharing(&mut self) {
        if self.own.is_none() {
            self.own = Some(next_number());
            self.enter(self.last.clone());
        }
    }

    /// Notes that tables may have changed: the types of PREPARE may not be those that the server
    /// derives now, and statements that are shared may have been prepared again for others.
    pub fn note_definition(&mut self) {
        if self.servers == Servers::Several {
            return;
        }
        self.derived = None;
        if let State::Shared(first) = &self.state {
            self.state = State::Failed { number: next_number(), first: first.clone() };
        }
        self.enter(self.last.clone());
    }

    /// The state of server statements is another one after the next execution, which no other is
    /// brought into: what else they remember has changed.
    pub fn leave_state(&mut self) {
        let number = next_number();
        self.need.after = Variant::Own(number);
        self.need.fresh = Fresh::WillNotDo;
        self.next = State::Own { number, first: None };
    }

    /// What an execution with these parameters needs. `long_data` gives what came by
    /// COM_STMT_SEND_LONG_DATA for a parameter.
    pub fn bind<'a>(
        &mut self,
        parameters: &[Param],
        payload: &'a [u8],
        long_data: impl Fn(usize) -> &'a [u8],
    ) -> &Need {
        let looks_at_texts = self.memory == TypeMemory::Sticky;
        let kind = |at: usize, parameter: &Param| match (&parameter.place, kind_of(parameter.of)) {
            (ParamPlace::Null, _) => ValueKind::Null,
            (place, kind @ (ValueKind::Text | ValueKind::Bytes)) if looks_at_texts => {
                let text = match place {
                    ParamPlace::At(range) => {
                        let raw = payload.get(range.clone()).unwrap_or_default();
                        content(parameter.of.kind, raw).unwrap_or_default()
                    }
                    _ => long_data(at),
                };
                if kind == ValueKind::Text { text_kind(text) } else { bytes_kind(text) }
            }
            (_, kind) => kind,
        };
        let is_known = |(at, parameter)| self.last.get(at) == Some(&kind(at, parameter));
        let same = parameters.len() == self.last.len();
        if !same || !parameters.iter().enumerate().all(is_known) {
            let kinds = parameters.iter().enumerate().map(|(at, p)| kind(at, p)).collect();
            self.enter(kinds);
        }
        &self.need
    }

    /// The same for parameters of these kinds.
    pub fn bind_kinds(&mut self, mut kinds: ValueKinds) -> &Need {
        if self.memory != TypeMemory::Sticky {
            kinds.iter_mut().for_each(|kind| *kind = kind.as_type());
        }
        if kinds != self.last {
            self.enter(kinds);
        }
        &self.need
    }

    /// Whether executions have changed what the server derived when the text was prepared.
    pub fn is_rebound(&self) -> bool {
        self.state != State::AsPrepared
    }

    /// Whether the execution that was bound last runs on the server statement in the state that
    /// later ones may need.
    pub fn runs_in_its_state(&self) -> bool {
        let runs_in = |state| self.need.before == state || self.need.after == state;
        self.state.rebound().is_none_or(runs_in) || self.next != self.state
    }

    /// What the execution needs that was bound last.
    pub fn need(&self) -> &Need {
        &self.need
    }

    /// Notes that a server has run the execution that was bound last.
    pub fn note_executed(&mut self) {
        match (self.memory, &self.need.after) {
            (TypeMemory::Sticky, _) if self.next == self.state => {
                self.alike = self.alike.saturating_add(1);
                if self.alike != ALIKE {
                    return;
                }
            }
            (TypeMemory::Sticky, _) => self.state = self.next.clone(),
            (_, Variant::Own(number)) if self.need.changes() => self.own = Some(*number),
            _ => return,
        }
        self.enter(self.last.clone());
    }

    /// Notes that it has answered with an error, perhaps before it prepared the statement again.
    /// Gives the state that the server statement must be taken to be in if it may not be in the one
    /// that it is counted as.
    pub fn note_failed(&mut self, arrival: Arrival) -> Option<Variant> {
        if self.memory != TypeMemory::Sticky {
            if let (true, Variant::Own(number)) = (self.need.changes(), &self.need.after) {
                self.own = Some(*number);
                self.enter(self.last.clone());
            }
            return None;
        }
        let is_doubtful = match (&self.need.after, arrival) {
            (Variant::AsPrepared, _) | (_, Arrival::There) => false,
            (Variant::Bound(_), Arrival::Moved | Arrival::Fresh) => true,
            (Variant::Own(_), Arrival::Moved) => false,
            (Variant::Own(_), Arrival::Fresh) => self.state != State::AsPrepared,
        };
        self.state = self.after_failure(is_doubtful);
        self.enter(self.last.clone());
        is_doubtful.then(|| Variant::Own(next_number()))
    }

    fn after_failure(&self, is_doubtful: bool) -> State {
        match (&self.state, &self.next) {
            (state, next) if state == next => state.clone(),
            // There is one, in whatever state it was brought into.
            (_, next @ State::Own { first: None, .. }) => next.clone(),
            (State::AsPrepared, State::Own { number, first: Some(first) }) => {
                State::Failed { number: *number, first: first.clone() }
            }
            (State::Failed { .. }, State::Own { number, first: Some(first) }) => {
                let number = if is_doubtful { next_number() } else { *number };
                State::Failed { number, first: first.clone() }
            }
            (State::Shared(_), next @ State::Own { .. }) if !is_doubtful => next.clone(),
            (state, _) => state.clone(),
        }
    }

    fn enter(&mut self, kinds: ValueKinds) {
        if kinds != self.last {
            self.alike = 0;
        }
        (self.need, self.next) = self.step(&kinds);
        self.last = kinds;
    }

    /// What an execution of these kinds needs, and the state after it.
    fn step(&self, kinds: &ValueKinds) -> (Need, State) {
        match self.memory {
            TypeMemory::Traces if kinds.is_empty() || self.own.is_some() => {
                (self.unchanged(), State::AsPrepared)
            }
            TypeMemory::Traces => {
                let after = Variant::Bound(kinds.clone());
                let need = Need { before: Variant::AsPrepared, after, fresh: Fresh::WillDo };
                (need, State::AsPrepared)
            }
            TypeMemory::Unknown => (self.unchanged(), State::AsPrepared),
            TypeMemory::Sticky if self.servers == Servers::Several && self.own.is_none() => {
                (self.need_of_kinds(kinds), State::AsPrepared)
            }
            TypeMemory::Sticky => self.sticky_step(kinds),
        }
    }

    /// An execution that leaves a statement as it was prepared.
    fn unchanged(&self) -> Need {
        let variant = self.own.map_or(Variant::AsPrepared, Variant::Own);
        Need { before: variant.clone(), after: variant, fresh: Fresh::WillDo }
    }

    /// An execution that begins with the types of PREPARE, whatever came before it.
    fn need_of_kinds(&self, kinds: &ValueKinds) -> Need {
        let mut need = self.first_need(kinds);
        if need.changes() {
            let seen = |(at, kind)| if self.is_number_for_date(at, kind) { ODD } else { kind };
            let kinds = self.told_apart(kinds);
            need.after = Variant::Bound(kinds.into_iter().enumerate().map(seen).collect());
        }
        need
    }

    /// An execution on a statement that was just prepared, or that others have left as it was.
    fn first_need(&self, kinds: &ValueKinds) -> Need {
        let mut need = self.unchanged();
        // What others bound before may be seen: the value itself by some NULLs, and by numbers
        // whether it was a date.
        let seen_by_null = |(at, k): (usize, &ValueKind)| {
            *k == ValueKind::Null && self.place(at) == NullPlace::Other
        };
        if self.own.is_none() && kinds.iter().enumerate().any(seen_by_null) {
            let own = Variant::Own(self.for_nulls);
            need = Need { before: own.clone(), after: own, fresh: Fresh::WillDo };
        }
        if !self.all_fit(kinds) {
            if kinds.iter().enumerate().any(|(at, kind)| self.is_number_for_date(at, *kind)) {
                need.before = Variant::Own(next_number());
            }
            need.after = Variant::Own(next_number());
        }
        need
    }

    fn is_number_for_date(&self, at: usize, kind: ValueKind) -> bool {
        let is_date = |of: BinaryType| {
            matches!(kind_of(of), ValueKind::Date | ValueKind::Time | ValueKind::DateTime)
        };
        kind.is_number() && self.derived_type(at).is_none_or(is_date)
    }

    /// Whether all values fit the types of PREPARE.
    fn all_fit(&self, kinds: &ValueKinds) -> bool {
        let fits = |(at, kind): (usize, &ValueKind)| fits(*kind, self.derived_type(at));
        kinds.iter().enumerate().all(fits)
    }

    fn sticky_step(&self, kinds: &ValueKinds) -> (Need, State) {
        let Some(before) = self.state.rebound() else { return self.first_step(kinds) };
        let stays = |fresh| {
            let need = Need { before: before.clone(), after: before.clone(), fresh };
            (need, self.state.clone())
        };
        let shares = self.own.is_none();
        if let State::Failed { number, first } = &self.state {
            if shares && *first == self.told_apart(kinds) {
                // It comes to the same from both states.
                let number = next_number();
                let need = Need { before, after: Variant::Own(number), fresh: Fresh::AtWorst };
                return (need, State::Own { number, first: Some(first.clone()) });
            }
            let need = Need { before: before.clone(), after: before, fresh: Fresh::WillNotDo };
            return (need, State::Own { number: *number, first: None });
        }
        let (mut need, mut next) = match self.state.first() {
            Some(first) if *first == self.told_apart(kinds) => {
                let is_own = matches!(self.state, State::Own { .. });
                if shares && is_own && self.alike >= ALIKE && self.knows_places(kinds.len()) {
                    let after = Variant::Bound(first.clone());
                    let need = Need { before, after, fresh: Fresh::WillDo };
                    return (need, State::Shared(first.clone()));
                }
                stays(Fresh::WillDo)
            }
            Some(first) if shares && self.nulls_are_all_the_same(first, kinds) => {
                return (self.need_of_kinds(kinds), self.state.clone());
            }
            // What the server derived at first does not count any more.
            Some(first) if kinds.iter().zip(first).all(|(k, f)| covers(*f, *k)) => {
                stays(Fresh::WillNotDo)
            }
            Some(first) if shares && self.is_prepared_anew(first, kinds) => {
                return self.first_step(kinds);
            }
            Some(_) => {
                let number = next_number();
                let after = Variant::Own(number);
                let need = Need { before, after, fresh: Fresh::WillNotDo };
                (need, State::Own { number, first: None })
            }
            // There is one, and it is in whatever state this brings it into.
            None => stays(Fresh::WillNotDo),
        };
        if let (false, State::Shared(first)) = (shares, &next) {
            // From now on it is not shared.
            let number = next_number();
            need.after = Variant::Own(number);
            if need.fresh == Fresh::WillDo {
                need.before = need.after.clone();
            }
            next = State::Own { number, first: Some(first.clone()) };
        }
        (need, next)
    }

    /// The first execution whose values may not fit.
    fn first_step(&self, kinds: &ValueKinds) -> (Need, State) {
        let need = self.first_need(kinds);
        let Variant::Own(number) = need.after else { return (need, State::AsPrepared) };
        if !need.changes() {
            return (need, State::AsPrepared);
        }
        let told = self.told_apart(kinds);
        let is_known = !told.iter().any(|kind| is_odd(*kind));
        (need, State::Own { number, first: is_known.then_some(told) })
    }

    /// Whether no NULL that is bound later can tell what was bound before.
    fn knows_places(&self, parameters: usize) -> bool {
        (0..parameters).all(|at| self.place(at) != NullPlace::Other)
    }

    /// Whether a server prepares a statement again for these kinds that was prepared again for
    /// `first`, into the state into which they bring one that is just prepared.
    fn is_prepared_anew(&self, first: &ValueKinds, kinds: &ValueKinds) -> bool {
        let is_text = |at| self.derived_type(at).is_some_and(|of| kind_of(of) == ValueKind::Text);
        let told = self.told_apart(kinds);
        let is_plain = |(at, (kind, first)): (usize, (&ValueKind, &ValueKind))| match kind {
            ValueKind::Text => *first == ValueKind::Text && is_text(at),
            kind => kind.is_number() && first.is_number(),
        };
        told.len() == first.len()
            && told.iter().zip(first).enumerate().all(is_plain)
            && !self.all_fit(kinds)
    }

    /// Whether an execution does on a statement that was just prepared what it does on one that was
    /// prepared again for `first`: it differs only by NULLs whose type cannot be seen.
    fn nulls_are_all_the_same(&self, first: &ValueKinds, kinds: &ValueKinds) -> bool {
        let told = self.told_apart(kinds);
        let alike = |(at, (kind, first)): (usize, (&ValueKind, &ValueKind))| match kind {
            ValueKind::Null => self.place(at) == NullPlace::Assigned,
            kind => kind == first,
        };
        let is_prepared_again = !self.all_fit(kinds);
        kinds.len() == first.len()
            && told.iter().zip(first).enumerate().all(alike)
            && (is_prepared_again
                || told.iter().enumerate().all(|(at, k)| self.is_as_bound(at, *k)))
    }

    /// Whether a value that fits is read as one of its own type would be.
    fn is_as_bound(&self, at: usize, kind: ValueKind) -> bool {
        let Some(derived) = self.derived_type(at) else { return false };
        match kind {
            ValueKind::Null => true,
            ValueKind::Signed | ValueKind::Unsigned => is_integer(derived.kind),
            ValueKind::Decimal => derived.kind == ColumnType::NewDecimal,
            ValueKind::Double => matches!(derived.kind, ColumnType::Float | ColumnType::Double),
            ValueKind::Text | ValueKind::MixedText => {
                self.place(at) == NullPlace::Assigned
                    && kind_of(derived) == ValueKind::Text
                    && derived.kind != ColumnType::Json
            }
            _ => false,
        }
    }

    fn place(&self, at: usize) -> NullPlace {
        self.places.get(at).copied().unwrap_or(NullPlace::Other)
    }

    fn derived_type(&self, at: usize) -> Option<BinaryType> {
        self.derived.as_ref().and_then(|types| types.get(at)).copied()
    }

    /// What a server that prepares the statement again makes of these kinds.
    fn told_apart(&self, kinds: &ValueKinds) -> ValueKinds {
        let told = |(at, kind): (usize, &ValueKind)| told_apart(*kind, self.derived_type(at));
        kinds.iter().enumerate().map(told).collect()
    }
}

/// A number that no state of a server statement has yet.
fn next_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
