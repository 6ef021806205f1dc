//! The inbox of one group: looks up and commits several messages at once.
//!
//! Messages of different keys are handled concurrently, and each has its own batch. Batches that are ready at the same
//! time are committed together, and one look-up serves all messages that start together. When a combined commit is
//! rejected, each batch is committed alone and gets its own result, because the rejection does not say which batch
//! caused it.
use crate::{
    consumer::coalescer::CallCoalescer,
    error::Fault,
    event::stream_of,
    position::Position,
    storage::{Batch, CommitError, Storage},
};
use futures_util::future::join_all;
use std::collections::HashSet;
use uuid::Uuid;

/// The largest number of messages in one look-up or commit.
const BATCH_SIZE: usize = 100;

/// The status of a message before it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InboxStatus {
    /// Set when the group has handled or parked the message.
    pub(crate) handled: bool,
    /// Set when an earlier message of its key is parked.
    pub(crate) behind: bool,
}

/// The inbox of one group.
#[derive(Debug)]
pub(crate) struct Inbox {
    group: &'static str,
    lookups: CallCoalescer<(Uuid, String), Result<InboxStatus, Fault>>,
    commits: CallCoalescer<Batch, Result<Position, CommitError>>,
}
impl Inbox {
    pub(crate) fn new(group: &'static str) -> Self {
        Inbox { group, lookups: CallCoalescer::new(BATCH_SIZE), commits: CallCoalescer::new(BATCH_SIZE) }
    }
    pub(crate) fn group(&self) -> &'static str {
        self.group
    }
    /// Looks up the status of a message.
    pub(crate) async fn look_up(
        &self,
        storage: &dyn Storage,
        message: Uuid,
        key: String,
    ) -> Result<InboxStatus, Fault> {
        let looked_up = self.lookups.call((message, key), |all| look_up(storage, self.group, all)).await;
        looked_up.unwrap_or_else(|| Err(Fault::unavailable("the look-up of the inbox was cancelled")))
    }
    /// Commits the effect of a message with its inbox record.
    pub(crate) async fn commit(&self, storage: &dyn Storage, batch: Batch) -> Result<Position, CommitError> {
        let committed = self.commits.call(batch, |all| commit(storage, all)).await;
        committed.unwrap_or_else(|| Err(Fault::unavailable("the commit was cancelled; its outcome is unknown").into()))
    }
}

async fn look_up(storage: &dyn Storage, group: &str, all: Vec<(Uuid, String)>) -> Vec<Result<InboxStatus, Fault>> {
    let (ids, keys): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    match storage.lookup_inbox(group, &ids, &keys).await {
        Ok(found) => {
            let handled: HashSet<_> = found.handled.into_iter().collect();
            let parked: HashSet<_> = found.parked.into_iter().collect();
            let status = |(id, key)| Ok(InboxStatus { handled: handled.contains(id), behind: parked.contains(key) });
            ids.iter().zip(&keys).map(status).collect()
        }
        Err(fault) if ids.len() == 1 => vec![Err(fault)],
        // One message may have caused the failure, so look up each of them alone.
        Err(_) => {
            let alone = |(id, key)| async move { look_up(storage, group, vec![(id, key)]).await };
            let statuses = join_all(ids.into_iter().zip(keys).map(alone).map(Box::pin)).await;
            statuses.into_iter().flatten().collect()
        }
    }
}

async fn commit(storage: &dyn Storage, all: Vec<Batch>) -> Vec<Result<Position, CommitError>> {
    let mut results: Vec<Option<Result<Position, CommitError>>> = all.iter().map(|_| None).collect();
    let mut left: Vec<(usize, Batch)> = all.into_iter().enumerate().collect();
    while !left.is_empty() {
        let (mut joint, mut touched, mut later) = (Vec::new(), Touched::default(), Vec::new());
        for (place, batch) in left {
            if touched.is_free_of(&batch) {
                touched.extend(&batch);
                joint.push((place, batch));
            } else {
                // It writes or reads the same data as a batch before it, so it must be committed after that one.
                later.push((place, batch));
            }
        }
        left = later;
        for (place, result) in commit_together(storage, joint).await {
            results[place] = Some(result);
        }
    }
    results.into_iter().flatten().collect()
}
/// Commits the batches as one. When that is rejected, or its outcome is unknown, commits each alone; the inbox record
/// then reveals a batch that was committed after all.
async fn commit_together(
    storage: &dyn Storage,
    batches: Vec<(usize, Batch)>,
) -> Vec<(usize, Result<Position, CommitError>)> {
    if batches.len() > 1 {
        let mut joint = Batch::default();
        batches.iter().for_each(|(_, batch)| joint.extend(batch.clone()));
        if let Ok(position) = storage.commit(joint).await {
            return batches.into_iter().map(|(place, _)| (place, Ok(position))).collect();
        }
    }
    join_all(batches.into_iter().map(|(place, batch)| async move { (place, storage.commit(batch).await) })).await
}

/// The names of everything that some batches write and read. Two batches that write the same data, or of which one reads what
/// the other one writes, must not be committed as one.
#[derive(Debug, Default)]
struct Touched {
    written: HashSet<String>,
    read: HashSet<String>,
}
impl Touched {
    fn is_free_of(&self, batch: &Batch) -> bool {
        names(batch).chain(reads(batch)).all(|name| !self.written.contains(&name))
            && names(batch).all(|name| !self.read.contains(&name))
    }
    fn extend(&mut self, batch: &Batch) {
        self.written.extend(names(batch));
        self.read.extend(reads(batch));
    }
}
fn reads(batch: &Batch) -> impl Iterator<Item = String> {
    batch.reads.iter().map(|read| stream_of(read.kind, &read.id))
}
fn names(batch: &Batch) -> impl Iterator<Item = String> {
    let streams = batch.events.iter().map(|event| event.stream.clone());
    let rows = batch.rows.iter().map(|row| stream_of(row.kind, &row.id));
    let reservations = batch.reservations.iter().map(|entry| format!("reservation {} {}", entry.index, entry.value));
    let views = batch.views.iter().map(|write| format!("view {} {}", write.view, write.key));
    let inbox_records = batch.inbox_records.iter().map(|record| format!("inbox {} {}", record.group, record.message));
    let timers = batch.timers.iter().map(|write| format!("timer {}", write.name));
    streams.chain(rows).chain(reservations).chain(views).chain(inbox_records).chain(timers)
}

#[cfg(test)]
mod tests {
    use super::Inbox;
    use crate::storage::{Batch, CommitError, Memory, ReadVersion, Row, Storage};

    fn row(id: &str, expected: u64) -> Row {
        Row { kind: "doctor", id: id.into(), expected, version: expected + 1, state: Some(Vec::new()) }
    }

    #[tokio::test]
    async fn batches_that_read_each_others_aggregates_are_not_committed_as_one() {
        let (inbox, memory) = (Inbox::new("group"), Memory::new());
        let both = Batch { rows: vec![row("kim", 0), row("lee", 0)], ..Batch::default() };
        memory.commit(both).await.expect("both are new");
        let batch = |written: &str, read: &str| Batch {
            reads: vec![ReadVersion { kind: "doctor", id: read.into(), version: 1, is_row: true }],
            rows: vec![row(written, 1)],
            ..Batch::default()
        };
        let commit = |batch| inbox.commit(&memory, batch);
        let (first, second) = tokio::join!(commit(batch("kim", "lee")), commit(batch("lee", "kim")));
        assert!(first.is_ok(), "{first:?}");
        assert!(matches!(second, Err(CommitError::Conflict { .. })), "{second:?}");
    }
}
