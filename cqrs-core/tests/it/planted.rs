//! The suite catches bugs: memory with one planted each, and the cases that must fail.
use crate::trials::runtime;
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    batch::{Batch, Entry, Position, Rejected},
    storage::{Loaded, Memory, Old, Scan, Scanned, Storage, StoredRow, Tx},
    testing::{
        StorageLayer,
        conformance::storage::{Bench, cases},
    },
};
use libtest_mimic::{Failed, Trial};
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// None: the wrapper itself breaks nothing.
    None,
    /// The horizon is where the next events will be.
    HorizonAhead,
    /// Every 13th entry is not shown.
    LogSkips,
    /// Who lost a lease moves on.
    EpochIgnored,
    /// A taken value is told, and the rest committed.
    HalfOnTaken,
    /// A taken value is told before a conflict.
    TakenFirst,
    /// A deleted row is gone with its version.
    TombstoneLost,
    /// The last one to write a view wins.
    ViewUnversioned,
    /// A key is looked up, and the batch committed later.
    AnswerLate,
    /// A page begins with the last entry of the page before.
    ScanRepeats,
    /// The limit is one for all lanes.
    LimitShared,
    /// Values are given back by anybody.
    GivenByAnybody,
    /// Whoever waits behind a parked message is parked, whether it is still there or not.
    ParkedAlone,
    /// A parked message is taken by two.
    TakenByTwo,
    /// Retention does not look at the age.
    AllOld,
}

/// Each bug, and one case that must find it; others may too.
const PLANTED: [(Bug, &str); 14] = [
    (Bug::HorizonAhead, "a reader at the horizon misses nothing that is written beside it"),
    (Bug::LogSkips, "a reader at the horizon misses nothing that is written beside it"),
    (Bug::EpochIgnored, "a move needs the lease's epoch"),
    (Bug::HalfOnTaken, "whatever refuses a batch, nothing of it stays"),
    (Bug::TakenFirst, "of several refusals the first is told"),
    (Bug::TombstoneLost, "a row that was deleted keeps its version and can live again"),
    (Bug::ViewUnversioned, "a view is written from the version that was read"),
    (Bug::AnswerLate, "of two commands with one key one is committed"),
    (Bug::ScanRepeats, "pages of scans are what was written, whatever the bytes"),
    (Bug::LimitShared, "each lane has a limit of its own"),
    (Bug::GivenByAnybody, "a value is given back by its owner alone"),
    (Bug::ParkedAlone, "nothing is parked behind what is gone"),
    (Bug::TakenByTwo, "of two that take a parked message one does"),
    (Bug::AllOld, "what is old goes, and nothing else"),
];

pub(crate) fn trials() -> Vec<Trial> {
    quiet();
    let mut trials: Vec<_> = PLANTED
        .into_iter()
        .map(|(bug, finder)| {
            Trial::test(format!("planted: {bug:?} is caught"), move || {
                let failed = failures(bug);
                match failed.contains(&finder) {
                    true => Ok(()),
                    false => Err(Failed::from(format!("{finder:?} is not among the cases that failed: {failed:#?}"))),
                }
            })
        })
        .collect();
    trials.push(Trial::test("planted: without a bug nothing is caught", || match &*failures(Bug::None) {
        [] => Ok(()),
        failed => Err(Failed::from(format!("{failed:#?}"))),
    }));
    trials
}

/// The cases that fail on memory with this bug.
fn failures(bug: Bug) -> Vec<&'static str> {
    let runtime = runtime(THREAD);
    let mut failed = Vec::new();
    for case in cases() {
        let bench = Box::new(Planted { memory: Memory::new(), bug });
        let task = runtime.spawn(async move { case.run(bench).await });
        // A case may wait for ever for what a bug took away.
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), task).await });
        if !matches!(ended, Ok(Ok(()))) {
            failed.push(case.name);
        }
    }
    runtime.shutdown_background();
    failed
}

/// Threads on which failures are wanted.
pub(crate) const THREAD: &str = "planted";

/// Failures that are wanted are not printed.
fn quiet() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(THREAD) {
            print(panic);
        }
    }));
}

#[derive(Clone)]
struct Planted {
    memory: Memory,
    bug: Bug,
}

#[async_trait]
impl Bench for Planted {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        self.storage()
    }
}

#[async_trait]
impl StorageLayer for Planted {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    // Others may use a planted storage at the same time.
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let mut loaded = self.memory.row(kind, id, answer).await?;
        if self.bug == Bug::TombstoneLost && loaded.found.state.is_none() {
            loaded.found = StoredRow::default();
        }
        Ok(loaded)
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let mut scan = *scan;
        if self.bug == Bug::ScanRepeats {
            scan.after = scan.after.map(|(entry, _)| (entry, ""));
        }
        self.memory.scan(&scan).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        let ahead = if self.bug == Bug::HorizonAhead { 2 } else { 0 };
        Ok(Position(self.memory.horizon().await?.0 + ahead))
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut found = self.memory.log(after, upto, limit).await?;
        if self.bug == Bug::LogSkips {
            found.retain(|it| it.position.0 % 13 != 0);
        }
        Ok(found)
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut found = self.memory.lanes(lanes, upto, limit).await?;
        if self.bug == Bug::LimitShared {
            found.truncate(limit);
        }
        Ok(found)
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        let mut old = old.clone();
        if self.bug == Bug::AllOld {
            (old.answers, old.marks, old.told_for) = Default::default();
        }
        self.memory.forget(&old, limit).await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        match self.bug {
            Bug::ParkedAlone => batch.parks.iter_mut().for_each(|it| it.behind = false),
            Bug::TakenByTwo => batch.unparks.retain(|it| *it > 1),
            Bug::EpochIgnored => batch.moves.iter_mut().for_each(|it| it.epoch = None),
            Bug::TakenFirst => {
                let claims = Batch { claims: batch.claims.clone(), ..Batch::default() };
                if let Err(rejected @ Rejected::Taken { .. }) = self.memory.commit(claims).await {
                    return Err(rejected);
                }
            }
            Bug::HalfOnTaken => {
                let refused = match self.memory.commit(batch.clone()).await {
                    Err(rejected @ Rejected::Taken { .. }) => rejected,
                    other => return other,
                };
                batch.claims.clear();
                self.memory.commit(batch).await?;
                return Err(refused);
            }
            Bug::ViewUnversioned => {
                for write in &mut batch.views {
                    let stored = self.memory.views(write.view, std::slice::from_ref(&write.key)).await?;
                    write.expected = stored.first().map_or(0, |it| it.version);
                }
            }
            Bug::AnswerLate => {
                if let Some(answer) = batch.answer.take() {
                    if self.memory.answer(&answer.key).await?.is_some() {
                        return Err(Rejected::Answered);
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let position = self.memory.commit(batch).await?;
                    let _ = self.memory.commit(Batch { answer: Some(answer), ..Batch::default() }).await;
                    return Ok(position);
                }
            }
            Bug::GivenByAnybody => {
                let mut others = Vec::new();
                for claim in batch.claims.iter().filter(|it| !it.taken) {
                    others.extend(["user-kim", "user-lee", "a", "b", "c"].map(|it| {
                        let owner = it.to_owned();
                        cqrs_core::batch::Claim { owner, ..claim.clone() }
                    }));
                }
                batch.claims.extend(others);
            }
            _ => {}
        }
        self.memory.commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(PlantedTx(self.clone())))
    }
}

struct PlantedTx(Planted);
#[async_trait]
impl Tx for PlantedTx {
    fn driver(&mut self) -> &mut (dyn std::any::Any + Send) {
        &mut self.0.bug
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, Rejected> {
        Storage::commit(&self.0, batch).await
    }
}
