//! LIMIT and OFFSET over merged rows.

use super::plan::{Bindings, LimitValue};
use crate::error::{SqlError, catalog};
use crate::sql::value::Value;

/// The state of a LIMIT while rows pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    skip: u64,
    left: u64,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It lies before the offset.
    Skip,
    /// It is returned.
    Pass,
    /// It is returned and is the last one.
    PassLast,
    /// The limit was reached before.
    Stop,
}

impl Limit {
    pub(super) fn new(count: Option<u64>, offset: Option<u64>) -> Self {
        Self { skip: offset.unwrap_or(0), left: count.unwrap_or(u64::MAX) }
    }

    pub(super) fn next(&mut self) -> Verdict {
        if self.left == 0 {
            return Verdict::Stop;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Verdict::Skip;
        }
        self.left -= 1;
        if self.left == 0 { Verdict::PassLast } else { Verdict::Pass }
    }
}

/// The number that a LIMIT value stands for; anything but a whole number from 0 is an error, as it
/// is in MySQL.
pub fn limit_value<B: Bindings>(value: LimitValue, bindings: &B) -> Result<u64, SqlError> {
    let hole = match value {
        LimitValue::Constant(number) => return Ok(number),
        LimitValue::Hole(hole) => hole,
    };
    match bindings.value(hole) {
        Value::UInt(number) => Ok(number),
        Value::Int(number) if number >= 0 => Ok(number as u64),
        _ => Err(catalog::WRONG_PARAMETERS.with(&[&"LIMIT"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_then_counts_then_stops() {
        let mut limit = Limit::new(Some(2), Some(1));
        let verdicts: Vec<_> = (0..4).map(|_| limit.next()).collect();
        assert_eq!(verdicts, [Verdict::Skip, Verdict::Pass, Verdict::PassLast, Verdict::Stop]);
        assert_eq!(Limit::new(Some(0), Some(5)).next(), Verdict::Stop);
    }
}
