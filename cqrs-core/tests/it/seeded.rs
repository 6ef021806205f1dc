//! The storage suite finds bugs: each seeded bug in a memory storage must fail one named case.
use crate::{listener::lock, trials::runtime};
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position, VersionConflict,
    event::Entry,
    storage::{
        ArchiveRange, Archived, Batch, CheckpointMove, CommitError, ComparedValues, CountedEntries, Cutoff, DueTimers,
        Firing, LEFT_TO_NEWER_PROGRAM, Lease, Loaded, Memory, ParkedKey, ParkedPage, ReadLimit, Row, Scan, Scanned,
        Snapshot, SnapshotAndEvents, Storage, StoredData, StoredResponse, StoredRow, StoredSnapshot, StoredValues,
        StoredView, TimerChange, TimerPage, TimerState, TimerWrite, Tx, ValueReservation, ViewSwitch,
    },
    testing::StorageLayer,
    testing::conformance::storage::{Harness, cases},
};
use libtest_mimic::{Failed, Trial};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// No bug, to show that the wrapper itself breaks nothing.
    None,
    /// The high-water mark is ahead of the log.
    HighWaterMarkAhead,
    /// Every 13th entry is missing from reads of the log.
    LogSkips,
    /// A checkpoint is moved without the epoch of the lease.
    EpochIgnored,
    /// A taken unique value is refused, but the rest of the batch is committed.
    HalfOnTaken,
    /// A taken unique value is reported before a version conflict.
    TakenFirst,
    /// A deleted row loses its version.
    TombstoneLost,
    /// The last write of a view wins.
    ViewUnversioned,
    /// The idempotency key is checked first and its response is stored after the batch.
    ResponseLate,
    /// A page starts with the last entry of the previous page.
    ScanRepeats,
    /// A range is read backwards from the entry that the limit reaches forwards.
    ReversedAfterLimit,
    /// A range includes the entry before which it ends.
    EndIncluded,
    /// A count goes on to the end of the index.
    CountedToTheEnd,
    /// A count of the log includes entries of every kind.
    EveryEntryCounted,
    /// All relay shards share one limit.
    LimitShared,
    /// A read of the log ends by the number of entries alone.
    SizeIgnored,
    /// A reservation is released by an aggregate that does not own it.
    GivenByAnybody,
    /// A message is parked behind another one even if that one is gone.
    ParkedAlone,
    /// A parked message is taken by two callers.
    TakenByTwo,
    /// A page of parked keys begins with the last key of the page before.
    ParkedPageRepeats,
    /// The error of a key with parked messages is that of its last message.
    LastParked,
    /// The purge ignores the age.
    AllOld,
    /// Every outgoing message is stored with one content type.
    ContentTypeLost,
    /// Values of stored aggregates are reserved for an aggregate that was changed since it was read.
    ChangeIgnored,
    /// An aggregate whose value another one holds is forgotten.
    SharedForgotten,
    /// A program that starts again is stored as another one.
    DeclaredAgain,
    /// The database has no data of any name.
    HoldsNothing,
    /// A key is left to a newer program if any of its messages is.
    AnyLeft,
    /// The replacement of a parked message's error counts as done, even if the error was another one.
    ErrorOverwritten,
    /// Every value of a view counts as written with another set of indexes.
    IndexSetIgnored,
    /// A note is replaced over another value than the expected one.
    NoteOverwritten,
    /// A committed batch is in the process alone.
    LostOnRestart,
    /// The versions are compared first, and the batch is written a while later.
    VersionComparedEarly,
    /// The new owner of a lease gets the epoch of the former one.
    EpochReused,
    /// The outgoing messages of relay shards are returned from the last to the first.
    OutgoingReversed,
    /// The inbox is looked up first, and the inbox record is stored after the batch.
    InboxRecordLate,
    /// A response loses the position of its commit.
    PositionLost,
    /// The reads of a batch are not compared.
    ReadsIgnored,
    /// Reads are not compared once events were archived.
    ArchivedUncompared,
    /// A deleted row counts as one that was never stored.
    DeletedAsNeverStored,
    /// The reads are compared first, and the batch is written a while later.
    ReadsComparedEarly,
    /// A batch holds up every other one that reads the same aggregate, as if it were written.
    ReadsExclusive,
    /// A conflict does not say who won.
    WinnerForgotten,
    /// NUL is removed from the ids of rows.
    NulRemoved,
    /// A number that the database cannot store becomes the highest one.
    NumberLimited,
    /// A snapshot is loaded whatever its form.
    FormIgnored,
    /// A snapshot is loaded although its event is another one, or does not exist.
    SnapshotOfTheFuture,
    /// The end of a deleted aggregate is forgotten by programs of another form.
    EndForgotten,
    /// A snapshot is stored although the batch is refused.
    SnapshotOfARefusal,
    /// The log does not show archived events.
    ArchivedLost,
    /// Events are archived although their outgoing messages are stored.
    ArchivedUnpublished,
    /// A step of archiving looks at the whole range.
    ArchivedAtOnce,
    /// A view is switched to a copy that is behind.
    SwitchedBehind,
    /// Parked messages and inbox records stay with their readers in a switch.
    ParkedNotSwitched,
    /// A batch that writes views is committed whatever copy serves.
    CopyUnfenced,
    /// A comparison of copies misses the keys that only the second one has.
    ComparedOneSided,
    /// The copy that serves is dropped without an error.
    ServingDropped,
    /// A dropped copy keeps the checkpoints of its readers.
    DroppedKeepsPlace,
    /// A move without an epoch is accepted after a switch.
    CopyUnnamed,
    /// A rebuild can go on to fill a copy that serves.
    FilledUnfenced,
    /// A firing of a timer is committed whatever became of the timer: it is fired twice.
    TimerFiredTwice,
    /// The last due timer of a page is missing: it is never fired.
    TimerNeverDue,
    /// A timer is due before its time.
    TimerDueEarly,
    /// Timers are set although the batch is refused: they are fired without the commit.
    TimerOfARefusal,
    /// A timer does not replace the one of its name.
    TimerKept,
    /// A timer is not cancelled.
    TimerNotCancelled,
    /// The due timers are returned in the order of their names.
    TimersUnordered,
    /// A recurring timer keeps its time.
    TimerStandsStill,
    /// A timer whose command cannot be handled does not hold up its key.
    TimerHoldsNothing,
    /// A lease is given to each owner that asks.
    LeasedTwice,
    /// The value of a note is compared first, and replaced a while later.
    NoteComparedEarly,
}

/// Each bug with the case that must find it. Other cases may find it as well.
const SEEDED: [(Bug, &str); 70] = [
    (Bug::LeasedTwice, "of many owners that ask for a few leases, no more hold one than there are"),
    (Bug::NoteComparedEarly, "of concurrent replacements of a note over one value one succeeds"),
    (Bug::TimerFiredTwice, "of several firings of a timer one is committed"),
    (Bug::TimerNeverDue, "timers are due in the order of their times"),
    (Bug::TimerDueEarly, "a timer waits for a time of the database's clock"),
    (Bug::TimerOfARefusal, "a refused batch changes no timer"),
    (Bug::TimerKept, "a timer replaces the former one of its name"),
    (Bug::TimerNotCancelled, "a cancelled timer is not due"),
    (Bug::TimersUnordered, "timers are due in the order of their times"),
    (Bug::TimerStandsStill, "each time of a recurring timer is fired once"),
    (Bug::TimerHoldsNothing, "a failed timer holds up the later ones of its key"),
    (Bug::FilledUnfenced, "after a switch a batch for the former copy is refused, also at the same position"),
    (Bug::DroppedKeepsPlace, "a copy that does not serve is dropped in steps"),
    (Bug::CopyUnnamed, "after a switch a batch for the former copy is refused, also at the same position"),
    (Bug::SwitchedBehind, "a switch to a copy that is behind, or from another copy, changes nothing"),
    (Bug::ParkedNotSwitched, "parked messages and inbox records move with a switch, and get new numbers"),
    (Bug::CopyUnfenced, "after a switch a batch for the former copy is refused, also at the same position"),
    (Bug::ComparedOneSided, "two copies are compared by pages, in the order of their keys"),
    (Bug::ServingDropped, "a copy that does not serve is dropped in steps"),
    (Bug::HighWaterMarkAhead, "a reader that follows the high-water mark misses no concurrent event"),
    (Bug::LogSkips, "a reader that follows the high-water mark misses no concurrent event"),
    (Bug::EpochIgnored, "a checkpoint move requires the epoch of the lease"),
    (Bug::HalfOnTaken, "nothing of a refused batch is stored, whatever the reason"),
    (Bug::TakenFirst, "of several reasons for a refusal the first in order is reported"),
    (Bug::TombstoneLost, "a deleted row keeps its version and can be created again"),
    (Bug::ViewUnversioned, "a view is written only over the expected version"),
    (Bug::ResponseLate, "of concurrent commands with one idempotency key one is committed"),
    (Bug::ScanRepeats, "pages of a scan return every entry once, whatever the bytes"),
    (Bug::ReversedAfterLimit, "ranges are read and counted exactly, in both directions"),
    (Bug::EndIncluded, "ranges are read and counted exactly, in both directions"),
    (Bug::CountedToTheEnd, "ranges are read and counted exactly, in both directions"),
    (Bug::EveryEntryCounted, "entries are counted by name and by relay shard, among the next ones"),
    (Bug::LimitShared, "each relay shard has its own limit"),
    (Bug::SizeIgnored, "a read of the log ends with the entry that reaches its size"),
    (Bug::GivenByAnybody, "a value is released only by its owner"),
    (Bug::ParkedAlone, "a message cannot be parked behind one that is gone"),
    (Bug::TakenByTwo, "of two concurrent removals of a parked message one succeeds"),
    (Bug::ParkedPageRepeats, "pages of the parked keys return every key once, in order"),
    (Bug::LastParked, "the first parked message of each key is found"),
    (Bug::AllOld, "purge removes old data and nothing else"),
    (Bug::ContentTypeLost, "an event is returned unchanged"),
    (Bug::ChangeIgnored, "the value of an aggregate that was changed since it was read is not touched"),
    (Bug::SharedForgotten, "an aggregate whose value another one holds is listed until the value is free"),
    (Bug::DeclaredAgain, "programs are numbered in the order of their first start"),
    (Bug::HoldsNothing, "the database says whether it has data of a name"),
    (Bug::AnyLeft, "the keys whose first message is left to a newer program are found"),
    (Bug::ErrorOverwritten, "the error of a parked message is replaced only over its expected value"),
    (Bug::IndexSetIgnored, "values that were written with another set of indexes are found"),
    (Bug::NoteOverwritten, "a note is replaced only over its expected value, and found by the beginning of its name"),
    (Bug::LostOnRestart, "a committed batch survives a restart"),
    (Bug::VersionComparedEarly, "concurrent increments are all counted"),
    (Bug::EpochReused, "an expired lease passes to another owner with a higher epoch"),
    (Bug::OutgoingReversed, "a relay shard returns its outgoing messages in order"),
    (Bug::InboxRecordLate, "of concurrent handlers of one message one succeeds"),
    (Bug::PositionLost, "a response is stored with its position"),
    (Bug::ReadsIgnored, "each refusal reports its reason"),
    (Bug::ArchivedUncompared, "a stream with archived events is compared, and a conflict on it names the winner"),
    (Bug::DeletedAsNeverStored, "each refusal reports its reason"),
    (Bug::ReadsComparedEarly, "of two concurrent batches, each with a read of the other one's write, one is committed"),
    (Bug::ReadsExclusive, "batches that read one aggregate do not refuse each other"),
    (Bug::WinnerForgotten, "a conflict names both versions and the request that won"),
    (Bug::NulRemoved, "text with NUL is refused before anything is written"),
    (Bug::FormIgnored, "a snapshot of another form is not loaded"),
    (Bug::SnapshotOfTheFuture, "a snapshot that does not belong to the stream is not loaded"),
    (Bug::EndForgotten, "the end of a deleted aggregate is loaded in every form"),
    (Bug::SnapshotOfARefusal, "a refused batch stores no snapshot"),
    (Bug::ArchivedLost, "archived events are found by every read, at their positions"),
    (Bug::ArchivedUnpublished, "events that a load, a reader or a relay needs are not archived"),
    (Bug::ArchivedAtOnce, "a step of archiving looks at no more entries than its limit"),
    (Bug::NumberLimited, "a number that is too large is refused before anything is written"),
];

pub(crate) fn trials() -> Vec<Trial> {
    quiet();
    let mut trials: Vec<_> = SEEDED
        .into_iter()
        .map(|(bug, finder)| {
            Trial::test(format!("seeded: {bug:?} is caught"), move || {
                let failed = failures(bug);
                match failed.contains(&finder) {
                    true => Ok(()),
                    false => {
                        Err(Failed::from(format!("the case {finder:?} did not fail, only these did: {failed:#?}")))
                    }
                }
            })
        })
        .collect();
    trials.push(Trial::test("seeded: without a bug nothing is caught", || match &*failures(Bug::None) {
        [] => Ok(()),
        failed => Err(Failed::from(format!("{failed:#?}"))),
    }));
    trials
}

/// Returns the cases that fail on memory with this bug.
fn failures(bug: Bug) -> Vec<&'static str> {
    let runtime = runtime(THREAD);
    let mut failed = Vec::new();
    for case in cases() {
        let harness =
            Box::new(SeededStorage { memory: Memory::new(), bug, snapshots: Arc::default(), archived: Arc::default() });
        let task = runtime.spawn(async move { case.run(harness).await });
        // A bug may make a case wait for ever.
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), task).await });
        if !matches!(ended, Ok(Ok(()))) {
            failed.push(case.name);
        }
    }
    runtime.shutdown_background();
    failed
}

/// The name of the threads on which cases are expected to fail.
pub(crate) const THREAD: &str = "seeded";

/// Suppresses the output of expected failures.
fn quiet() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(THREAD) {
            print(panic);
        }
    }));
}

#[derive(Clone)]
struct SeededStorage {
    memory: Memory,
    bug: Bug,
    /// The last snapshot of each id that was given to a commit.
    snapshots: Arc<Mutex<HashMap<String, Snapshot>>>,
    /// The positions that were archived.
    archived: Arc<Mutex<Position>>,
}

#[async_trait]
impl Harness for SeededStorage {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        if self.bug == Bug::LostOnRestart {
            self.memory = Memory::new();
        }
        self.storage()
    }
}

#[async_trait]
impl StorageLayer for SeededStorage {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    // Several users may share a seeded storage.
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let mut loaded = self.memory.row(kind, id, response).await?;
        if self.bug == Bug::TombstoneLost && loaded.found.state.is_none() {
            loaded.found = StoredRow::default();
        }
        Ok(loaded)
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let mut loaded = self.memory.snapshot(kind, id, form, response).await?;
        let known = lock(&self.snapshots).get(id).cloned();
        let wrong = known.filter(|known| match self.bug {
            Bug::FormIgnored | Bug::SnapshotOfARefusal => true,
            Bug::SnapshotOfTheFuture => known.form == form,
            _ => false,
        });
        if let Some(wrong) = wrong {
            loaded.found.events.retain(|event| event.version > wrong.version);
            loaded.found.snapshot = Some(StoredSnapshot { version: wrong.version, state: wrong.state });
        }
        if self.bug == Bug::EndForgotten && form != 0 {
            let is_end = loaded.found.snapshot.as_ref().is_some_and(|snapshot| snapshot.state.is_none());
            loaded.found.snapshot.take_if(|_| is_end);
        }
        Ok(loaded)
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        match self.bug {
            Bug::ArchivedUnpublished => {
                let upto = self.memory.high_water_mark().await?;
                let all = self.memory.log(range.after, upto, ReadLimit::entries(limit)).await?;
                let moved = all.iter().filter(|entry| entry.outgoing.is_some()).count() as u64;
                Ok(Archived { moved, upto: range.upto })
            }
            Bug::ArchivedAtOnce => self.memory.archive(range, usize::MAX).await,
            _ => {
                let archived = self.memory.archive(range, limit).await?;
                let mut last = lock(&self.archived);
                *last = (*last).max(Position(archived.moved));
                Ok(archived)
            }
        }
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        let mut switch = switch.clone();
        match self.bug {
            Bug::SwitchedBehind => {
                for of in &switch.checkpoints {
                    let readers = [of.live.clone(), of.filled.clone()];
                    let at = self.memory.checkpoints(&readers).await?;
                    let (reader, from, to) = (of.filled.clone(), at[1], at[0].max(at[1]));
                    let moved = CheckpointMove { reader, from, to, epoch: None };
                    let _ = self.memory.commit(Batch { checkpoint_moves: vec![moved], ..Batch::default() }).await;
                }
            }
            Bug::ParkedNotSwitched => switch.readers.clear(),
            _ => {}
        }
        self.memory.switch_view(&switch).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        let mut compared = self.memory.compare_copies(copies, readers, after, limit).await?;
        if self.bug == Bug::ComparedOneSided {
            compared.different.retain(|(_, first, _)| first.is_some());
        }
        Ok(compared)
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        let before = self.memory.checkpoints(readers).await?;
        let dropped = self.memory.drop_copy(view, copy, readers, limit).await;
        if self.bug == Bug::DroppedKeepsPlace {
            let back = readers.iter().zip(before).filter(|(_, at)| *at > 0);
            let back = back.map(|(reader, to)| CheckpointMove { reader: reader.clone(), from: 0, to, epoch: None });
            let _ = self.memory.commit(Batch { checkpoint_moves: back.collect(), ..Batch::default() }).await;
        }
        if self.bug == Bug::ServingDropped { Ok(dropped.unwrap_or(0)) } else { dropped }
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        let mut found = self.memory.response(key).await?;
        if let (Bug::PositionLost, Some(response)) = (self.bug, &mut found) {
            response.position = Position(0);
        }
        Ok(found)
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let mut lease = self.memory.lease(reader, owner, ttl).await?;
        if let (Bug::EpochReused, Some(lease)) = (self.bug, &mut lease) {
            lease.epoch = 1;
        }
        if self.bug == Bug::LeasedTwice {
            return Ok(lease.or(Some(Lease { epoch: 1, position: Position(0) })));
        }
        Ok(lease)
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let mut scan = *scan;
        let included = scan.until.map(|(entry, key)| (entry, format!("{key}\u{1}")));
        match self.bug {
            Bug::ScanRepeats => scan.from.1 = "",
            Bug::EndIncluded => scan.until = included.as_ref().map(|(entry, key)| (*entry, &**key)),
            Bug::ReversedAfterLimit if scan.reversed => {
                let mut found = self.memory.scan(&Scan { reversed: false, ..scan }).await?;
                found.reverse();
                return Ok(found);
            }
            _ => {}
        }
        self.memory.scan(&scan).await
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        let until = if self.bug == Bug::CountedToTheEnd { None } else { scan.until };
        self.memory.count_entries(&Scan { until, ..*scan }).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        if self.bug == Bug::EveryEntryCounted {
            return Ok(self.memory.log(after, upto, ReadLimit::entries(limit)).await?.len() as u64);
        }
        self.memory.count_log(counted, after, upto, limit).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        let mut found = self.memory.parked_keys(page).await?;
        if let (Bug::ParkedPageRepeats, Some((reader, key))) = (self.bug, page.after) {
            let all = self.memory.parked_keys(&ParkedPage { after: None, ..*page }).await?;
            found.splice(0..0, all.into_iter().filter(|parked| (&*parked.reader, &*parked.key) == (reader, key)));
            found.truncate(page.limit);
        }
        Ok(found)
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let mut found = self.memory.first_parked(reader, keys).await?;
        if self.bug == Bug::LastParked {
            for (key, error) in &mut found {
                let last = self.memory.parked(reader, key, 0, usize::MAX).await?.pop();
                *error = last.map_or_else(String::new, |last| last.error);
            }
        }
        Ok(found)
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let again = match self.bug {
            Bug::DeclaredAgain => self.memory.programs(0).await?.len(),
            _ => 0,
        };
        self.memory.declare_program(&format!("{declaration}{}", " ".repeat(again))).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        Ok(self.bug != Bug::HoldsNothing && self.memory.holds(data).await?)
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        if self.bug != Bug::AnyLeft {
            return self.memory.left_to_newer_program(limit).await;
        }
        let mut left = Vec::new();
        for ParkedKey { reader, key, .. } in self.memory.parked_keys(&ParkedPage::default()).await? {
            let messages = self.memory.parked(&reader, &key, 0, usize::MAX).await?;
            if messages.iter().any(|message| message.error == LEFT_TO_NEWER_PROGRAM) {
                left.push((reader, key));
            }
        }
        left.truncate(limit);
        Ok(left)
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        let is_replaced = self.memory.replace_parked_error(number, expected, error).await?;
        Ok(is_replaced || self.bug == Bug::ErrorOverwritten)
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let index_sets = if self.bug == Bug::IndexSetIgnored { &[] } else { index_sets };
        self.memory.views_of_other_index_sets(view, index_sets, limit).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        if matches!(self.bug, Bug::NoteOverwritten | Bug::NoteComparedEarly) {
            let value_of = |notes: Vec<(String, String)>| {
                notes.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
            };
            if self.bug == Bug::NoteComparedEarly {
                if value_of(self.memory.notes(name).await?).as_deref() != expected {
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let stored = value_of(self.memory.notes(name).await?);
            return self.memory.replace_note(name, stored.as_deref(), value).await;
        }
        self.memory.replace_note(name, expected, value).await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        let ahead = if self.bug == Bug::HighWaterMarkAhead { 2 } else { 0 };
        Ok(Position(self.memory.high_water_mark().await?.0 + ahead))
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let bytes = if self.bug == Bug::SizeIgnored { usize::MAX } else { limit.bytes };
        let mut found = self.memory.log(after, upto, ReadLimit { bytes, ..limit }).await?;
        if self.bug == Bug::ArchivedLost {
            found.retain(|entry| entry.position > *lock(&self.archived));
        }
        if self.bug == Bug::LogSkips {
            found.retain(|entry| entry.position.0 % 13 != 0);
        }
        Ok(found)
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let mut found = self.memory.outgoing_entries(shards, upto, limit).await?;
        match self.bug {
            Bug::LimitShared => found.truncate(limit.entries),
            Bug::OutgoingReversed => found.reverse(),
            _ => {}
        }
        Ok(found)
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        let mut old = old.clone();
        if self.bug == Bug::AllOld {
            (old.responses, old.inbox_records, old.told_for) = Default::default();
        }
        self.memory.purge(&old, limit).await
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        let mut values = values.clone();
        if self.bug == Bug::ChangeIgnored {
            for owner in &mut values.owners {
                let row = self.memory.row(&values.kind, &owner.id, None).await?.found;
                let stream = self.memory.stream(&format!("{}/{}", values.kind, owner.id), 0, None).await?.found;
                owner.version = if values.is_state_stored { row.version } else { stream.len() as u64 };
            }
        }
        self.memory.reserve_stored(&values).await
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let limit = if self.bug == Bug::SharedForgotten { 0 } else { limit };
        self.memory.unreserved(index, after, limit).await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        let mut due = self.memory.due_timers(after, limit).await?;
        match self.bug {
            Bug::TimerNeverDue => drop(due.timers.pop()),
            Bug::TimersUnordered => due.timers.sort_by(|a, b| b.name.cmp(&a.name)),
            Bug::TimerDueEarly => due.timers = self.memory.timers(&TimerPage { after, ..TimerPage::default() }).await?,
            Bug::TimerHoldsNothing => {
                let overdue = TimerPage { state: TimerState::Overdue, after, limit, name: None };
                due.timers = self.memory.timers(&overdue).await?;
            }
            _ => (),
        }
        Ok(due)
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let given = batch.snapshots.iter().map(|snapshot| (snapshot.id.clone(), snapshot.clone()));
        lock(&self.snapshots).extend(given);
        match self.bug {
            Bug::TimerFiredTwice => {
                let is_update = |write: &TimerWrite| matches!(write.change, TimerChange::Update { .. });
                let fired = batch.timers.iter_mut().filter(|write| !is_update(write));
                fired.for_each(|write| write.fired = None);
            }
            Bug::TimerNotCancelled => {
                batch.timers.retain(|write| write.fired.is_some() || write.change != TimerChange::Remove);
            }
            Bug::TimerKept => {
                for write in std::mem::take(&mut batch.timers) {
                    let page = TimerPage { name: Some(&write.name), ..TimerPage::default() };
                    let is_kept = write.fired.is_none() && !self.memory.timers(&page).await?.is_empty();
                    if !is_kept {
                        batch.timers.push(write);
                    }
                }
            }
            Bug::TimerStandsStill => {
                for write in &mut batch.timers {
                    if let (Some(fired), TimerChange::Update { due, .. }) = (write.fired, &mut write.change) {
                        *due = fired.due;
                    }
                }
            }
            Bug::TimerOfARefusal => {
                let timers = batch.timers.clone();
                let committed = self.memory.commit(batch).await;
                if committed.is_err() {
                    let _ = self.memory.commit(Batch { timers, ..Batch::default() }).await;
                }
                return committed;
            }
            Bug::ParkedAlone => batch.parks.iter_mut().for_each(|park| park.behind = false),
            Bug::TakenByTwo => batch.unparks.retain(|number| *number > 1),
            Bug::EpochIgnored => batch.checkpoint_moves.iter_mut().for_each(|moved| moved.epoch = None),
            Bug::TakenFirst => {
                let reservations = Batch { reservations: batch.reservations.clone(), ..Batch::default() };
                if let Err(rejected @ CommitError::Taken { .. }) = self.memory.commit(reservations).await {
                    return Err(rejected);
                }
            }
            Bug::HalfOnTaken => {
                let refused = match self.memory.commit(batch.clone()).await {
                    Err(rejected @ CommitError::Taken { .. }) => rejected,
                    other => return other,
                };
                batch.reservations.clear();
                self.memory.commit(batch).await?;
                return Err(refused);
            }
            Bug::ViewUnversioned => {
                for write in &mut batch.views {
                    let stored = self.memory.views(write.view, std::slice::from_ref(&write.key)).await?;
                    write.expected = stored.first().map_or(0, |view| view.version);
                }
            }
            Bug::ResponseLate => {
                if let Some(response) = batch.response.take() {
                    if self.memory.response(&response.key).await?.is_some() {
                        return Err(CommitError::ResponseExists);
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let position = self.memory.commit(batch).await?;
                    let _ = self.memory.commit(Batch { response: Some(response), ..Batch::default() }).await;
                    return Ok(position);
                }
            }
            Bug::VersionComparedEarly => {
                for row in &batch.rows {
                    if self.memory.row(row.kind, &row.id, None).await?.found.version != row.expected {
                        return self.memory.commit(batch).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                for row in &mut batch.rows {
                    row.expected = self.memory.row(row.kind, &row.id, None).await?.found.version;
                    row.version = row.expected + 1;
                }
                for event in &mut batch.events {
                    event.version = self.memory.stream(&event.stream, 0, None).await?.found.len() as u64 + 1;
                }
            }
            Bug::InboxRecordLate => {
                let records = std::mem::take(&mut batch.inbox_records);
                for record in &records {
                    let lookup = self.memory.lookup_inbox(&record.group, &[record.message], &[]).await?;
                    if !lookup.handled.is_empty() {
                        return Err(CommitError::AlreadyHandled);
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                let position = self.memory.commit(batch).await?;
                let _ = self.memory.commit(Batch { inbox_records: records, ..Batch::default() }).await;
                return Ok(position);
            }
            Bug::CopyUnfenced if !batch.views.is_empty() => {
                let serving = self.memory.serving_copy("card").await?;
                let moves = batch.checkpoint_moves.iter_mut().filter(|step| step.reader == "projection/card");
                moves.for_each(|step| step.epoch = Some(serving));
            }
            Bug::FilledUnfenced => {
                let filled =
                    batch.checkpoint_moves.iter_mut().filter(|step| step.reader.starts_with("projection/card~"));
                filled.for_each(|step| step.epoch = Some(0));
            }
            Bug::CopyUnnamed => {
                let serving = self.memory.serving_copy("card").await?;
                let unnamed = batch.checkpoint_moves.iter_mut().filter(|step| step.epoch.is_none());
                unnamed.filter(|step| step.reader == "projection/card").for_each(|step| step.epoch = Some(serving));
            }
            Bug::ReadsIgnored => batch.reads.clear(),
            Bug::ArchivedUncompared if *lock(&self.archived) > Position(0) => batch.reads.clear(),
            Bug::DeletedAsNeverStored => {
                for read in batch.reads.iter_mut().filter(|read| read.is_row && read.version == 0) {
                    let row = self.memory.row(read.kind, &read.id, None).await?.found;
                    read.version = if row.state.is_none() { row.version } else { 0 };
                }
            }
            Bug::ReadsComparedEarly if !batch.events.is_empty() => {
                let reads = std::mem::take(&mut batch.reads);
                self.memory.commit(Batch { reads, ..Batch::default() }).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Bug::ReadsExclusive => {
                for read in batch.reads.iter().filter(|read| read.is_row && read.version > 0) {
                    if batch.rows.iter().all(|row| row.id != read.id) {
                        let (kind, id, state) = (read.kind, read.id.clone(), Some(Vec::new()));
                        batch.rows.push(Row { kind, id, expected: read.version, version: read.version + 1, state });
                    }
                }
            }
            Bug::WinnerForgotten => {
                return self.memory.commit(batch).await.map_err(|refused| match refused {
                    CommitError::Conflict { what, exists, versions: Some(versions) } => CommitError::Conflict {
                        versions: Some(VersionConflict { winner: None, ..versions }),
                        what,
                        exists,
                    },
                    refused => refused,
                });
            }
            Bug::NulRemoved => batch.rows.iter_mut().for_each(|row| row.id = row.id.replace('\0', "")),
            Bug::NumberLimited => {
                batch.rows.iter_mut().for_each(|row| row.version = row.version.min(i64::MAX as u64));
            }
            Bug::GivenByAnybody => {
                let mut others = Vec::new();
                for reservation in batch.reservations.iter().filter(|reservation| !reservation.taken) {
                    others.extend(["user/kim", "user/lee", "a", "b", "c"].map(|owner| {
                        let owner = owner.to_owned();
                        cqrs_core::storage::Reservation { owner, ..reservation.clone() }
                    }));
                }
                batch.reservations.extend(others);
            }
            Bug::ContentTypeLost => {
                let outgoing = batch.events.iter_mut().filter_map(|event| event.outgoing.as_mut());
                outgoing.for_each(|outgoing| outgoing.content_type = "application/protobuf".into());
            }
            _ => {}
        }
        self.memory.commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(SeededTx(self.clone())))
    }
}

struct SeededTx(SeededStorage);
#[async_trait]
impl Tx for SeededTx {
    fn driver(&mut self) -> &mut (dyn std::any::Any + Send) {
        &mut self.0.bug
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, CommitError> {
        Storage::commit(&self.0, batch).await
    }
}
