//! A read of the next batch of the log, which a follower can do while the batch before it is written.
use crate::{
    error::Fault,
    position::Position,
    runtime::Runtime,
    storage::{ReadLimit, Reading},
};
use std::{borrow::Cow, sync::Arc};

/// The next read of a follower. It holds everything that it needs, so the follower can apply a batch meanwhile.
pub(super) struct NextRead {
    pub(super) runtime: Arc<Runtime>,
    pub(super) from: Position,
    /// Set when the follower has just read up to `from`.
    pub(super) just_read: bool,
    pub(super) limit: ReadLimit,
    /// The names of the events that are read.
    pub(super) names: Vec<Cow<'static, str>>,
    /// The last program that was known when the names were chosen.
    pub(super) last_program: u64,
}
/// A batch of the log that was read, and not applied.
pub(super) struct ReadBatch {
    from: Position,
    pub(super) last_program: u64,
    pub(super) reading: Reading,
}

impl NextRead {
    pub(super) async fn run(self) -> Result<ReadBatch, Fault> {
        let NextRead { runtime, from, just_read, limit, names, last_program } = self;
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        let reading = runtime.recent_log.read(&*runtime.storage, from, just_read, limit, &names).await?;
        Ok(ReadBatch { from, last_program, reading })
    }
    /// Does the work, and the read beside it, if there is one. The next step of the follower repeats a read that fails, and
    /// reports its error.
    pub(super) async fn beside<T>(read: Option<Self>, work: impl Future<Output = T>) -> (T, Option<ReadBatch>) {
        let Some(read) = read else { return (work.await, None) };
        let (done, read) = futures_util::future::join(work, read.run()).await;
        (done, read.ok())
    }
}
impl ReadBatch {
    /// Returns whether a follower at this position can apply the batch with this limit.
    ///
    /// Entries below the high-water mark never change, so a batch that begins where the follower stands is as good as one that
    /// is read again. After a refused commit the follower stands elsewhere.
    pub(super) fn is_next(&self, from: Position, limit: ReadLimit) -> bool {
        self.from == from && self.reading.entries.len() <= limit.entries
    }
}
