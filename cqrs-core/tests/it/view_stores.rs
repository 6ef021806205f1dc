//! The suite for view stores on memory and SQLite, and the bugs that it finds: each seeded bug must fail one named case.
use crate::{listener::lock, trials::runtime, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    storage::{CommitError, Memory, Scan, Scanned, StoredView, ViewBatch, ViewRead, ViewStore},
    testing::conformance::view_store::{Harness, cases},
};
use futures_util::{FutureExt, future::BoxFuture};
use libtest_mimic::{Failed, Trial};
use std::sync::{Arc, Mutex};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = suite("memory", || async { Box::new(InMemory(Memory::new())) as Box<dyn Harness> }.boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(suite("sqlite", || async { Box::new(in_file::InFile::open().await) as Box<dyn Harness> }.boxed()));
    trials.push(trial("view store: the wrapper of seeded bugs breaks nothing", || async {
        for case in cases() {
            case.run(Box::new(Seeded::new(Bug::None))).await;
        }
    }));
    trials.extend(
        BUGS.into_iter()
            .map(|(bug, name)| Trial::test(format!("view store: the suite finds {bug:?}"), move || found(bug, name))),
    );
    trials
}
/// Lists the suite for one store; `open` creates a new one for each case.
fn suite(backend: &str, open: fn() -> BoxFuture<'static, Box<dyn Harness>>) -> Vec<Trial> {
    let one = |case: cqrs_core::testing::conformance::view_store::Case| {
        trial(format!("view store: {backend}: {}", case.name), move || async move { case.run(open().await).await })
    };
    cases().into_iter().map(one).collect()
}

struct InMemory(Memory);
#[async_trait]
impl Harness for InMemory {
    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(self.0.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn ViewStore> {
        self.store()
    }
}

#[cfg(feature = "sqlite")]
mod in_file {
    use super::{Arc, Harness, ViewStore, async_trait};
    use cqrs_core::storage::sqlite::Sqlite;

    /// SQLite in a temporary directory that is removed with the harness.
    pub(super) struct InFile {
        store: Sqlite,
        directory: tempfile::TempDir,
    }
    impl InFile {
        pub(super) async fn open() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let store = Sqlite::open(directory.path().join("views.db")).await.expect("a new database opens");
            store.prepare().await.expect("the schema can be created");
            InFile { store, directory }
        }
    }
    #[async_trait]
    impl Harness for InFile {
        fn store(&self) -> Arc<dyn ViewStore> {
            Arc::new(self.store.clone())
        }
        async fn reopen(&mut self) -> Arc<dyn ViewStore> {
            self.store.close().await;
            self.store = Sqlite::open(self.directory.path().join("views.db")).await.expect("the database opens again");
            self.store()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// No bug, to show that the wrapper itself breaks nothing.
    None,
    /// The last write of a value wins.
    Unversioned,
    /// A removed value stays in its index.
    RemovedInIndex,
    /// The former entries of a value stay.
    FormerEntries,
    /// A range includes the entry before which it ends.
    EndIncluded,
    /// A range is read backwards from the entry that the limit reaches forwards.
    ReversedAfterLimit,
    /// A count goes on beyond its limit.
    LimitlessCount,
    /// The changes are applied before the checkpoint is compared.
    ChangesBeforeMove,
    /// A checkpoint is moved whatever it is.
    AnyCheckpoint,
    /// The versions are compared for each value alone, and the others are written.
    HalfOnConflict,
    /// The checkpoint is compared first, and the batch is applied a while later.
    ComparedEarly,
    /// The values are read before the checkpoints.
    ValuesFirst,
    /// A cleared view keeps its checkpoints.
    CheckpointKept,
    /// A cleared view keeps its values.
    ValuesKept,
    /// The name of a view ends at its first colon.
    NameCut,
    /// An empty value counts as removed.
    EmptyRemoved,
    /// NUL is removed from keys.
    NulRemoved,
    /// A batch is in the process alone.
    LostOnReopen,
}
/// The bugs, each with the beginning of the name of the case that has to find it.
const BUGS: [(Bug, &str); 17] = [
    (Bug::Unversioned, "a value is replaced only at its version"),
    (Bug::RemovedInIndex, "a removed value keeps its version"),
    (Bug::FormerEntries, "the entries of a value are replaced"),
    (Bug::EndIncluded, "ranges and counts"),
    (Bug::ReversedAfterLimit, "ranges and counts"),
    (Bug::LimitlessCount, "ranges and counts"),
    (Bug::ChangesBeforeMove, "an unexpected checkpoint refuses"),
    (Bug::AnyCheckpoint, "an unexpected checkpoint refuses"),
    (Bug::HalfOnConflict, "an unexpected version refuses"),
    (Bug::ComparedEarly, "of batches that move one checkpoint"),
    (Bug::ValuesFirst, "values include every batch"),
    (Bug::CheckpointKept, "a cleared view"),
    (Bug::ValuesKept, "a cleared view"),
    (Bug::NameCut, "views, indexes and readers with similar names"),
    (Bug::EmptyRemoved, "values, keys and entries are any bytes"),
    (Bug::NulRemoved, "a text that cannot be stored"),
    (Bug::LostOnReopen, "another process finds everything"),
];

/// Fails unless the case finds the bug.
fn found(bug: Bug, name: &str) -> Result<(), Failed> {
    let all = cases();
    let case = all.iter().find(|case| case.name.starts_with(name)).ok_or("no case has this name")?;
    // A race is found in one of several runs.
    for _ in 0..20 {
        let run = std::panic::catch_unwind(|| runtime("seeded").block_on(case.run(Box::new(Seeded::new(bug)))));
        if run.is_err() {
            return Ok(());
        }
    }
    Err(format!("the case passes with the bug {bug:?}").into())
}

struct Seeded {
    memory: Memory,
    bug: Bug,
}
impl Seeded {
    fn new(bug: Bug) -> Self {
        Seeded { memory: Memory::new(), bug }
    }
}
#[async_trait]
impl Harness for Seeded {
    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(SeededStore { memory: self.memory.clone(), bug: self.bug, former: Arc::default() })
    }
    async fn reopen(&mut self) -> Arc<dyn ViewStore> {
        if self.bug == Bug::LostOnReopen {
            self.memory = Memory::new();
        }
        self.store()
    }
}

struct SeededStore {
    memory: Memory,
    bug: Bug,
    /// The former entries of each value, by view and key.
    former: Arc<Mutex<Vec<(String, String, Entries)>>>,
}
type Entries = Vec<(&'static str, Vec<u8>)>;

impl SeededStore {
    fn cut<'a>(&self, view: &'a str) -> &'a str {
        if self.bug == Bug::NameCut { view.split(':').next().unwrap_or(view) } else { view }
    }
    fn without_nul(&self, text: &str) -> String {
        if self.bug == Bug::NulRemoved { text.replace('\0', "") } else { text.to_owned() }
    }
}

#[async_trait]
impl ViewStore for SeededStore {
    async fn prepare(&self) -> Result<(), Fault> {
        self.memory.prepare().await
    }
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault> {
        let keys: Vec<_> = keys.iter().map(|key| self.without_nul(key)).collect();
        let mut read = self.memory.find(self.cut(view), &keys, readers).await?;
        if self.bug == Bug::ValuesFirst {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            read.checkpoints = self.memory.positions(readers).await?;
        }
        if self.bug == Bug::EmptyRemoved {
            read.found
                .iter_mut()
                .for_each(|stored| stored.value = stored.value.take().filter(|value| !value.is_empty()));
        }
        Ok(read)
    }
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault> {
        let scan = Scan { view: self.cut(scan.view), ..*scan };
        let mut read = match self.bug {
            Bug::ReversedAfterLimit if scan.reversed => {
                let mut read = self.memory.range(&Scan { reversed: false, ..scan }, readers).await?;
                read.found.reverse();
                read
            }
            _ => self.memory.range(&scan, readers).await?,
        };
        if let (Bug::EndIncluded, Some((entry, key)), false) = (self.bug, scan.until, scan.reversed) {
            let end = format!("{key}\u{1}");
            read = self.memory.range(&Scan { until: Some((entry, &end)), ..scan }, readers).await?;
        }
        Ok(read)
    }
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault> {
        let limit = if self.bug == Bug::LimitlessCount { usize::MAX } else { scan.limit };
        self.memory.count(&Scan { view: self.cut(scan.view), limit, ..*scan }, readers).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.memory.positions(readers).await
    }
    async fn apply(&self, mut batch: ViewBatch) -> Result<(), CommitError> {
        batch.view = self.cut(&batch.view).to_owned();
        for write in &mut batch.writes {
            write.key = self.without_nul(&write.key);
            if matches!(self.bug, Bug::FormerEntries) || (self.bug == Bug::RemovedInIndex && write.value.is_none()) {
                let former = lock(&self.former);
                let known = former.iter().filter(|(view, key, _)| (view, key) == (&batch.view, &write.key));
                let known: Entries = known.flat_map(|(_, _, entries)| entries.clone()).collect();
                write.entries.extend(known);
                write.value.get_or_insert_default();
            }
            lock(&self.former).push((batch.view.clone(), write.key.clone(), write.entries.clone()));
        }
        match self.bug {
            Bug::Unversioned => {
                let keys: Vec<_> = batch.writes.iter().map(|write| write.key.clone()).collect();
                let stored = self.memory.find(&batch.view, &keys, &[]).await?.found;
                for write in &mut batch.writes {
                    write.expected =
                        stored.iter().find(|stored| stored.key == write.key).map_or(0, |stored| stored.version);
                }
            }
            Bug::ChangesBeforeMove | Bug::HalfOnConflict => {
                let ViewBatch { view, writes, moves } = batch;
                if self.bug == Bug::HalfOnConflict {
                    let readers: Vec<_> = moves.iter().map(|step| step.reader.clone()).collect();
                    let at = self.memory.positions(&readers).await?;
                    if let Some((step, _)) = moves.iter().zip(at).find(|(step, at)| step.from != *at) {
                        return Err(CommitError::Moved(step.reader.clone()));
                    }
                }
                for write in writes {
                    let one = ViewBatch { view: view.clone(), writes: vec![write], moves: Vec::new() };
                    if let (Err(error), Bug::HalfOnConflict) = (self.memory.apply(one).await, self.bug) {
                        return Err(error);
                    }
                }
                return self.memory.apply(ViewBatch { view, writes: Vec::new(), moves }).await;
            }
            Bug::AnyCheckpoint | Bug::ComparedEarly => {
                let readers: Vec<_> = batch.moves.iter().map(|step| step.reader.clone()).collect();
                let at = self.memory.positions(&readers).await?;
                if self.bug == Bug::ComparedEarly {
                    if let Some((step, _)) = batch.moves.iter().zip(at).find(|(step, at)| step.from != *at) {
                        return Err(CommitError::Moved(step.reader.clone()));
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
                let at = self.memory.positions(&readers).await?;
                batch.moves.iter_mut().zip(at).for_each(|(step, at)| step.from = at);
            }
            _ => {}
        }
        self.memory.apply(batch).await
    }
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault> {
        match self.bug {
            Bug::CheckpointKept => self.memory.clear(view, &[]).await,
            Bug::ValuesKept => self.memory.clear("another", readers).await,
            _ => self.memory.clear(self.cut(view), readers).await,
        }
    }
    async fn respond(&self) -> Result<(), Fault> {
        self.memory.respond().await
    }
}
