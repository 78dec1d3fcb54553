//! Which share of the sessions the candidate gets, and which sessions those are.
//!
//! The side is `hash(key) < weight` with a hash keyed by the rollout: equal on every proxy that
//! has the same rollout id, and monotone, so that raising the weight only moves sessions to the
//! candidate and lowering it only moves them back. Another rollout chooses other sessions first.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A share in basis points, 0 to 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

/// What is not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a percentage; write 0 to 100 with at most two decimals, such as 5 or 0.25")]
pub struct InvalidWeight(pub String);

/// The side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The VSchema that serves everyone else.
    Stable,
    /// The VSchema on trial.
    Candidate,
}

/// A rollout and its present share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    rollout: u64,
    weight: Weight,
}

const WHOLE: u16 = 10_000;

impl Weight {
    /// No session.
    pub const NONE: Self = Self(0);
    /// Every session.
    pub const ALL: Self = Self(WHOLE);

    /// Checks a number of basis points.
    pub fn new(basis_points: u32) -> Result<Self, InvalidWeight> {
        match u16::try_from(basis_points) {
            Ok(points) if points <= WHOLE => Ok(Self(points)),
            _ => Err(InvalidWeight(format!("{basis_points} basis points"))),
        }
    }

    /// Reads a percentage, with a percent sign or without: `5`, `12.5`, `0.01 %`. Nothing is
    /// rounded.
    pub fn parse_percent(text: &str) -> Result<Self, InvalidWeight> {
        let invalid = || InvalidWeight(text.to_owned());
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let fraction = match fraction.trim_end_matches('0') {
            "" if !fraction.is_empty() => "0",
            significant => significant,
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return Err(invalid());
        }
        let whole: u32 = whole.parse().map_err(|_| invalid())?;
        let hundredths: u32 = format!("{fraction:0<2}").parse().map_err(|_| invalid())?;
        let points = whole.checked_mul(100).and_then(|points| points.checked_add(hundredths));
        points.and_then(|points| Self::new(points).ok()).ok_or_else(invalid)
    }

    /// The number of basis points.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1, for metrics.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// The share in percent, for JSON.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{} %", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02} %"),
        }
    }
}

impl Split {
    /// A rollout with its share.
    pub fn new(rollout: u64, weight: Weight) -> Self {
        Self { rollout, weight }
    }

    /// The key of its hash.
    pub fn rollout(&self) -> u64 {
        self.rollout
    }

    /// Its share.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The side of whoever has this key.
    pub fn side(&self, key: &[u8]) -> Side {
        let hash = xxh3_64_with_seed(key, self.rollout);
        // Multiplying maps the whole range of the hash evenly to 0..10000, unlike a remainder.
        let bucket = (u128::from(hash) * u128::from(WHOLE)) >> 64;
        if bucket < u128::from(self.weight.0) { Side::Candidate } else { Side::Stable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(rollout: u64, points: u32, id: u32) -> Side {
        Split::new(rollout, Weight::new(points).unwrap()).side(&id.to_le_bytes())
    }

    #[test]
    fn percentages_are_read_exactly_or_not_at_all() {
        let points = |text| Weight::parse_percent(text).map(Weight::basis_points).ok();
        assert_eq!(points("5"), Some(500));
        assert_eq!(points(" 12.5 %"), Some(1250));
        assert_eq!(points("0.01"), Some(1));
        assert_eq!(points("100.00"), Some(10_000));
        assert_eq!(points("7.250"), Some(725));
        for wrong in ["", "-1", "100.01", "0.001", "1e1", "5.", ".5", "five", "429496729600"] {
            assert_eq!(points(wrong), None, "{wrong}");
        }
        assert_eq!(Weight::new(10_001).ok(), None);
        let shown = [0, 1, 50, 725, 10_000].map(|p| Weight::new(p).unwrap().to_string());
        assert_eq!(shown, ["0 %", "0.01 %", "0.5 %", "7.25 %", "100 %"]);
    }

    /// Goal: the share of sessions is the weight. Method: 100000 ids, five standard deviations.
    #[test]
    fn the_share_of_sessions_is_the_weight() {
        for rollout in [1, 2, 0xdead_beef] {
            for points in [1, 100, 1000, 5000, 9999] {
                let all = 100_000_u32;
                let candidates =
                    (0..all).filter(|id| side(rollout, points, *id) == Side::Candidate).count();
                let share = f64::from(points) / 10_000.0;
                let expected = share * f64::from(all);
                let deviation = (expected * (1.0 - share)).sqrt();
                let off = (candidates as f64 - expected).abs();
                assert!(off < 5.0 * deviation + 1.0, "{points}: {candidates} not {expected}");
            }
        }
    }

    #[test]
    fn ends_are_exact() {
        for id in 0..10_000 {
            assert_eq!(side(7, 0, id), Side::Stable);
            assert_eq!(side(7, 10_000, id), Side::Candidate);
        }
    }

    /// Goal: a session that has moved to the candidate stays there while the weight rises.
    #[test]
    fn raising_the_weight_moves_sessions_one_way() {
        for id in 0..500 {
            let mut last = Side::Stable;
            for points in (0..=10_000).step_by(50) {
                let now = side(3, points, id);
                assert!(!(last == Side::Candidate && now == Side::Stable), "{id} at {points}");
                last = now;
            }
        }
    }

    /// Goal: every proxy of every build agrees. Method: buckets written down once.
    #[test]
    fn the_hash_is_the_same_everywhere() {
        let bucket = |id: u32| (0..=10_000).find(|p| side(42, *p, id) == Side::Candidate);
        assert_eq!([1, 2, 3].map(bucket), [BUCKETS[0], BUCKETS[1], BUCKETS[2]]);
    }

    const BUCKETS: [Option<u32>; 3] = [Some(7151), Some(9751), Some(8702)];
}
