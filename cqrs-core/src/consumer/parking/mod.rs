//! Parking, an ordered dead-letter queue: a message that cannot be handled is parked with the later messages of its
//! key.
//!
//! Messages of other keys go on. No message is skipped: an operator sees the parked ones
//! ([`list`](crate::app::ParkedMessages::list)) and, once the cause is removed, handles them in the same order
//! ([`redeliver`](crate::app::ParkedMessages::redeliver)).
mod batch_size;
mod failure;
mod filter;
mod parked_keys;

pub(crate) use failure::{FailureKind, admits, class_of, failure_kind};
pub(crate) use filter::{Item, ParkingFilter};
pub(crate) use parked_keys::ParkedKeys;

pub use crate::error::{Permanent, Transient, permanent, transient};

use crate::{
    storage::{LEFT_TO_NEWER_PROGRAM, Park},
    transport::Received,
};
use uuid::Uuid;

/// Creates the parked form of a record that waits behind an earlier message of its key.
pub(crate) fn park(reader: &str, key: String, message: Uuid, record: &Received) -> Park {
    let (at, record) = (record.offset, Some(record.clone()));
    Park { reader: reader.to_owned(), key, behind: true, message, at, record, error: BEHIND.into(), attempts: 0 }
}
/// Creates the parked form of an entry of the service's own log that waits behind an earlier message of its key.
pub(crate) fn park_entry(reader: &str, key: String, message: Uuid, at: u64) -> Park {
    let (reader, error) = (reader.to_owned(), BEHIND.into());
    Park { reader, key, behind: true, message, at, record: None, error, attempts: 0 }
}
pub(crate) const BEHIND: &str = "waits behind the first parked message of its key";

/// Lets a message wait behind the first one of its key, which has this error. If that one is left to a newer program,
/// this one is as well, so that it does not wait for an operator once the first one is handled.
pub(crate) fn behind(park: Park, first: &str) -> Park {
    match first {
        LEFT_TO_NEWER_PROGRAM => Park { error: LEFT_TO_NEWER_PROGRAM.into(), ..park },
        _ => park,
    }
}

/// Makes a message the first parked one of its key, with the error for which it is parked.
pub(crate) fn head(park: Park, error: String, attempts: u32) -> Park {
    Park { behind: false, error, attempts, ..park }
}
