//! The operator's side of parking: lists, shows, redelivers and discards parked messages.
use crate::{
    app::App,
    error::Fault,
    metadata::Metadata,
    storage::{Batch, CommitError, Parked, ParkedKey, ParkedPage},
};
mod attempts;
mod audit;
mod bulk;
mod recovered;
mod redelivery;
mod selection;

use audit::Act;

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
    /// Returns what [`show`](ParkedMessages::show) returns, to an operator who looks at the data. It may be personal, so each
    /// message first appends an event `parked.shown` to the log, with the operator and the reason.
    ///
    /// # Errors
    /// Fails when the reason is empty, and when the database fails: nothing is shown then.
    pub async fn show_data(
        &self,
        reader: &str,
        key: &str,
        after: u64,
        limit: usize,
        why: &str,
        by: &Metadata,
    ) -> Result<Vec<Parked>, Fault> {
        if why.trim().is_empty() {
            return Err(Fault::invalid("a look at the data needs a reason"));
        }
        let messages = self.show(reader, key, after, limit).await?;
        let act = Act::Shown { why };
        let events = messages.iter().map(|parked| audit::event(&self.app, act, reader, key, parked, by));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        if !events.is_empty() {
            let done = self.app.storage().commit(Batch { events, ..Batch::default() }).await;
            done.map_err(|rejected| match rejected {
                CommitError::Fault(fault) => fault,
                rejected => Fault::internal("the look at the data could not be recorded").because(rejected),
            })?;
        }
        Ok(messages)
    }
}
