//! Times in the format of the contracts: ISO-8601, UTC.
use chrono::{DateTime, Utc};

pub(super) type Timestamp = DateTime<Utc>;

/// Returns the current time in microseconds, the precision of PostgreSQL.
pub(super) fn now() -> Timestamp {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}
pub(super) fn iso(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
