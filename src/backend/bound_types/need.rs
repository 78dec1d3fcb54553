//! What an execution needs of a server statement: the state that it must be in, and the state that
//! it is in afterwards.

use super::kinds::{ValueKind, ValueKinds, is_odd};
use crate::backend::server_kind::Product;

/// The state that a server statement was brought into by its executions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing was bound that changed it since it was prepared.
    AsPrepared,
    /// Values of these kinds were bound; on MariaDB NULL where nothing else was.
    Bound(ValueKinds),
    /// A state that a single client's statement has brought it into, by a number of that state.
    Own(u64),
}

/// What a server statement must be like to run an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The state in which it may be found.
    pub before: Variant,
    /// The state in which the execution leaves it.
    pub after: Variant,
    /// Whether one that has just been prepared will do.
    pub fresh: Fresh,
}

/// Whether a server statement that has just been prepared is as good as the one that the client's
/// earlier executions ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// It is.
    WillDo,
    /// It is as good for this execution, but the other one knows more for later ones.
    AtWorst,
    /// Only that very statement knows how to read the values.
    WillNotDo,
}

impl Need {
    /// What executions without parameters need.
    pub const AS_PREPARED: Self =
        Self { before: Variant::AsPrepared, after: Variant::AsPrepared, fresh: Fresh::WillDo };

    /// Whether the execution changes the server statement for later ones.
    pub fn changes(&self) -> bool {
        self.before != self.after
    }

    /// The same for a part of the statement that has only these of its parameters.
    #[must_use]
    pub fn of_parameters(&self, parameters: &[usize]) -> Self {
        let part = |variant: &Variant| match variant {
            Variant::Bound(kinds) => {
                let kind = |at: &usize| kinds.get(*at).copied().unwrap_or(ValueKind::Null);
                Variant::Bound(parameters.iter().map(kind).collect())
            }
            other => other.clone(),
        };
        Self { before: part(&self.before), after: part(&self.after), fresh: self.fresh }
    }
}

impl Variant {
    /// Whether a server statement in this state serves a MariaDB execution of these kinds: whatever
    /// was bound was of the same kinds, or NULL on one of the two sides.
    fn fits(&self, kinds: &ValueKinds) -> bool {
        match self {
            Self::AsPrepared => true,
            Self::Bound(known) => {
                let same = |(a, b): (&ValueKind, &ValueKind)| {
                    a == b || *a == ValueKind::Null || *b == ValueKind::Null
                };
                known.len() == kinds.len() && known.iter().zip(kinds).all(same)
            }
            Self::Own(_) => false,
        }
    }

    /// Whether a server statement in this state may run what is needed.
    pub(in crate::backend) fn serves(&self, need: &Need, product: Product) -> bool {
        match (&need.after, product) {
            (Variant::Bound(kinds), Product::MariaDb) => self.fits(kinds),
            (after, _) => {
                let is_there = need.fresh == Fresh::WillDo && self == after && !after.is_odd();
                *self == need.before || is_there
            }
        }
    }

    /// Whether two server statements in this state may still differ.
    fn is_odd(&self) -> bool {
        matches!(self, Self::Bound(kinds) if kinds.iter().any(|kind| is_odd(*kind)))
    }

    /// The state after running what is needed.
    pub(in crate::backend) fn after(&self, need: &Need, product: Product) -> Variant {
        match (self, &need.after, product) {
            (Variant::Bound(known), Variant::Bound(kinds), Product::MariaDb) => {
                let merged = known.iter().zip(kinds).map(|(known, kind)| match known {
                    ValueKind::Null => *kind,
                    known => *known,
                });
                Variant::Bound(merged.collect())
            }
            (_, after, _) => after.clone(),
        }
    }
}
