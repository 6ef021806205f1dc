//! The query side: the views of a service in a store of their own, which another process serves.
//!
//! The projections read the service's log, and nothing is written to its database. So a query side can be filled again at any
//! time, and answers while the database is down.
mod copy;

pub(crate) use copy::{CopiedProjection, Names, filled_mark};

use crate::{
    error::Fault,
    position::{Epoch, Position},
    runtime::Runtime,
    storage::{CheckpointMove, CommitError, Scan, Scanned, StoredView, ViewBatch, ViewRead, ViewStore, database_epoch},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The query side of an app.
pub(crate) struct QuerySide {
    pub(crate) store: Arc<dyn ViewStore>,
    service: String,
    /// The views that the log's projections fill, by name.
    copies: BTreeMap<&'static str, copy::ViewCopy>,
    /// Set when this process has compared the epoch of the store with that of the log.
    is_verified: AtomicBool,
}

impl QuerySide {
    /// Creates the query side of these projections, all of which follow the log.
    pub(crate) fn new(store: Arc<dyn ViewStore>, service: &str, projections: &[CopiedProjection]) -> Self {
        let mut views: BTreeMap<_, Vec<&CopiedProjection>> = BTreeMap::new();
        for projection in projections {
            views.entry(projection.view).or_default().push(projection);
        }
        let copies =
            views.into_iter().map(|(view, projections)| (view, copy::ViewCopy::new(service, view, &projections)));
        QuerySide { store, service: service.to_owned(), copies: copies.collect(), is_verified: AtomicBool::new(false) }
    }
    /// Prepares the store at the start. The epoch comes from the store, if the log cannot be reached.
    pub(crate) async fn open(&self, runtime: &Runtime) -> Result<(), Fault> {
        self.store.prepare().await?;
        if let Some(epoch) = self.stored_epoch().await? {
            runtime.set_epoch(epoch);
        }
        match self.verify(runtime).await {
            Err(fault) if fault.is_transient() => {
                tracing::warn!(
                    service = self.service,
                    error = fault.to_string(),
                    "the log cannot be read; the query side answers from what it has stored"
                );
                Ok(())
            }
            verified => verified,
        }
    }
    /// Compares the epoch of the store with that of the log, once. A store of an earlier epoch is filled anew: the names of its
    /// copies contain the epoch.
    ///
    /// # Errors
    /// Fails when the log cannot be read, or when its database belongs to another service or is in an earlier epoch than the store.
    pub(crate) async fn verify(&self, runtime: &Runtime) -> Result<(), Fault> {
        if self.is_verified.load(Ordering::Relaxed) {
            return Ok(());
        }
        let epoch = database_epoch(&*runtime.storage, &self.service).await?;
        let stored = self.stored_epoch().await?;
        if stored.is_some_and(|stored| stored > epoch) {
            return Err(Fault::internal(format!(
                "the views of the query side are of a later epoch than the database of service {}: give it the database that \
                 the service uses now",
                self.service
            )));
        }
        if stored != Some(epoch) {
            let from = stored.map_or([0, 0], Epoch::halves);
            let halves = self.epoch_readers().into_iter().zip(from).zip(epoch.halves());
            let moves = halves.filter(|((_, from), to)| from != to);
            let moves = moves.map(|((reader, from), to)| CheckpointMove { reader, from, to, epoch: None }).collect();
            match self.store.apply(ViewBatch { view: self.service.clone(), writes: Vec::new(), moves }).await {
                Ok(()) => (),
                Err(CommitError::Moved(_)) => return Err(Fault::unavailable("another process opens the query side")),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(rejected) => return Err(Fault::internal("the epoch was rejected").because(rejected)),
            }
        }
        if runtime.epoch() != Some(epoch) {
            runtime.set_epoch(epoch);
            runtime.readers.iter().for_each(|reader| reader.lost(Position(0)));
        }
        self.is_verified.store(true, Ordering::Relaxed);
        Ok(())
    }
    /// Compares the epochs again before the next step, because the store has no checkpoint.
    pub(crate) fn verify_again(&self) {
        self.is_verified.store(false, Ordering::Relaxed);
    }
    async fn stored_epoch(&self) -> Result<Option<Epoch>, Fault> {
        let halves = self.store.positions(&self.epoch_readers()).await?;
        Ok(halves.try_into().ok().and_then(Epoch::of_halves))
    }
    fn epoch_readers(&self) -> [String; 2] {
        ["high", "low"].map(|half| format!("{}/epoch/{half}", self.service))
    }
    /// Returns the copy of a view, with its names in the present epoch.
    pub(crate) fn names(&self, runtime: &Runtime, view: &str) -> Result<Names, Fault> {
        let copy = self.copies.get(view).ok_or_else(|| {
            Fault::unavailable(format!("view {view} is not on the query side: no projection of the log fills it"))
        })?;
        let epoch = runtime.epoch().ok_or_else(|| {
            Fault::unavailable("the query side is empty, and the log has not been read yet".to_owned())
        })?;
        Ok(copy.names(epoch))
    }
    /// Returns the values under these keys. `wanted` are the positions that they must include.
    pub(crate) async fn find(
        &self,
        runtime: &Runtime,
        view: &'static str,
        keys: &[String],
        wanted: Wanted,
    ) -> Result<Vec<StoredView>, Fault> {
        let names = self.names(runtime, view)?;
        let read = self.store.find(&names.view, keys, wanted.readers(&names)).await?;
        self.checked(runtime, view, read, wanted)
    }
    /// Returns a range of an index.
    pub(crate) async fn range(
        &self,
        runtime: &Runtime,
        view: &'static str,
        scan: Scan<'_>,
        wanted: Wanted,
    ) -> Result<Vec<Scanned>, Fault> {
        let names = self.names(runtime, view)?;
        let scan = Scan { view: &names.view, ..scan };
        let read = self.store.range(&scan, wanted.readers(&names)).await?;
        self.checked(runtime, view, read, wanted)
    }
    /// Returns the number of entries in a range of an index.
    pub(crate) async fn count(
        &self,
        runtime: &Runtime,
        view: &'static str,
        scan: Scan<'_>,
        wanted: Wanted,
    ) -> Result<u64, Fault> {
        let names = self.names(runtime, view)?;
        let scan = Scan { view: &names.view, ..scan };
        let read = self.store.count(&scan, wanted.readers(&names)).await?;
        self.checked(runtime, view, read, wanted)
    }
    /// Refuses a read of a view that is not filled yet, or that has lost what the caller has seen.
    fn checked<T>(&self, runtime: &Runtime, view: &str, read: ViewRead<T>, wanted: Wanted) -> Result<T, Fault> {
        let Wanted::Readers(position) = wanted else { return Ok(read.found) };
        let (checkpoints, filled) = read.checkpoints.split_at(read.checkpoints.len() / 2);
        for ((reader, checkpoint), filled) in runtime.readers_of(view).zip(checkpoints).zip(filled) {
            // The mark is one more than the position, so that it is never 0.
            let Some(filled) = filled.checked_sub(1).filter(|filled| filled <= checkpoint) else {
                reader.lost(Position(*checkpoint));
                return Err(Fault::unavailable(format!("view {view} of the query side is being filled")));
            };
            if *checkpoint < position.0.max(filled) {
                reader.lost(Position(*checkpoint));
                return Err(Fault::unavailable(format!(
                    "view {view} of the query side has lost changes and is being filled again"
                )));
            }
        }
        Ok(read.found)
    }
    /// Returns the projections whose copies are not filled yet, each as its reader and checkpoint.
    pub(crate) async fn unfilled(&self, runtime: &Runtime) -> Result<Vec<(String, u64)>, Fault> {
        let (mut readers, mut stored) = (Vec::new(), Vec::new());
        for view in self.copies.keys().copied() {
            let names = self.names(runtime, view)?;
            for reader in runtime.readers_of(view) {
                readers.push(reader.name.clone());
                let checkpoint = names.reader(&reader.name);
                stored.extend([filled_mark(&checkpoint), checkpoint]);
            }
        }
        let positions = self.store.positions(&stored).await?;
        let positions = positions.chunks(2).map(|pair| (pair[0].checked_sub(1), pair[1]));
        let unfilled = readers
            .into_iter()
            .zip(positions)
            .filter(|(_, (filled, checkpoint))| filled.is_none_or(|filled| filled > *checkpoint));
        Ok(unfilled.map(|(reader, (_, checkpoint))| (reader, checkpoint)).collect())
    }
    /// Returns the checkpoint of a reader of a view.
    pub(crate) async fn checkpoint(&self, runtime: &Runtime, view: &str, reader: &str) -> Result<u64, Fault> {
        let names = self.names(runtime, view)?;
        let stored = self.store.positions(&[names.reader(reader)]).await?;
        Ok(stored.first().copied().unwrap_or(0))
    }
    /// Removes all views, so that the projections fill them again from the first event.
    pub(crate) async fn clear(&self, runtime: &Runtime) -> Result<(), Fault> {
        for view in self.copies.keys().copied() {
            let names = self.names(runtime, view)?;
            self.store.clear(&names.view, &names.readers).await?;
            runtime.readers_of(view).for_each(|reader| reader.lost(Position(0)));
        }
        Ok(())
    }
}
impl fmt::Debug for QuerySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuerySide").field(&self.service).finish()
    }
}

/// What a read of the query side must include.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// Every view that the read uses is filled, and every reader has reached this position.
    Readers(Position),
    /// Nothing: a projection reads the values that it changes.
    Anything,
}
impl Wanted {
    fn readers(self, names: &Names) -> &[String] {
        if matches!(self, Wanted::Anything) { &[] } else { &names.readers }
    }
}
