//! Times as the contracts write them: ISO-8601, UTC.
use chrono::{DateTime, Utc};

pub(super) type Timestamp = DateTime<Utc>;

/// The current time, to the microsecond as PostgreSQL keeps it.
pub(super) fn now() -> Timestamp {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}
pub(super) fn iso(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
