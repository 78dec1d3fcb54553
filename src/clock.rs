//! The injected clock.
//!
//! Code that decides takes a [`Instant`] as an argument; only the thin layers ask [`now`]. Tests
//! pass the instants they like.

use std::pin::Pin;

pub use tokio::time::{Instant, Sleep};

/// The present, on the runtime's clock (which tests can stop and advance).
#[expect(clippy::disallowed_methods, reason = "all others ask here")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits. Only loops of the outermost layer wait for time itself.
#[expect(clippy::disallowed_methods, reason = "all others wait here")]
pub async fn sleep(duration: std::time::Duration) {
    tokio::time::sleep(duration).await;
}

/// A wait for an instant, to be polled by who waits for something else too.
#[expect(clippy::disallowed_methods, reason = "all others wait here")]
pub fn sleep_until(instant: Instant) -> Sleep {
    tokio::time::sleep_until(instant)
}

/// The end of a wait that a poll looks at among other things.
#[expect(clippy::disallowed_methods, reason = "all others wait here")]
pub fn end_of(duration: std::time::Duration) -> Pin<Box<tokio::time::Sleep>> {
    Box::pin(tokio::time::sleep(duration))
}

/// The present as seconds since 1970, for people and files; it may jump.
#[expect(clippy::disallowed_methods, reason = "all others ask here")]
pub fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 as `2024-02-29T12:00:00Z`. The calendar is computed as in Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms" (`civil_from_days`).
pub fn utc_text(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc_text(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc_text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc_text(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(utc_text(1_735_689_600), "2025-01-01T00:00:00Z");
    }
}
