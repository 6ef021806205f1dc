//! Crash points: places between two steps at which the process sends itself SIGKILL.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    storage::{Batch, CommitError, Storage, ViewSwitch},
    testing::{StorageLayer, TransportLayer},
    transport::{Audience, Published, Record, Transport},
};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A place between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// The relay has read the entries and not published them.
    BeforePublish,
    /// The relay has received the acknowledgement and not moved its checkpoint.
    BeforeCheckpoint,
    /// The relay has just moved its checkpoint.
    AfterCheckpoint,
    /// The consumer's effect is decided and not committed with its inbox record.
    BeforeCommit,
    /// The effect and the inbox record are committed, and the offset is not stored.
    AfterCommit,
    /// A process manager has decided a reaction, which is not committed.
    BeforeReaction,
    /// A reaction is committed, and its message is not acknowledged.
    AfterReaction,
    /// The command of a timer has decided, and its effect is not committed with the timer's end.
    BeforeFiring,
    /// The effect of a timer and its end are committed.
    AfterFiring,
    /// The rebuilt copy of a view has caught up, and the view is not switched to it.
    BeforeSwitch,
    /// The view is switched to the rebuilt copy, and the note about the former one is not stored.
    AfterSwitch,
}

/// A crash point: the process dies at the nth pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fail {
    /// The place.
    pub point: Point,
    /// The number of the pass at which the process dies, from 1.
    pub nth: u64,
    #[serde(skip)]
    passed: Arc<AtomicU64>,
}
impl Fail {
    /// Returns a crash point at the nth pass of a place.
    pub fn at(point: Point, nth: u64) -> Fail {
        Fail { point, nth, passed: Arc::default() }
    }
    /// Counts a pass of the place and kills the process at the nth one.
    pub(crate) fn pass(&self, point: Point) {
        if self.point == point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 >= self.nth {
            die();
        }
    }
}

/// Kills this process with SIGKILL.
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park(); // until the signal is delivered
    }
}

pub(crate) struct FailingStorage {
    pub(crate) inner: Arc<dyn Storage>,
    pub(crate) fail: Fail,
}
#[async_trait]
impl StorageLayer for FailingStorage {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let relay = batch.checkpoint_moves.iter().any(|step| step.reader.starts_with("relay/"));
        let consumer = !batch.inbox_records.is_empty()
            || batch.checkpoint_moves.iter().any(|step| step.reader.starts_with("projection/"));
        let reaction = batch.rows.iter().any(|row| row.kind.starts_with("process:"));
        let firing = batch.timers.iter().any(|write| write.fired.is_some());
        if reaction {
            self.fail.pass(Point::BeforeReaction);
        }
        if firing {
            self.fail.pass(Point::BeforeFiring);
        }
        if relay {
            self.fail.pass(Point::BeforeCheckpoint);
        } else if consumer {
            self.fail.pass(Point::BeforeCommit);
        }
        let done = self.inner.commit(batch).await;
        if reaction && done.is_ok() {
            self.fail.pass(Point::AfterReaction);
        }
        if firing && done.is_ok() {
            self.fail.pass(Point::AfterFiring);
        }
        if relay && done.is_ok() {
            self.fail.pass(Point::AfterCheckpoint);
        } else if consumer && done.is_ok() {
            self.fail.pass(Point::AfterCommit);
        }
        done
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        self.fail.pass(Point::BeforeSwitch);
        let switched = self.inner.switch_view(switch).await?;
        if switched {
            self.fail.pass(Point::AfterSwitch);
        }
        Ok(switched)
    }
}

pub(crate) struct FailingTransport {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) fail: Fail,
}
#[async_trait]
impl TransportLayer for FailingTransport {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        self.fail.pass(Point::BeforePublish);
        self.inner.publish(audience, records).await
    }
}
