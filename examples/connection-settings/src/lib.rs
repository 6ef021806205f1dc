//! Connection settings of a deployed service: database and brokers, as flags and variables.
//!
//! Nothing is passed through to a driver: every setting has a name here. All invalid settings are reported at once by
//! name and
//! without secrets.
#![allow(missing_docs, reason = "examples are not published")]
mod database;
mod kafka;

pub use database::{Database, DatabaseArgs};
pub use kafka::KafkaArgs;

use service_auth::secrets::Name;
use std::time::Duration;

/// Parses a number of seconds from 1 to `most`, or returns the default when nothing is set.
fn seconds(name: Name, value: Option<&str>, default: u64, most: u64, wrong: &mut Vec<String>) -> Option<Duration> {
    number(name, value, default, most, "seconds", wrong).map(Duration::from_secs)
}

/// Parses a number from 1 to `most`, or returns the default when nothing is set.
fn number(
    name: Name,
    value: Option<&str>,
    default: u64,
    most: u64,
    unit: &str,
    wrong: &mut Vec<String>,
) -> Option<u64> {
    let read = service_auth::secrets::given(value).map_or(Ok(default), str::parse).ok();
    let read = read.filter(|number| (1..=most).contains(number));
    if read.is_none() {
        wrong.push(format!("{name}: 1 to {most} {unit}"));
    }
    read
}

#[cfg(test)]
mod tests;
