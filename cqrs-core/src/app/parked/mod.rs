//! The operator's side of parking: lists, shows, redelivers and discards parked messages.
use crate::{
    app::App,
    error::Fault,
    storage::{Parked, ParkedKey, ParkedPage},
};
mod attempts;
mod audit;
mod bulk;
mod recovered;
mod redelivery;
mod selection;

pub(in crate::app) use attempts::Redeliveries;
pub use bulk::{BulkProgress, BulkRedelivery};
pub use redelivery::{Redelivered, Redelivery};
pub use selection::{ParkedCount, ParkedSelection, SelectionError};

/// The parked messages of a service, for its operator. Take it from [`App::parked`].
///
/// ```
/// # use cqrs_core::{App, Metadata, storage::ParkedPage};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let app = App::builder("user").build().unwrap();
/// let parked = app.parked();
/// for key in parked.list(&ParkedPage::default()).await.unwrap() {
///     println!("{} {}: {} parked since {}, {}", key.reader, key.key, key.count, key.since, key.error);
///     let me = Metadata::default().caller("kim, on call");
///     parked.redeliver(&key.reader, &key.key, &me).await.unwrap();
/// }
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct ParkedMessages {
    pub(crate) app: App,
}

impl App {
    /// Returns the parked messages: those that could not be handled, and the later ones of their keys.
    pub fn parked(&self) -> ParkedMessages {
        ParkedMessages { app: self.clone() }
    }
}

impl ParkedMessages {
    /// Lists a page of the keys with parked messages, sorted by reader and key. The next page begins after the last key.
    ///
    /// # Errors
    /// Fails when the database fails, and when a text of the page has a NUL character.
    pub async fn list(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        self.app.storage().parked_keys(page).await
    }
    /// Returns at most `limit` parked messages of one key, in order, after the message number `after` (0: from the
    /// first).
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn show(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.app.storage().parked(reader, key, after, limit).await
    }
}
