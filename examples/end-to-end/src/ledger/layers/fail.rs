//! Points between two steps at which the process is killed, as `kill -9` does it: nothing is finished, nothing is said.
use async_trait::async_trait;
use cqrs_core::{
    Position,
    batch::{Batch, Rejected},
    storage::Storage,
    testing::{StorageLayer, TransportLayer},
    transport::{Audience, Published, Record, Transport},
};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Between which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// The relay has read, and not published.
    BeforePublish,
    /// The relay has published and heard the acknowledgement, and not moved its cursor.
    BeforeCursor,
    /// The relay has moved its cursor, and nobody was told.
    AfterCursor,
    /// The consumer's effect is decided, and not committed with its inbox mark.
    BeforeCommit,
    /// Effect and mark are committed, and the offset is not stored.
    AfterCommit,
}

/// Where a process dies: the nth time it comes by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fail {
    /// The point.
    pub point: Point,
    /// From 1.
    pub nth: u64,
    #[serde(skip)]
    passed: Arc<AtomicU64>,
}
impl Fail {
    /// Dies the nth time.
    pub fn at(point: Point, nth: u64) -> Fail {
        Fail { point, nth, passed: Arc::default() }
    }
    /// Dies, if this is the place and the time.
    pub(crate) fn pass(&self, point: Point) {
        if self.point == point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 >= self.nth {
            die();
        }
    }
}

/// The end, without a goodbye.
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park(); // the signal is on its way
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
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        let relay = batch.moves.iter().any(|it| it.reader.starts_with("relay/"));
        let consumer = !batch.marks.is_empty() || batch.moves.iter().any(|it| it.reader.starts_with("projection/"));
        if relay {
            self.fail.pass(Point::BeforeCursor);
        } else if consumer {
            self.fail.pass(Point::BeforeCommit);
        }
        let done = self.inner.commit(batch).await;
        if relay && done.is_ok() {
            self.fail.pass(Point::AfterCursor);
        } else if consumer && done.is_ok() {
            self.fail.pass(Point::AfterCommit);
        }
        done
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
