//! The part of a database that views need: the store of a query side.
use crate::{
    error::Fault,
    storage::{Batch, CheckpointMove, CommitError, Scan, Scanned, Storage, StoredView, ViewWrite},
};
use async_trait::async_trait;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// A store for the views of a query side ([`AppBuilder::query_side`](crate::AppBuilder::query_side)). Every [`Storage`] is
/// one. All implementations give the same guarantees, which the suite
/// [`conformance::view_store`](crate::testing::conformance::view_store) tests.
///
/// A batch is applied as a whole or not at all, and only if every checkpoint that it moves is the expected one. So no event is
/// applied twice, however many processes project into the store. The store needs no lease.
///
/// A store may lose its content. It loses whole batches then, with their checkpoints: the framework finds this by the
/// checkpoints that each read returns, and fills the views again from the log.
#[async_trait]
pub trait ViewStore: Send + Sync + 'static {
    /// Prepares the store at the start of a process: creates its tables, or checks its configuration.
    ///
    /// # Errors
    /// Fails when the store cannot be reached, or when its configuration does not allow the guarantees.
    async fn prepare(&self) -> Result<(), Fault>;
    /// Returns the values of one view under these keys, in any order, with the checkpoints of these readers. Absent keys are left
    /// out, and removed ones have no value.
    ///
    /// The values include every batch up to the checkpoints.
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault>;
    /// Returns a range of one index in its order, or from its end on, with the values and the checkpoints of these readers, as
    /// [`find`](ViewStore::find) does.
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault>;
    /// Returns the number of entries that [`range`](ViewStore::range) returns, with the checkpoints of these readers.
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault>;
    /// Returns the checkpoints of these readers, in this order; 0 for a reader that never moved.
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault>;
    /// Applies the whole batch, or nothing.
    ///
    /// # Errors
    /// Returns [`CommitError::Moved`] if a checkpoint is not the expected one, otherwise [`CommitError::Conflict`] if a value does
    /// not have the expected version, and a transient fault if the store is full or cannot be reached.
    async fn apply(&self, batch: ViewBatch) -> Result<(), CommitError>;
    /// Removes all values of a view and the checkpoints of these readers, or nothing.
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault>;
    /// Checks that the store responds. The readiness check calls it.
    async fn respond(&self) -> Result<(), Fault>;
}

/// The result of a read, with the checkpoints up to which it includes every batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRead<T> {
    /// The values, the entries, or their number.
    pub found: T,
    /// The checkpoints of the readers of the call, in its order; 0 for a reader that never moved.
    pub checkpoints: Vec<u64>,
}

/// Changes of one view that are applied together with the moves of checkpoints.
///
/// It has at most one write per key and one move per reader. A move needs no epoch, because the store has no leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewBatch {
    /// The name of the view.
    pub view: String,
    /// The new values.
    pub writes: Vec<ViewChange>,
    /// The checkpoints to move.
    pub moves: Vec<CheckpointMove>,
}

/// The new value of a view under one key, with its index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The key of the value within the view.
    pub key: String,
    /// The version from which the value was computed; 0 when there was none.
    pub expected: u64,
    /// The encoded value. `None` removes it and keeps the version.
    pub value: Option<Vec<u8>>,
    /// All index entries of this key after this batch: the index's name, and bytes that sort as the indexed values do.
    pub entries: Vec<(&'static str, Vec<u8>)>,
}

impl ViewBatch {
    /// Returns the same batch for a [`Storage`].
    fn into_batch(self) -> Batch {
        let view = interned(&self.view);
        let write = |change: ViewChange| {
            let ViewChange { key, expected, value, entries } = change;
            ViewWrite { view, key, expected, value, entries, index_set: 0 }
        };
        let (views, checkpoint_moves) = (self.writes.into_iter().map(write).collect(), self.moves);
        let mut batch = Batch { views, checkpoint_moves, ..Batch::default() };
        batch.sort();
        batch
    }
}

/// The number of attempts to clear a view while projections change it.
const ATTEMPTS: usize = 20;

#[async_trait]
impl<S: Storage> ViewStore for S {
    async fn prepare(&self) -> Result<(), Fault> {
        self.migrate().await
    }
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault> {
        if readers.is_empty() {
            return Ok(ViewRead { found: self.views(view, keys).await?, checkpoints: Vec::new() });
        }
        let (found, checkpoints) = self.views_and_checkpoints(view, keys, readers).await?;
        Ok(ViewRead { found, checkpoints })
    }
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault> {
        // A database loses nothing that it has committed, so the entries are at least as new as the checkpoints before them.
        let checkpoints = known_positions(self, readers).await?;
        Ok(ViewRead { found: Storage::scan(self, scan).await?, checkpoints })
    }
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault> {
        let checkpoints = known_positions(self, readers).await?;
        Ok(ViewRead { found: self.count_entries(scan).await?, checkpoints })
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        known_positions(self, readers).await
    }
    async fn apply(&self, batch: ViewBatch) -> Result<(), CommitError> {
        self.commit(batch.into_batch()).await.map(drop)
    }
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS {
            let checkpoints = known_positions(self, readers).await?;
            let stored = self.views_of_other_index_sets(view, &[], usize::MAX >> 1).await?;
            let removed = |value: StoredView| ViewChange {
                key: value.key,
                expected: value.version,
                value: None,
                entries: Vec::new(),
            };
            let moves = readers.iter().cloned().zip(checkpoints).filter(|(_, from)| *from > 0);
            let moves = moves.map(|(reader, from)| CheckpointMove { reader, from, to: 0, epoch: None }).collect();
            let writes = stored.into_iter().filter(|value| value.value.is_some()).map(removed).collect();
            match self.commit(ViewBatch { view: view.to_owned(), writes, moves }.into_batch()).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Moved(_) | CommitError::Conflict { .. }) => (),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(rejected) => {
                    return Err(Fault::internal("the removal of a view was rejected").because(rejected));
                }
            }
        }
        Err(Fault::unavailable(format!("view {view} was changed during each attempt to clear it")))
    }
    async fn respond(&self) -> Result<(), Fault> {
        self.ready().await
    }
}

async fn known_positions(storage: &dyn Storage, readers: &[String]) -> Result<Vec<u64>, Fault> {
    if readers.is_empty() { Ok(Vec::new()) } else { storage.checkpoints(readers).await }
}

/// Returns the name for as long as the process runs. A process uses one name for each view and epoch.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}
