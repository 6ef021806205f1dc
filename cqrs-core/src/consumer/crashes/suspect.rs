//! Messages that an earlier process may have died with, and their attempts.
use super::{Crashes, note::Note};
use crate::{
    environment::within,
    error::{BoxError, Fault, permanent},
    runtime::Runtime,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// The smallest number of crashes for which a message is parked. The first one can be that of a message beside it.
const FEWEST: u32 = 2;

/// The interval at which a member changes its note while it tries messages, where another one that is alive can hold the
/// partition.
const BEAT: Duration = Duration::from_secs(1);

/// The error of a message with which the process has ended too often.
#[derive(Debug, thiserror::Error)]
#[error("the process ended {0} times while it handled this message")]
struct ProcessEnded(u32);

/// Messages of a partition that an earlier process may have died with, and that are tried together.
pub(crate) struct Suspect {
    pub(super) partition: String,
    pub(super) messages: Vec<Uuid>,
    /// The number of crashes of the only message; 0 for several messages.
    pub(super) crashes: u32,
    /// Held while a message is tried with which a process has ended before. One of them is tried at a time, so that
    /// the next crash is attributed to one message.
    pub(super) alone: Option<OwnedMutexGuard<()>>,
}

impl Suspect {
    /// Returns whether it must be tried alone, because a process has ended while it tried this message.
    pub(crate) fn is_tried_alone(&self) -> bool {
        self.crashes > 0
    }
    /// Waits until no other such message is tried in this process. Returns `false` if that takes longer than `longest`.
    pub(crate) async fn wait_alone(&mut self, runtime: &Runtime, longest: Duration) -> bool {
        self.alone = within(&*runtime.environment, longest, runtime.alone.clone().lock_owned()).await;
        self.alone.is_some()
    }
    /// Returns the error of a message that is not tried again.
    pub(crate) fn check(&self, runtime: &Runtime) -> Result<(), BoxError> {
        match self.crashes >= runtime.retry_policy.crashes.max(FEWEST) {
            true => Err(permanent(ProcessEnded(self.crashes))),
            false => Ok(()),
        }
    }
    /// Stores that the messages are tried, for as long as the result exists.
    pub(crate) async fn begin(self, runtime: &Arc<Runtime>, crashes: &Arc<Crashes>) -> Result<Trying, Fault> {
        let trying = Trying { suspect: self, runtime: runtime.clone(), crashes: crashes.clone() };
        let Suspect { partition, messages, .. } = &trying.suspect;
        let are_tried = |note: &Note| {
            note.0.get(partition).is_some_and(|claim| messages.iter().all(|message| claim.trying.contains(message)))
        };
        if let Some(claim) = crashes.known().note.0.get_mut(partition).filter(|claim| claim.held) {
            claim.trying.extend(messages);
        }
        let mut stored = crashes.stored.lock().await;
        // Messages that begin together are stored together.
        if !are_tried(&stored) {
            crashes.store(&*runtime.storage, &mut stored).await?;
        }
        drop(stored);
        Ok(trying)
    }
}

/// Messages that are being tried.
#[must_use = "the messages count as tried until it is dropped"]
pub(crate) struct Trying {
    suspect: Suspect,
    runtime: Arc<Runtime>,
    crashes: Arc<Crashes>,
}
impl Trying {
    /// Does the work, and changes the note meanwhile, so that no other member takes this one for dead.
    pub(crate) async fn kept_alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.keep_changing() => match never {},
        }
    }
    async fn keep_changing(&self) -> Infallible {
        loop {
            self.runtime.environment.sleep(BEAT).await;
            if let Some(claim) = self.crashes.known().note.0.get_mut(&self.suspect.partition) {
                claim.beats += 1;
            }
            self.crashes.store_or_log(&*self.runtime.storage).await;
        }
    }
}
impl Drop for Trying {
    fn drop(&mut self) {
        let Suspect { partition, messages, alone, .. } = &self.suspect;
        if let Some(claim) = self.crashes.known().note.0.get_mut(partition) {
            claim.trying.retain(|message| !messages.contains(message));
        }
        // Those of a whole batch are removed with the next write. If the process ends before, each counts once and is
        // tried alone.
        if alone.is_some() {
            self.crashes.store_soon(&self.runtime);
        }
    }
}
