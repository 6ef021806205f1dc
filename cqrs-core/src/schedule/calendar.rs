//! Calendars: the times of a recurring timer, as a cron pattern in a time zone.
use crate::Timestamp;
use chrono::Utc;
use chrono_tz::Tz;
use croner::Cron;
use std::{fmt, str::FromStr};

/// The times of a recurring timer: a cron pattern in a time zone.
///
/// A pattern has five fields, from minutes to days of the week, or six with seconds before them. `L` is the last day of a month,
/// and `1#2` the second Monday. A time that the change to summer time skips is moved behind the gap, and a fixed time that the change
/// to winter time repeats counts once.
///
/// ```
/// use cqrs_core::schedule::Calendar;
///
/// let calendar = Calendar::parse("30 3 * * *", "Europe/Berlin").unwrap();
/// let before = "2026-01-15T12:00:00Z".parse().unwrap();
/// assert_eq!(calendar.next_after(before).unwrap().to_rfc3339(), "2026-01-16T02:30:00+00:00");
/// assert_eq!(calendar.to_string(), "Europe/Berlin 30 3 * * *");
/// assert!(Calendar::parse("61 3 * * *", "Europe/Berlin").is_err());
/// assert!(Calendar::parse("30 3 * * *", "Berlin").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Calendar {
    pattern: String,
    cron: Cron,
    zone: Tz,
}
impl Calendar {
    /// Parses a cron pattern and the name of a time zone in the IANA database, such as `Asia/Seoul` or `UTC`.
    ///
    /// # Errors
    /// Fails with a [`CalendarError`] that names the pattern or the zone.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, CalendarError> {
        let found = Tz::from_str(zone).map_err(|_| CalendarError::Zone(zone.to_owned()))?;
        let invalid = |reason: String| CalendarError::Pattern { pattern: pattern.to_owned(), reason };
        let cron = Cron::from_str(pattern).map_err(|error| invalid(error.to_string()))?;
        Ok(Calendar { pattern: pattern.trim().to_owned(), cron, zone: found })
    }
    /// Parses the text of a stored calendar.
    pub(crate) fn of_text(text: &str) -> Result<Self, CalendarError> {
        let (zone, pattern) = text.split_once(' ').ok_or_else(|| CalendarError::Zone(text.to_owned()))?;
        Calendar::parse(pattern, zone)
    }
    /// Returns the first time after this one, or `None` if there is none.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&time.with_timezone(&self.zone), false);
        next.ok().map(|next| next.with_timezone(&Utc))
    }
}
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.zone.name(), self.pattern)
    }
}

/// The error of a calendar that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// There is no such time zone.
    #[error("`{0}` is no time zone of the IANA database, such as `Europe/Berlin`")]
    Zone(String),
    /// The cron pattern is invalid.
    #[error("`{pattern}` is no cron pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The reason, for a person.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::Calendar;
    use crate::Timestamp;

    fn next(pattern: &str, zone: &str, after: &str) -> String {
        let after: Timestamp = after.parse().expect("a time");
        let next = Calendar::parse(pattern, zone).expect("a calendar").next_after(after).expect("there is a next time");
        next.format("%Y-%m-%dT%H:%MZ").to_string()
    }

    #[test]
    fn a_local_time_stays_at_its_hour_when_the_clocks_change() {
        assert_eq!(next("0 9 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z"), "2026-03-28T08:00Z");
        assert_eq!(next("0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T07:00Z");
        assert_eq!(next("0 9 * * 1-5", "Asia/Seoul", "2026-11-27T12:00:00Z"), "2026-11-30T00:00Z");
    }
    #[test]
    fn a_calendar_can_have_an_end() {
        let calendar = Calendar::parse("0 0 30 2 *", "UTC");
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        assert!(calendar.is_err() || calendar.is_ok_and(|calendar| calendar.next_after(now).is_none()));
    }
    #[test]
    fn a_stored_calendar_is_read_back() {
        let calendar = Calendar::parse("*/5 * * * *", "America/Argentina/Buenos_Aires").expect("a calendar");
        let stored = Calendar::of_text(&calendar.to_string()).expect("a stored calendar");
        let now = "2026-01-01T00:01:00Z".parse().expect("a time");
        assert_eq!(calendar.next_after(now), stored.next_after(now));
    }
}
