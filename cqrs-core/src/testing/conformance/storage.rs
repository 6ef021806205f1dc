//! The conformance suite for storages. [`cases`] lists the tests; a storage conforms if all of them end without a
//! panic.
mod archive;
mod batches;
mod draft;
mod inputs;
mod leases;
mod log;
mod parked;
mod program;
mod purge;
mod races;
mod refusals;
mod reservations;
mod snapshots;
mod streams;
mod timers;
mod unique;
mod values;
mod view_copies;
mod views;

use crate::{
    environment::{Environment, SystemEnvironment},
    storage::Storage,
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc, time::Duration};

/// A storage under test. Each case needs a new harness, with a storage that is empty and migrated.
///
/// Cases spawn tasks and sleep, so they need a Tokio runtime with time. Several threads find more errors.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Returns the storage under test.
    fn storage(&self) -> Arc<dyn Storage>;
    /// Returns the storage with the same data as after a restart. Handles from before may be closed.
    async fn reopen(&mut self) -> Arc<dyn Storage>;
}

/// One test of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// The tested guarantee, as a sentence.
    pub name: &'static str,
    run: fn(Box<dyn Harness>) -> BoxFuture<'static, ()>,
}
impl Case {
    /// Runs the test on a new storage.
    ///
    /// # Panics
    /// Panics if the storage does not give the guarantee.
    pub async fn run(&self, harness: Box<dyn Harness>) {
        (self.run)(harness).await;
    }
}
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns the tests of all guarantees that a storage gives.
///
/// ```
/// use cqrs_core::{storage::{Memory, Storage}, testing::conformance::storage::{Harness, cases}};
/// use std::sync::Arc;
///
/// struct Mine(Memory);
/// #[async_trait::async_trait]
/// impl Harness for Mine {
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
            vec![$(Case { name: $name, run: |harness| Box::pin($case(harness)) }),*]
        };
    }
    cases![
        "parked messages are returned unchanged and in order": parked::order,
        "a key is parked only for its own reader": parked::by_reader,
        "parked messages are counted by reader, up to a limit": parked::counted,
        "pages of the parked keys return every key once, in order": parked::pages,
        "the first parked message of each key is found": parked::first,
        "a message cannot be parked behind one that is gone": parked::alone,
        "of two concurrent removals of a parked message one succeeds": parked::removed_once,
        "a message is parked behind another, or refused because that one is gone": parked::race,
        "a timer is returned unchanged after a restart": timers::unchanged,
        "a timer waits for a time of the database's clock": timers::waits,
        "a timer replaces the former one of its name": timers::replaced,
        "a cancelled timer is not due": timers::cancelled,
        "timers are due in the order of their times": timers::ordered,
        "of several firings of a timer one is committed": timers::fired_once,
        "a timer that replaces one which is being fired is not lost": timers::raced,
        "a refused batch changes no timer": timers::refusal,
        "each time of a recurring timer is fired once": timers::recurring,
        "a failed timer holds up the later ones of its key": timers::failed,
        "timers are listed by pages and counted up to a limit": timers::pages,
        "a timer in more than a hundred years is refused": timers::bounds,
        "programs are numbered in the order of their first start": program::declared,
        "the database says whether it has data of a name": program::holds,
        "the keys whose first message is left to a newer program are found": program::left,
        "the error of a parked message is replaced only over its expected value": program::reasons,
        "a note is replaced only over its expected value, and found by the beginning of its name": program::notes,
        "purge removes old data and nothing else": purge::old,
        "purge keeps outgoing messages that a relay has parked": purge::parked_by_relay,
        "an empty batch changes nothing": batches::empty,
        "a committed batch survives a restart": batches::restart,
        "migrating again changes nothing": batches::migrate,
        "a thousand events can be committed in one batch": batches::thousand,
        "a transaction commits its batch": batches::transaction,
        "a dropped transaction changes nothing": batches::dropped,
        "a transaction whose batch is refused changes nothing": batches::refused,
        "a commit wakes the callers that wait for it": batches::wakes,
        "a deleted row keeps its version and can be created again": values::tombstone,
        "an unknown row has version 0": values::unknown,
        "a megabyte is returned unchanged": values::big,
        "an empty value is stored as a value": values::empty,
        "texts are compared by their bytes": values::texts,
        "odd texts, numbers and dates are accepted or refused as ids, keys, values and cursors": inputs::table,
        "text with NUL is refused before anything is written": values::nul,
        "a number that is too large is refused before anything is written": values::high,
        "a response is stored with its position": values::response,
        "a response is loaded together with a row and a stream": values::beside,
        "a message counts as handled only for the group that recorded it": values::handled,
        "checkpoints are returned in the requested order, 0 if unknown": values::checkpoints,
        "a stream is read after a version, in order": streams::read,
        "a stream refuses a second event of a version": streams::conflict,
        "a stream refuses a gap in its versions": streams::gap,
        "a snapshot is loaded with the events after it, and replaced by the next": snapshots::loaded,
        "a snapshot of another form is not loaded": snapshots::other_form,
        "a snapshot that does not belong to the stream is not loaded": snapshots::of_another_log,
        "the end of a deleted aggregate is loaded in every form": snapshots::deleted,
        "a refused batch stores no snapshot": snapshots::refused,
        "a page of a stream ends at its limit": snapshots::pages,
        "archived events are found by every read, at their positions": archive::found,
        "events that a load, a reader or a relay needs are not archived": archive::kept,
        "a step of archiving looks at no more entries than its limit": archive::steps,
        "a stream with archived events goes on after its last version": archive::appended,
        "a stream with archived events is compared, and a conflict on it names the winner": archive::compared,
        "an event is returned unchanged": streams::event,
        "metadata of the request alone is not stored with an event": streams::unstored,
        "nothing of a refused batch is stored, whatever the reason": refusals::nothing_stays,
        "each refusal reports its reason": refusals::reason,
        "of several reasons for a refusal the first in order is reported": refusals::order,
        "a conflict names both versions and the request that won": refusals::winner,
        "a stale stream or view is reported before a taken value": refusals::stale_first,
        "a value is reserved by one owner": reservations::one_owner,
        "a value is released only by its owner": reservations::owner_alone,
        "a value passes from one owner to another in one batch": reservations::passed_on,
        "two owners exchange values in one batch": reservations::swapped,
        "the values of stored aggregates are reserved by those that have them": unique::reserved,
        "an aggregate whose value another one holds is listed until the value is free": unique::shared_until_free,
        "the value of an aggregate that was changed since it was read is not touched": unique::changed,
        "rows and streams of one kind are read in order": unique::pages,
        "reserving stored values releases no value of a concurrent command": unique::raced,
        "a view is written only over the expected version": views::versioned,
        "a removed view keeps its version": views::removed,
        "index entries are replaced together with their view": views::replaced,
        "many values are written together, or none": views::many,
        "values that were written with another set of indexes are found": views::other_index_sets,
        "reads of a view see the copy that serves, and each copy has a name": view_copies::switched,
        "after a switch a batch for the former copy is refused, also at the same position": view_copies::fenced,
        "a switch to a copy that is behind, or from another copy, changes nothing": view_copies::refused,
        "parked messages and inbox records move with a switch, and get new numbers": view_copies::parked,
        "two copies are compared by pages, in the order of their keys": view_copies::compared,
        "a copy that does not serve is dropped in steps": view_copies::dropped,
        "of concurrent switches and batches no event is lost or applied twice": view_copies::raced,
        "a scan returns a range of one index in order": views::range,
        "ranges are read and counted exactly, in both directions": views::ranges,
        "pages of a scan return every entry once, whatever the bytes": views::pages,
        "the log is read after one position up to another": log::bounds,
        "a reader that follows the high-water mark misses no concurrent event": log::gaps,
        "the log is read by the names of the events": log::by_name,
        "entries are counted by name and by relay shard, among the next ones": log::counted,
        "a relay shard returns its outgoing messages in order": log::shards,
        "each relay shard has its own limit": log::shard_limits,
        "the outgoing messages of one topic are read from a relay shard": log::of_topics,
        "a read of the log ends with the entry that reaches its size": log::sizes,
        "a lease has one owner": leases::exclusive,
        "several leases are taken in one call, except those of another owner": leases::several,
        "a renewed lease keeps its epoch": leases::renewed,
        "an expired lease passes to another owner with a higher epoch": leases::taken_over,
        "a released lease is free at once": leases::released,
        "of many owners that ask for a few leases, no more hold one than there are": leases::permits,
        "a checkpoint move requires the epoch of the lease": leases::fenced,
        "a lease keeps the checkpoint, and a checkpoint move keeps the lease": leases::beside,
        "of two concurrent batches, each with a read of the other one's write, one is committed": races::skew,
        "batches that read one aggregate do not refuse each other": races::shared_read,
        "concurrent increments are all counted": races::increments,
        "of concurrent replacements of a note over one value one succeeds": races::notes,
        "of concurrent commands with one idempotency key one is committed": races::responses,
        "of concurrent reservations of one value one succeeds": races::takes,
        "of concurrent creations of one row one succeeds": races::creates,
        "of concurrent handlers of one message one succeeds": races::inbox_records,
        "concurrent batches are refused independently of each other": races::each_for_itself,
    ]
}

/// Runs these tasks concurrently and passes their panics on.
async fn concurrently(tasks: impl IntoIterator<Item = BoxFuture<'static, ()>>) {
    let tasks: Vec<_> = tasks.into_iter().map(|task| SystemEnvironment.spawn(task)).collect();
    for task in tasks {
        assert!(task.ended().await, "one of the concurrent tasks failed; its message is above");
    }
}

async fn sleep(milliseconds: u64) {
    SystemEnvironment.sleep(Duration::from_millis(milliseconds)).await;
}

/// Random numbers that are the same in every run.
pub(super) struct Dice(pub(super) u64);
impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
