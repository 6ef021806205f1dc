//! The lease of a group on its checkpoint in the service's own log, so that one process at a time runs its subscribers.
use crate::{error::Fault, runtime::Runtime};
use std::{convert::Infallible, time::Duration};

/// The longest interval at which a process without the lease tries to take it.
const INTERVAL: Duration = Duration::from_millis(500);

/// The lease on the checkpoint of a group.
///
/// The comparison of checkpoints alone applies each event once, but every process would call the subscribers before it
/// learns that another one was faster.
pub(super) struct GroupLease {
    /// The holder, with a new id for every start.
    owner: String,
    /// The epoch while this process holds the lease.
    epoch: Option<u64>,
    /// The uptime at which the lease is renewed, or tried again.
    renew_at: Duration,
}
impl GroupLease {
    pub(super) fn new(runtime: &Runtime) -> Self {
        GroupLease { owner: runtime.environment.id().to_string(), epoch: None, renew_at: Duration::ZERO }
    }
    /// Returns the epoch for checkpoint moves, or `None` while another process holds the lease.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.epoch
    }
    /// Takes or renews the lease when it is due. Returns `true` when its holder has changed.
    pub(super) async fn hold(&mut self, runtime: &Runtime, reader: &str) -> Result<bool, Fault> {
        let now = runtime.environment.uptime();
        if now < self.renew_at {
            return Ok(false);
        }
        let lease = runtime.storage.lease(reader, &self.owner, runtime.lease).await?;
        let epoch = lease.map(|lease| lease.epoch);
        let third = runtime.lease / 3;
        self.renew_at = now + if epoch.is_some() { third } else { INTERVAL.min(third) };
        let changed = epoch != self.epoch;
        self.epoch = epoch;
        Ok(changed)
    }
    /// Returns the time until the lease is renewed, or tried again.
    pub(super) fn left(&self, runtime: &Runtime) -> Duration {
        self.renew_at.saturating_sub(runtime.environment.uptime())
    }
    /// Renews the lease while the work is in progress, which may take longer than the lease.
    pub(super) async fn held_during<T>(&self, runtime: &Runtime, reader: &str, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.keep_renewing(runtime, reader) => match never {},
        }
    }
    async fn keep_renewing(&self, runtime: &Runtime, reader: &str) -> Infallible {
        loop {
            runtime.environment.sleep(runtime.lease / 3).await;
            // The commit is refused if the lease is lost, so a renewal that fails needs no reaction.
            let _ = runtime.storage.lease(reader, &self.owner, runtime.lease).await;
        }
    }
    /// Looks at the lease before the next step, because a commit was refused.
    pub(super) fn is_doubtful(&mut self) {
        self.renew_at = Duration::ZERO;
    }
    /// Releases the lease, so that another process need not wait for it to expire.
    pub(super) async fn release(&mut self, runtime: &Runtime, reader: &str) {
        if self.epoch.take().is_some() {
            self.renew_at = Duration::ZERO;
            let _ = runtime.storage.release(reader, &self.owner).await;
        }
    }
}
