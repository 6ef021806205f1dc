//! The suite catches bugs: memory with one planted each, and the cases that must fail.
use crate::trials::runtime;
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Memory, Scan, Scanned, Storage, StoredRow, StoredView, Tx},
    testing::conformance::storage::{Bench, cases},
};
use libtest_mimic::{Failed, Trial};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

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
}

/// Each bug, and one case that must find it; others may too.
const PLANTED: [(Bug, &str); 11] = [
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

const THREAD: &str = "planted";

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
impl Storage for Planted {
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let mut loaded = self.memory.row(kind, id, answer).await?;
        if self.bug == Bug::TombstoneLost && loaded.found.state.is_none() {
            loaded.found = StoredRow::default();
        }
        Ok(loaded)
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        self.memory.stream(stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        self.memory.answer(key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        self.memory.seen(group, messages).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.memory.views(view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let mut scan = *scan;
        if self.bug == Bug::ScanRepeats {
            scan.after = scan.after.map(|(entry, _)| (entry, ""));
        }
        self.memory.scan(&scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.memory.positions(readers).await
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
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.memory.lease(reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.memory.release(reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.memory.migrate().await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        match self.bug {
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
    async fn committed(&self, after: Position) {
        self.memory.committed(after).await;
    }
}

struct PlantedTx(Planted);
#[async_trait]
impl Tx for PlantedTx {
    fn driver(&mut self) -> &mut (dyn std::any::Any + Send) {
        &mut self.0.bug
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, Rejected> {
        self.0.commit(batch).await
    }
}
