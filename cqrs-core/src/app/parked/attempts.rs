//! The record of redeliveries: with which parked messages a process has ended.
//!
//! A process stores that it redelivers, once for all redeliveries that run at the same time, and takes that out at their
//! end. Only when an earlier process has not taken it out, the messages that are tried are stored, as for the consumers.
use super::ParkedMessages;
use crate::{
    app::App,
    consumer::{Crashes, Trying},
    error::{BoxError, Fault},
    runtime::Runtime,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

/// The name under which redeliveries are recorded. No reader has it.
const READER: &str = "(redelivery)";

/// The longest wait of an operator's redelivery until it is known whether a process that has tried messages is alive.
const WAIT: Duration = Duration::from_secs(6);
/// The interval between two looks during that wait.
const INTERVAL: Duration = Duration::from_millis(100);

/// The redeliveries of a process.
#[derive(Debug, Default)]
pub(in crate::app) struct Redeliveries {
    crashes: OnceLock<Arc<Crashes>>,
    /// The number of redeliveries in progress.
    running: Mutex<usize>,
    /// Held while it is stored that the first one begins or the last one has ended.
    change: AsyncMutex<()>,
}
impl Redeliveries {
    fn crashes(&self, runtime: &Runtime) -> &Arc<Crashes> {
        self.crashes.get_or_init(|| Crashes::new(runtime, READER))
    }
    fn running(&self) -> MutexGuard<'_, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
    async fn give_up(&self, runtime: &Runtime) {
        let _change = self.change.lock().await;
        if *self.running() == 0 {
            let crashes = self.crashes(runtime);
            // One crash can be that of a message beside it, which was handled since.
            crashes.keep_repeated(READER);
            crashes.give_up_all(runtime).await;
        }
    }
}

/// One redelivery in progress.
#[derive(Debug)]
pub(in crate::app) struct Session {
    app: App,
    is_ended: bool,
}
impl Session {
    /// Stores that the message is tried, if an earlier process may have died with it. `None` says that there is nothing to
    /// store.
    ///
    /// # Errors
    /// Fails with a permanent error when processes have died with this message too often, unless it is `forced`.
    pub(super) async fn begin(&self, reader: &str, message: Uuid, forced: bool) -> Result<Option<Trying>, BoxError> {
        let (runtime, crashes) = (&self.app.runtime, self.app.redeliveries.crashes(&self.app.runtime));
        let Some(mut suspect) = crashes.suspect(READER, &[attempt(reader, message)]) else { return Ok(None) };
        if !forced {
            suspect.check(runtime)?;
        }
        if suspect.is_tried_alone() {
            while !suspect.wait_alone(runtime, INTERVAL).await {}
        }
        Ok(Some(suspect.begin(runtime, crashes).await?))
    }
    /// Records that a message was handled.
    pub(super) async fn handled(&self, reader: &str, message: Uuid) {
        let (runtime, crashes) = (&self.app.runtime, self.app.redeliveries.crashes(&self.app.runtime));
        if crashes.is_watching() {
            crashes.handled(runtime, READER, &[attempt(reader, message)]).await;
        }
    }
    /// Stores that the redelivery has ended, if it is the last one of the process.
    pub(in crate::app) async fn end(mut self) {
        self.is_ended = true;
        *self.app.redeliveries.running() -= 1;
        self.app.redeliveries.give_up(&self.app.runtime).await;
    }
}
impl Drop for Session {
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        *self.app.redeliveries.running() -= 1;
        let (redeliveries, runtime) = (self.app.redeliveries.clone(), self.app.runtime.clone());
        let environment = runtime.environment.clone();
        environment.detach(Box::pin(async move { redeliveries.give_up(&runtime).await }));
    }
}

impl ParkedMessages {
    /// Begins a redelivery. Returns `None` while another process tries messages with which an earlier one may have died.
    pub(in crate::app) async fn try_session(&self) -> Result<Option<Session>, Fault> {
        let (runtime, redeliveries) = (&self.app.runtime, &self.app.redeliveries);
        let _change = redeliveries.change.lock().await;
        let is_first = *redeliveries.running() == 0;
        if is_first && !redeliveries.crashes(runtime).claim_shared(runtime, READER).await? {
            return Ok(None);
        }
        *redeliveries.running() += 1;
        Ok(Some(Session { app: self.app.clone(), is_ended: false }))
    }
    /// Begins a redelivery of an operator.
    pub(super) async fn session(&self) -> Result<Session, Fault> {
        let environment = &self.app.runtime.environment;
        let end = environment.uptime() + WAIT;
        loop {
            if let Some(session) = self.try_session().await? {
                return Ok(session);
            }
            if environment.uptime() >= end {
                let message = "another process redelivers messages after a process has died with one; try again later";
                return Err(Fault::unavailable(message));
            }
            environment.sleep(INTERVAL).await;
        }
    }
}

/// Returns the id of the attempts at a message. Another reader of the message has other attempts.
fn attempt(reader: &str, message: Uuid) -> Uuid {
    Uuid::new_v5(&message, reader.as_bytes())
}
