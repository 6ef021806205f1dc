//! The interface of everything that is measured: a subject makes callers, and a caller repeats one call.
use anyhow::Result;
use async_trait::async_trait;
use std::time::Duration;

/// One side of a comparison.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// The name in the table, such as `deployed` or `twin`.
    fn name(&self) -> &'static str;
    /// Makes the callers of one run. Each is ready to make `calls` calls; this preparation is not measured.
    async fn callers(&self, count: usize, calls: u64) -> Result<Vec<Box<dyn Caller>>>;
    /// Reads the counters of costs other than time. A subject without such counters returns the default.
    async fn counters(&self) -> Result<Counters> {
        Ok(Counters::default())
    }
    /// Describes the size of one call's request and response.
    async fn payload(&self) -> Result<Option<Payload>> {
        Ok(None)
    }
}

/// A caller that repeats one call, one at a time.
#[async_trait]
pub(crate) trait Caller: Send {
    /// Makes the call and waits for its result.
    async fn call(&mut self) -> Result<()>;
    /// The number of operations one call makes. Operations of some nanoseconds are timed a thousand at once.
    fn operations(&self) -> u64 {
        1
    }
    /// The part of the last call that is measured. `None` measures the whole call.
    fn measured(&self) -> Option<Duration> {
        None
    }
}

/// Counters that only grow. The difference of two readings belongs to the time between them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    /// Transactions of the PostgreSQL server that wrote something.
    pub(crate) writes: Option<u64>,
    /// Bytes of the PostgreSQL server's write-ahead log.
    pub(crate) wal: Option<u64>,
    /// Processor time of the subject's own processes, in milliseconds.
    pub(crate) cpu: Option<u64>,
}
impl Counters {
    /// Returns whether any of them could be read.
    pub(crate) fn are_known(&self) -> bool {
        self.writes.is_some() || self.wal.is_some() || self.cpu.is_some()
    }
    /// Returns the difference to an earlier reading.
    pub(crate) fn since(self, before: Counters) -> Counters {
        let difference = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Counters {
            writes: difference(self.writes, before.writes),
            wal: difference(self.wal, before.wal),
            cpu: difference(self.cpu, before.cpu),
        }
    }
}

/// Body sizes of one call, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload {
    pub(crate) request: usize,
    pub(crate) response: usize,
}
