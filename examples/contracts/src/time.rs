//! The format of times in the contracts.
use cqrs_core::Timestamp;

/// Formats a time as every message of the contracts carries it: ISO-8601 in UTC with milliseconds.
///
/// The clients of the original Hearlers expect this format, because its services wrote `Date.toISOString()`. Digits after
/// the milliseconds are cut off, not rounded, so that no time lies in the future.
///
/// ```
/// use chrono::{TimeZone, Utc};
///
/// let at = Utc.timestamp_nanos(1_767_323_045_006_999_999);
/// assert_eq!(contracts::iso(at), "2026-01-02T03:04:05.006Z");
/// ```
pub fn iso(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
