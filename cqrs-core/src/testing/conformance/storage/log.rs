//! Cases for the log: positions grow in the order in which a reader sees entries, and a reader misses none.
use super::draft::{self, Draft, batch, commit};
use super::{Dice, Harness, concurrently, sleep};
use crate::{
    event::Entry,
    position::Position,
    storage::{Batch, CommitError, CountedEntries, OutgoingRange, ReadLimit, Storage},
};
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use uuid::Uuid;

pub(super) async fn bounds(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    assert_eq!(
        storage.high_water_mark().await.expect("the high-water mark can be read"),
        Position(0),
        "the log is empty"
    );
    let mut positions = Vec::new();
    for version in 1..=5 {
        positions.push(commit(storage, batch().event("user/kim", version)).await);
        let high_water_mark = storage.high_water_mark().await.expect("the high-water mark can be read");
        assert!(high_water_mark >= positions[version as usize - 1], "the high-water mark is below an earlier commit");
    }
    assert!(positions.is_sorted_by(|a, b| a < b) && positions[0] > Position(0), "{positions:?}");
    let read = async |after, upto, limit| {
        let found = storage.log(after, upto, ReadLimit::entries(limit)).await.expect("the log can be read");
        found.into_iter().map(|entry| entry.position).collect::<Vec<_>>()
    };
    let end = Position(u64::MAX);
    assert_eq!(read(Position(0), end, 99).await, positions);
    assert_eq!(
        read(positions[1], positions[3], 99).await,
        positions[2..4],
        "`after` is exclusive and `upto` inclusive"
    );
    assert_eq!(read(positions[0], end, 2).await, positions[1..3]);
    assert_eq!(read(positions[4], end, 99).await, []);
    assert_eq!(read(end, end, 99).await, []);
}

const WRITERS: usize = 8;
const COMMITS: usize = 60;

pub(super) async fn gaps(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    commit(&*storage, batch().take("taken", "another")).await;
    let committed: Arc<Mutex<BTreeMap<Position, Vec<Uuid>>>> = Arc::default();
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    for writer in 0..WRITERS {
        let (storage, committed, writing) = (storage.clone(), committed.clone(), writing.clone());
        tasks.push(Box::pin(async move {
            let mut dice = Dice(writer as u64);
            for n in 0..COMMITS {
                let (position, ids) = write(&*storage, &mut dice, n).await;
                committed.lock().expect("no writer has panicked").insert(position, ids);
            }
            writing.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    let seen: Arc<Mutex<Vec<Entry>>> = Arc::default();
    let (followed, reader) = (seen.clone(), storage.clone());
    tasks.push(Box::pin(async move {
        let mut dice = Dice(99);
        let mut after = Position(0);
        loop {
            let last_round = writing.load(Ordering::SeqCst) == 0;
            let upto = reader.high_water_mark().await.expect("the high-water mark can be read");
            assert!(upto >= after, "the high-water mark went back from {after:?} to {upto:?}");
            let limit = 1 + dice.below(9) as usize;
            let page = reader.log(after, upto, ReadLimit::entries(limit)).await.expect("the log can be read");
            // After a full page there may be more entries; otherwise the log is complete up to the high-water mark.
            let full = page.len() == limit;
            after = if full { page[limit - 1].position } else { upto };
            followed.lock().expect("one reader").extend(page);
            if last_round && !full {
                break;
            }
            if !full {
                sleep(dice.below(2)).await;
            }
        }
    }));
    concurrently(tasks).await;
    let seen = seen.lock().expect("the reader is done");
    let committed = committed.lock().expect("the writers are done");
    let expected: usize = committed.values().map(Vec::len).sum();
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "positions did not grow as they were read");
    let found: HashMap<Uuid, Position> = seen.iter().map(|entry| (entry.id, entry.position)).collect();
    let missed: Vec<_> = committed.iter().filter(|(_, ids)| !ids.iter().all(|id| found.contains_key(id))).collect();
    assert!(missed.is_empty(), "the reader missed {} of {} commits: {missed:?}", missed.len(), committed.len());
    assert_eq!(seen.len(), expected, "the reader saw entries that were not committed");
    for (position, ids) in committed.iter() {
        assert_eq!(ids.last().map(|id| found[id]), Some(*position), "a commit returns the position of its last event");
    }
    let mut heads = HashMap::new();
    for entry in seen.iter() {
        let head = heads.entry(&entry.stream).or_insert(0);
        assert_eq!(entry.version, *head + 1, "{} out of order", entry.stream);
        *head = entry.version;
    }
}

/// Appends one to three events to one of a few streams, and retries conflicts. Some batches are refused after their
/// other parts are written.
async fn write(storage: &dyn Storage, dice: &mut Dice, n: usize) -> (Position, Vec<Uuid>) {
    let stream = format!("user/{}", dice.below(12));
    loop {
        let last = draft::stream(storage, &stream).await.last().map_or(0, |event| event.version);
        let all: Batch = (1..=1 + dice.below(3)).fold(batch(), |all, i| all.event(&stream, last + i));
        let ids = all.events.iter().map(|event| event.id).collect();
        if dice.below(6) == 0 {
            storage.commit(all.clone().take("taken", "me")).await.expect_err("the value is taken");
        }
        let result = if n % 20 == 7 {
            let tx = storage.begin().await.expect("a transaction begins");
            sleep(2).await;
            tx.commit(all).await
        } else {
            storage.commit(all).await
        };
        match result {
            Ok(position) => return (position, ids),
            Err(CommitError::Conflict { .. }) => sleep(dice.below(3)).await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(super) async fn shards(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut positions = Vec::new();
    for version in 1..=12 {
        let all = match version % 3 {
            0 => batch().event("user/kim", version),
            shard => batch().outgoing("user/kim", version, shard as u16),
        };
        positions.push(commit(storage, all).await);
    }
    let high_water_mark = storage.high_water_mark().await.expect("the high-water mark can be read");
    let read = async |shards: &[(u16, Position)], upto| {
        let found =
            storage.outgoing_entries(shards, upto, ReadLimit::entries(99)).await.expect("relay shards can be read");
        assert!(found.iter().all(|entry| entry.outgoing.is_some()), "an entry without an outgoing message");
        let of = |shard| {
            found.iter().filter(move |entry| entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.shard == shard))
        };
        [1, 2].map(|shard| of(shard).map(|entry| entry.version).collect::<Vec<_>>())
    };
    let start = Position(0);
    assert_eq!(read(&[(1, start), (2, start)], high_water_mark).await, [vec![1, 4, 7, 10], vec![2, 5, 8, 11]]);
    assert_eq!(read(&[(2, positions[4]), (1, positions[9])], high_water_mark).await, [vec![], vec![8, 11]]);
    assert_eq!(
        read(&[(1, start)], positions[6]).await,
        [vec![1, 4, 7], vec![]],
        "up to the position, and only these shards"
    );
    let nothing = [Vec::<u64>::new(), Vec::new()];
    assert_eq!(read(&[(0, start), (15, start)], high_water_mark).await, nothing);
    assert_eq!(read(&[], high_water_mark).await, nothing);
}

pub(super) async fn by_name(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for version in 1..=9 {
        let name = ["opened", "deposited", "closed"][version as usize % 3];
        let mut all = batch().event("user/kim", version);
        all.events[0].name = name;
        commit(storage, all).await;
    }
    let upto = storage.high_water_mark().await.expect("the high-water mark can be read");
    let read = async |names: &[&str], after, upto, limit| {
        let found = storage.log_of(names, after, upto, ReadLimit::entries(limit)).await.expect("the log can be read");
        found.into_iter().map(|entry| (entry.version, entry.position)).collect::<Vec<_>>()
    };
    let versions = |found: &[(u64, Position)]| found.iter().map(|(version, _)| *version).collect::<Vec<_>>();
    let start = Position(0);
    let all = read(&["deposited", "opened"], start, upto, 99).await;
    assert_eq!(versions(&all), [1, 3, 4, 6, 7, 9]);
    let (third, sixth) = (all[2].1, all[5].1);
    assert_eq!(versions(&read(&["deposited", "opened"], third, upto, 2).await), [6, 7]);
    assert_eq!(versions(&read(&["opened"], start, sixth, 99).await), [3, 6, 9]);
    assert_eq!(versions(&read(&["opened"], start, third, 99).await), [3], "only up to the position");
    assert_eq!(versions(&read(&["OPENED", "open"], start, upto, 99).await), [0; 0]);
    assert_eq!(versions(&read(&[], start, upto, 99).await), [0; 0]);
    assert_eq!(versions(&read(&["opened"], start, upto, 0).await), [0; 0]);
}

pub(super) async fn counted(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut positions = Vec::new();
    for version in 1..=9 {
        let mut all = match version % 3 {
            0 => batch().outgoing("user/kim", version, 3),
            _ => batch().event("user/kim", version),
        };
        all.events[0].name = if version % 2 == 0 { "opened" } else { "deposited" };
        positions.push(commit(storage, all).await);
    }
    let (start, upto) = (Position(0), storage.high_water_mark().await.expect("the high-water mark can be read"));
    let count = async |counted: CountedEntries<'_>, after, upto, limit| {
        storage.count_log(counted, after, upto, limit).await.expect("the log can be counted")
    };
    let (opened, both) = (CountedEntries::Events(&["opened"]), CountedEntries::Events(&["opened", "deposited"]));
    assert_eq!(count(opened, start, upto, 99).await, 4);
    assert_eq!(count(both, start, upto, 99).await, 9);
    assert_eq!(count(opened, positions[1], upto, 99).await, 3, "after the position");
    assert_eq!(count(opened, start, positions[3], 99).await, 2, "up to the position");
    assert_eq!(count(opened, start, upto, 5).await, 2, "two of the first five entries");
    assert_eq!(count(CountedEntries::Events(&[]), start, upto, 99).await, 0);
    assert_eq!(count(CountedEntries::Events(&["OPENED"]), start, upto, 99).await, 0);
    assert_eq!(count(CountedEntries::Outgoing(3), start, upto, 99).await, 3);
    assert_eq!(count(CountedEntries::Outgoing(3), positions[2], upto, 99).await, 2);
    assert_eq!(count(CountedEntries::Outgoing(4), start, upto, 99).await, 0);
}

pub(super) async fn shard_limits(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for version in 1..=20 {
        // The entries of shard 4 come before those of shard 5.
        commit(storage, batch().outgoing("user/kim", version, if version <= 15 { 4 } else { 5 })).await;
    }
    let high_water_mark = storage.high_water_mark().await.expect("the high-water mark can be read");
    let found = storage
        .outgoing_entries(&[(4, Position(0)), (5, Position(0))], high_water_mark, ReadLimit::entries(3))
        .await
        .expect("relay shards can be read");
    let mut versions: Vec<_> = found.iter().map(|entry| entry.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 16, 17, 18], "three entries of each shard");
}

pub(super) async fn of_topics(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut positions = Vec::new();
    for version in 1..=24 {
        let mut all = batch().outgoing("user/kim", version, (version % 2) as u16);
        let topic = if version % 3 == 0 { "orders" } else { "mail" };
        all.events[0].outgoing.as_mut().expect("the draft has a message").topic = topic.to_owned();
        positions.push(commit(storage, all).await);
    }
    let (start, upto) = (Position(0), storage.high_water_mark().await.expect("the high-water mark can be read"));
    let range = |shard, topic, after, upto| OutgoingRange { shard, topic, after, upto };
    let read = async |ranges: &[OutgoingRange<'_>], limit| {
        let found = storage.outgoing_entries_of(ranges, limit).await.expect("the ranges can be read");
        assert!(found.iter().all(|entry| entry.payload.is_empty()), "an outgoing entry has no payload");
        found.iter().map(|entry| entry.version).collect::<Vec<_>>()
    };
    let many = ReadLimit::entries(99);
    assert_eq!(read(&[range(0, "orders", start, upto)], many).await, [6, 12, 18, 24]);
    assert_eq!(read(&[range(1, "orders", positions[8], positions[20])], many).await, [15, 21], "after and up to");
    let both = [range(1, "orders", start, upto), range(0, "mail", positions[9], upto)];
    assert_eq!(read(&both, ReadLimit::entries(2)).await, [3, 9, 14, 16], "two of each range, in order");
    assert_eq!(read(&both, ReadLimit { entries: 99, bytes: 1 }).await, [3, 14], "one is returned, however large");
    assert_eq!(read(&[range(0, "order", start, upto), range(2, "mail", start, upto)], many).await, [0; 0]);
    assert_eq!(read(&[], many).await, [0; 0]);
}

pub(super) async fn sizes(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for version in 1..=6 {
        let mut all = batch().outgoing("user/kim", version, (version % 2) as u16);
        let size = if version == 5 { 100_000 } else { 1_000 };
        all.events[0].payload = format!("\"{}\"", "p".repeat(size - 2)).into_bytes();
        all.events[0].outgoing.as_mut().expect("the draft has a message").body = vec![b'm'; size];
        commit(storage, all).await;
    }
    let (start, upto) = (Position(0), storage.high_water_mark().await.expect("the high-water mark can be read"));
    let versions = |found: Vec<Entry>| found.iter().map(|entry| entry.version).collect::<Vec<_>>();
    let limit = |entries, bytes| ReadLimit { entries, bytes };
    let read = async |limit| versions(storage.log(start, upto, limit).await.expect("the log can be read"));
    assert_eq!(read(limit(99, 4_000)).await, [1, 2], "two entries of 2,000 bytes reach the size");
    assert_eq!(read(limit(99, 4_001)).await, [1, 2, 3], "the entry that reaches the size is the last");
    assert_eq!(read(limit(1, 4_001)).await, [1], "the number of entries is a limit as well");
    assert_eq!(read(limit(99, 1)).await, [1], "one entry is returned, however large");
    assert_eq!(read(limit(99, 8_001)).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(limit(99, 300_000)).await, [1, 2, 3, 4, 5, 6]);
    let named = storage.log(start, upto, limit(1, usize::MAX)).await.expect("the log can be read").remove(0).name;
    let read =
        async |limit| versions(storage.log_of(&[&*named], start, upto, limit).await.expect("the log can be read"));
    assert_eq!(read(limit(99, 4_001)).await, [1, 2, 3], "by name");
    assert_eq!(read(limit(99, 1)).await, [1], "by name");
    let both = [(0, start), (1, start)];
    let found = storage.outgoing_entries(&both, upto, limit(99, 1_001)).await.expect("relay shards can be read");
    assert!(found.iter().all(|entry| entry.payload.is_empty()), "an outgoing entry has no payload");
    let mut found = versions(found);
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4], "two messages of 1,000 bytes of each shard");
}
