//! Dates and times of rows as numbers that grow with them.
//!
//! Protocol page: "Binary Protocol Value", types MYSQL_TYPE_DATE, DATETIME, TIMESTAMP and TIME.

/// `YYYY-MM-DD[ HH:MM:SS[.ffffff]]`.
pub(super) fn datetime_text(text: &[u8]) -> Option<i64> {
    let (date, time) = match text.len() {
        10 => (text, None),
        19.. => (&text[..10], Some(&text[11..])),
        _ => return None,
    };
    let day =
        packed_day(digits(date.get(0..4)?)?, digits(date.get(5..7)?)?, digits(date.get(8..10)?)?);
    Some(day * DAY_MICROS + time.map_or(Some(0), time_text)?)
}

/// Year, month, day, hour, minute, second, microsecond; the tail is left out when it is zero.
pub(super) fn datetime_binary(cell: &[u8]) -> Option<i64> {
    let field = |at: usize| i64::from(cell.get(at).copied().unwrap_or(0));
    if !matches!(cell.len(), 0 | 4 | 7 | 11) {
        return None;
    }
    let year = field(0) | field(1) << 8;
    let seconds = field(4) * 3600 + field(5) * 60 + field(6);
    let micros = field(7) | field(8) << 8 | field(9) << 16 | field(10) << 24;
    Some(packed_day(year, field(2), field(3)) * DAY_MICROS + seconds * 1_000_000 + micros)
}

/// `[-]H…H:MM:SS[.ffffff]` in microseconds.
pub(super) fn time_text(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let mut parts = text.splitn(3, |b| *b == b':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = match seconds.split_first_chunk::<2>()? {
        (whole, []) => (digits(whole)?, 0),
        (whole, [b'.', fraction @ ..]) => {
            let places = u32::try_from(fraction.len()).ok().filter(|n| (1..=6).contains(n))?;
            (digits(whole)?, digits(fraction)? * 10i64.pow(6 - places))
        }
        _ => return None,
    };
    let micros = (digits(hours)? * 3600 + digits(minutes)? * 60 + seconds) * 1_000_000 + fraction;
    Some(if negative { -micros } else { micros })
}

/// Sign, days, hours, minutes, seconds, microseconds.
pub(super) fn time_binary(cell: &[u8]) -> Option<i64> {
    if cell.is_empty() {
        return Some(0);
    }
    if !matches!(cell.len(), 8 | 12) {
        return None;
    }
    let field = |at: usize| i64::from(cell.get(at).copied().unwrap_or(0));
    let word =
        |at: usize| field(at) | field(at + 1) << 8 | field(at + 2) << 16 | field(at + 3) << 24;
    let seconds = (word(1) * 24 + field(5)) * 3600 + field(6) * 60 + field(7);
    let micros = seconds * 1_000_000 + word(8);
    Some(if cell[0] != 0 { -micros } else { micros })
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Not a day number: zero months and days ("2024-00-00") must keep their place.
fn packed_day(year: i64, month: i64, day: i64) -> i64 {
    (year * 13 + month) * 32 + day
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_binary_mean_the_same() {
        let binary = [0xe8, 0x07, 2, 29, 13, 14, 15, 0x40, 0xe2, 0x01, 0];
        assert_eq!(datetime_text(b"2024-02-29 13:14:15.123456"), datetime_binary(&binary));
        assert_eq!(datetime_text(b"2024-02-29"), datetime_binary(&binary[..4]));
        assert_eq!(datetime_text(b"0000-00-00 00:00:00"), datetime_binary(&[]));
        let time = [1, 34, 0, 0, 0, 22, 59, 59];
        assert_eq!(time_text(b"-838:59:59"), time_binary(&time));
        assert_eq!(time_text(b"00:00:00.5"), Some(500_000));
        assert_eq!(time_binary(&[]), Some(0));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "2024-01", "2024-01-0x", "2024-01-01 1", "2024-01-01 10:00:0"] {
            assert_eq!(datetime_text(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(time_text(b"10:00"), None);
        assert_eq!(time_text(b"10:00:00."), None);
        assert_eq!(datetime_binary(&[1, 2, 3]), None);
        assert_eq!(time_binary(&[0; 9]), None);
    }
}
