//! The purge: removes data whose retention has passed, in small steps.
use crate::{
    app::App, error::Fault, event::RELAY_SHARDS, job::Step, policy::Retention, position::Position, runtime::Runtime,
    storage::Cutoff, transport::Audience,
};
use std::{fmt, sync::Arc, time::Duration};

/// The largest number of rows of each kind that one step removes, so that a statement holds few locks for a short time.
const BATCH_SIZE: usize = 1_000;
/// The wait between two purges when the last one left nothing.
const INTERVAL: Duration = Duration::from_secs(600);

/// A background job that removes data whose [`Retention`] has passed.
#[must_use = "it does nothing unless `step` is called"]
pub struct Purge {
    runtime: Arc<Runtime>,
    app: App,
    /// Set when the last step removed a full batch, so that more may be left.
    more: bool,
}
impl App {
    /// Returns the job that removes old stored responses, inbox records and outgoing messages.
    pub fn purge(&self) -> Purge {
        Purge { runtime: self.runtime.clone(), app: self.clone(), more: false }
    }
}
impl Purge {
    /// Waits for the next purge, unless the last step left rows, and removes one batch.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        if !self.more {
            self.runtime.environment.sleep(INTERVAL).await;
        }
        let removed = self.remove().await?;
        self.more = removed >= BATCH_SIZE as u64;
        Ok(Step::Did(removed as usize))
    }
    /// Removes one batch now and returns the number of removed rows.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn remove(&self) -> Result<u64, Fault> {
        let Retention { responses, inbox_records, outgoing } = self.runtime.retention;
        let cutoff = Cutoff { responses, inbox_records, outgoing: self.relay_checkpoints().await?, told_for: outgoing };
        self.runtime.storage.purge(&cutoff, BATCH_SIZE).await
    }
    /// Returns each relay shard's checkpoint, or nothing without a broker that stores records.
    async fn relay_checkpoints(&self) -> Result<Vec<(u16, Position)>, Fault> {
        let relays = self.app.relays();
        let [relay] = &relays[..] else { return Ok(Vec::new()) };
        if *relay.audience() != Audience::broker() {
            return Ok(Vec::new());
        }
        let readers: Vec<_> = (0..RELAY_SHARDS).map(|shard| relay.reader(shard)).collect();
        let checkpoints = self.runtime.storage.checkpoints(&readers).await?;
        Ok((0..RELAY_SHARDS).zip(checkpoints.into_iter().map(Position)).collect())
    }
}
impl fmt::Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purge")
    }
}
