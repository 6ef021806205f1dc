//! What a storage promises, as tests. [`cases`] lists them; a backend passes when all of them end without a panic.
mod batches;
mod claims;
mod draft;
mod forget;
mod leases;
mod log;
mod parked;
mod races;
mod refusals;
mod streams;
mod values;
mod views;

use crate::{
    storage::Storage,
    world::{Machine, World},
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc, time::Duration};

/// One storage to be tried, made anew for each case: empty and migrated.
///
/// Cases spawn tasks and sleep, so they need tokio's runtime with time; several threads find more.
#[async_trait]
pub trait Bench: Send + Sync + 'static {
    /// The storage.
    fn storage(&self) -> Arc<dyn Storage>;
    /// The same data as after a restart: what was open before may be closed.
    async fn reopen(&mut self) -> Arc<dyn Storage>;
}

/// One promise.
#[derive(Clone, Copy)]
pub struct Case {
    /// What is promised, as a sentence.
    pub name: &'static str,
    run: fn(Box<dyn Bench>) -> BoxFuture<'static, ()>,
}
impl Case {
    /// Tries it on a fresh storage.
    ///
    /// # Panics
    /// When the promise is broken.
    pub async fn run(&self, bench: Box<dyn Bench>) {
        (self.run)(bench).await;
    }
}
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every promise a storage makes.
///
/// ```
/// use cqrs_core::{storage::{Memory, Storage}, testing::conformance::storage::{Bench, cases}};
/// use std::sync::Arc;
///
/// struct Mine(Memory);
/// #[async_trait::async_trait]
/// impl Bench for Mine {
///     fn storage(&self) -> Arc<dyn Storage> {
///         Arc::new(self.0.clone())
///     }
///     async fn reopen(&mut self) -> Arc<dyn Storage> {
///         self.storage()
///     }
/// }
///
/// # tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(async {
/// for case in cases() {
///     case.run(Box::new(Mine(Memory::new()))).await;
/// }
/// # });
/// ```
pub fn cases() -> Vec<Case> {
    macro_rules! cases {
        ($($name:literal: $case:path,)*) => {
            vec![$(Case { name: $name, run: |bench| Box::pin($case(bench)) }),*]
        };
    }
    cases![
        "parked messages come back as they were, in order": parked::order,
        "a key is parked for its reader alone": parked::whose,
        "nothing is parked behind what is gone": parked::alone,
        "of two that take a parked message one does": parked::two,
        "whoever waits behind a parked message is parked, or is told that it is gone": parked::race,
        "what is old goes, and nothing else": forget::old,
        "what a relay has parked is kept": forget::relay,
        "an empty batch changes nothing": batches::empty,
        "a batch is there after a restart": batches::restart,
        "migrating again changes nothing": batches::migrate,
        "a thousand events are one batch": batches::thousand,
        "a transaction commits its batch": batches::transaction,
        "a transaction that is dropped leaves nothing": batches::dropped,
        "a transaction whose batch is refused leaves nothing": batches::refused,
        "a commit wakes who waits for it": batches::wakes,
        "a row that was deleted keeps its version and can live again": values::tombstone,
        "an unknown row has version 0": values::unknown,
        "a megabyte comes back as it was": values::big,
        "an empty value is a value": values::nothing,
        "texts differ by their bytes": values::texts,
        "text with NUL is refused before anything is written": values::nul,
        "a number too high is refused before anything is written": values::high,
        "an answer is stored with its position": values::answer,
        "an answer is found beside a row and a stream": values::beside,
        "messages are seen by the group that marked them": values::seen,
        "positions are in the order asked for, 0 if unknown": values::positions,
        "a stream is read after a version, in order": streams::read,
        "a stream takes no second event of a version": streams::conflict,
        "a stream has no gap": streams::gap,
        "an event comes back as it was": streams::event,
        "what is not for the log is not stored with it": streams::unstored,
        "whatever refuses a batch, nothing of it stays": refusals::nothing_stays,
        "each refusal says what it is": refusals::told,
        "of several refusals the first is told": refusals::order,
        "a stale stream or view is told before a taken value": refusals::stale_first,
        "a value belongs to one owner": claims::one_owner,
        "a value is given back by its owner alone": claims::owner_alone,
        "a value goes from one owner to another in one batch": claims::passed_on,
        "two owners change places in one batch": claims::swapped,
        "a view is written from the version that was read": views::versioned,
        "a view that was removed keeps its version": views::removed,
        "index entries are replaced with their key": views::replaced,
        "a scan is a range of one index in order": views::range,
        "pages of scans are what was written, whatever the bytes": views::pages,
        "the log is read after one position up to another": log::bounds,
        "a reader at the horizon misses nothing that is written beside it": log::gaps,
        "a lane is what others are told of it, in order": log::lanes,
        "each lane has a limit of its own": log::lane_limits,
        "a lease is one owner's": leases::exclusive,
        "a lease that is renewed keeps its epoch": leases::renewed,
        "a lease that ran out goes to another with a higher epoch": leases::taken_over,
        "a lease that is given back is free at once": leases::released,
        "a move needs the lease's epoch": leases::fenced,
        "a lease leaves the position, a move leaves the lease": leases::beside,
        "increments at the same time are all counted": races::increments,
        "of two commands with one key one is committed": races::answers,
        "of two that take one value one gets it": races::takes,
        "of two that create one row one does": races::creates,
        "of two that handle one message one does": races::marks,
        "batches at the same time are refused each for itself": races::each_for_itself,
    ]
}

/// Runs these beside each other and passes their panics on.
async fn together(tasks: impl IntoIterator<Item = BoxFuture<'static, ()>>) {
    let tasks: Vec<_> = tasks.into_iter().map(|it| Machine.spawn(it)).collect();
    for task in tasks {
        assert!(task.ended().await, "one of the tasks beside each other failed: its message is above");
    }
}

async fn sleep(milliseconds: u64) {
    Machine.sleep(Duration::from_millis(milliseconds)).await;
}

/// Chance that is the same in every run.
struct Dice(u64);
impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
