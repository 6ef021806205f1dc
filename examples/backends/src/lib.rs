//! Where a deployed service's database and brokers are, and how they are reached: flags, each also a variable.
//!
//! Nothing is passed through to a driver: what there is to set has a name here, and what is wrong is said by that name, all at
//! once and without a secret.
mod database;
mod kafka;

pub use database::{Database, DatabaseArgs};
pub use kafka::KafkaArgs;

use std::time::Duration;
use trust::secrets::Name;

/// A number of seconds from one to `most`, or the default where nothing is set.
fn seconds(name: Name, value: Option<&str>, default: u64, most: u64, wrong: &mut Vec<String>) -> Option<Duration> {
    number(name, value, default, most, "seconds", wrong).map(Duration::from_secs)
}

/// A number from one to `most`, or the default where nothing is set.
fn number(
    name: Name,
    value: Option<&str>,
    default: u64,
    most: u64,
    what: &str,
    wrong: &mut Vec<String>,
) -> Option<u64> {
    let read = trust::secrets::given(value).map_or(Ok(default), str::parse).ok();
    let read = read.filter(|it| (1..=most).contains(it));
    if read.is_none() {
        wrong.push(format!("{name}: 1 to {most} {what}"));
    }
    read
}

#[cfg(test)]
mod tests;
