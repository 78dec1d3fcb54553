//! The text side of `unicode_loose_md5` and `unicode_loose_xxhash`: primary collation weights, so
//! that texts which differ in case or accents only share a keyspace id.
//!
//! The weights are those of golang.org/x/text `collate`'s root table (CLDR 23, Unicode 6.2),
//! because Vitess uses that table; newer tables weigh differently and would move rows.

mod table;

use smallvec::SmallVec;

use super::VindexError;
use super::value_bytes::bytes_of;
use crate::sql::value::Value;

/// Sort key bytes; short texts stay off the heap.
pub(super) type Weights = SmallVec<[u8; 64]>;

/// Primary weights of the value's text. Trailing spaces do not count.
pub(super) fn weights_of(value: &Value<'_>) -> Result<Weights, VindexError> {
    let bytes = bytes_of(value);
    let text = str::from_utf8(bytes.as_slice()).map_err(|_| VindexError::InvalidUtf8)?;
    let mut weights = Weights::new();
    let mut rest = text.trim_end_matches(' ').chars();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        if let Some(second) = ahead.next().filter(|second| !second.is_ascii())
            && let Some((weight, used)) = table::contraction(first, second, ahead.next())
        {
            weights.extend_from_slice(weight);
            for _ in 1..used {
                rest.next();
            }
        } else {
            push(first, &mut weights);
        }
    }
    Ok(weights)
}

fn push(character: char, weights: &mut Weights) {
    if let Some(syllable) = hangul(character) {
        syllable.into_iter().flatten().for_each(|part| push(part, weights));
    } else if let Some(listed) = table::weight(character) {
        weights.extend_from_slice(listed);
    } else {
        // Written in three bytes with the top bit set.
        let [_, high, middle, low] = implicit(character).to_be_bytes();
        weights.extend_from_slice(&[high | 0x80, middle, low]);
    }
}

/// The letters of a composed Hangul syllable (Unicode 3.12).
fn hangul(character: char) -> Option<[Option<char>; 3]> {
    let index = u32::from(character).checked_sub(0xac00).filter(|index| *index < 11172)?;
    let tail = index % 28;
    Some([
        char::from_u32(0x1100 + index / 588),
        char::from_u32(0x1161 + index % 588 / 28),
        if tail == 0 { None } else { char::from_u32(0x11a7 + tail) },
    ])
}

/// Weight of a character that the table does not list (`colltab.implicitPrimary`).
fn implicit(character: char) -> u32 {
    let point = u32::from(character);
    match point {
        0x4e00..=0x9fff | 0xf900..=0xfa6d | 0xfa70..=0xfad9 => point + 0x1_0000,
        // The other characters with the property Ideographic.
        0x3006..=0x3007
        | 0x3021..=0x3029
        | 0x3038..=0x303a
        | 0x3400..=0x4dbf
        | 0x1_6fe4
        | 0x1_7000..=0x1_87f7
        | 0x1_8800..=0x1_8cd5
        | 0x1_8d00..=0x1_8d08
        | 0x1_b170..=0x1_b2fb
        | 0x2_0000..=0x2_a6df
        | 0x2_a700..=0x2_b739
        | 0x2_b740..=0x2_b81d
        | 0x2_b820..=0x2_cea1
        | 0x2_ceb0..=0x2_ebe0
        | 0x2_f800..=0x2_fa1d
        | 0x3_0000..=0x3_134a
        | 0x3_1350..=0x3_23af => point + 0x2_0000,
        _ => point + 0x5_0000,
    }
}
