//! Parking: a message that cannot be handled is put aside, and so is what comes after it of its key, in order; everything else
//! goes on. Nothing is skipped: what is parked is seen ([`list`](ParkedMessages::list)) and, once its cause is gone, handled in
//! the same order ([`replay`](ParkedMessages::replay)).
mod act;
mod class;
mod replay;
mod sieve;

pub(crate) use class::{Class, class};
pub use class::{Permanent, permanent};
pub use replay::{Replay, Replayed};
pub(crate) use sieve::{Item, Sieve};

use crate::{Fault, app::Running, batch::Park, storage::Parked, storage::ParkedKey, transport::Received};
use std::time::Duration;
use uuid::Uuid;

/// How often a message is tried before it is parked, and how long its key waits between.
///
/// What fails because a part is down ([`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)) is tried for ever and not
/// counted; what can never work ([`permanent`], or bytes that cannot be read) is parked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often it is tried. Default: 8, which takes three to six seconds.
    pub attempts: u32,
    /// The first wait, which doubles, with a random half. Default: 50 ms.
    pub first: Duration,
    /// The longest wait. Default: 30 s.
    pub longest: Duration,
}
impl Default for Retries {
    fn default() -> Self {
        Retries { attempts: 8, first: Duration::from_millis(50), longest: Duration::from_secs(30) }
    }
}

/// What a service has parked, for its operator. Take it from [`Running::parked`].
///
/// ```
/// # use cqrs_core::{App, Metadata};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let app = App::new("user").build().unwrap();
/// let parked = app.parked();
/// for key in parked.list().await.unwrap() {
///     println!("{} {}: {} wait since {}, {}", key.reader, key.key, key.count, key.since, key.error);
///     let me = Metadata::default().caller("kim, on call");
///     parked.replay(&key.reader, &key.key, &me).await.unwrap();
/// }
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct ParkedMessages {
    pub(crate) app: Running,
}
impl Running {
    /// What could not be handled, and what waits behind it.
    pub fn parked(&self) -> ParkedMessages {
        ParkedMessages { app: self.clone() }
    }
}
impl ParkedMessages {
    /// Every key with something parked, by reader.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<ParkedKey>, Fault> {
        self.app.storage().parked_keys(&[]).await
    }
    /// The messages of one key after a number (0: from the first), in order, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn show(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.app.storage().parked(reader, key, after, limit).await
    }
}

/// A record that is put aside.
pub(crate) fn park(reader: &str, key: String, message: Uuid, record: &Received) -> Park {
    let (at, record) = (record.offset, Some(record.clone()));
    Park { reader: reader.to_owned(), key, behind: true, message, at, record, error: BEHIND.into(), attempts: 0 }
}
/// An entry of the own log that is put aside.
pub(crate) fn park_entry(reader: &str, key: String, message: Uuid, at: u64) -> Park {
    let (reader, error) = (reader.to_owned(), BEHIND.into());
    Park { reader, key, behind: true, message, at, record: None, error, attempts: 0 }
}
const BEHIND: &str = "waits behind the first of its key";

/// The first of its key to be put aside, and why.
pub(crate) fn head(park: Park, why: String, attempts: u32) -> Park {
    Park { behind: false, error: why, attempts, ..park }
}

/// An error and its causes, for an operator: bounded, and without what no text column takes.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        words.push_str(": ");
        words.push_str(&it.to_string());
        cause = it.source();
    }
    words.chars().filter(|c| *c != '\0').take(1000).collect()
}

/// A record's key as it is listed: text as it is, without what no text column takes. Two keys that are listed alike wait for each
/// other, which breaks nothing.
pub(crate) fn key_of(record: &Received) -> String {
    String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).replace('\0', "\u{fffd}")
}

/// The id of a record that has none that can be read: always the same for one place.
pub(crate) fn id_of_place(record: &Received) -> Uuid {
    let place = format!("{}@{}", record.partition, record.offset);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, place.as_bytes())
}
