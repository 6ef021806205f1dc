//! The log: positions grow in the order in which a reader sees entries, and a reader misses none.
use super::{
    Bench, Dice,
    draft::{self, Draft, batch, commit},
    sleep, together,
};
use crate::{
    Position,
    batch::{Batch, Entry, Rejected},
    storage::Storage,
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

pub(super) async fn bounds(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    assert_eq!(storage.horizon().await.expect("the horizon can be read"), Position(0), "of an empty log");
    let mut positions = Vec::new();
    for version in 1..=5 {
        positions.push(commit(storage, batch().event("user-kim", version)).await);
        let horizon = storage.horizon().await.expect("the horizon can be read");
        assert!(horizon >= positions[version as usize - 1], "the horizon is below what was committed before");
    }
    assert!(positions.is_sorted_by(|a, b| a < b) && positions[0] > Position(0), "{positions:?}");
    let read = async |after, upto, limit| {
        let found = storage.log(after, upto, limit).await.expect("the log can be read");
        found.into_iter().map(|it| it.position).collect::<Vec<_>>()
    };
    let end = Position(u64::MAX);
    assert_eq!(read(Position(0), end, 99).await, positions);
    assert_eq!(read(positions[1], positions[3], 99).await, positions[2..4], "`after` is not in it, `upto` is");
    assert_eq!(read(positions[0], end, 2).await, positions[1..3]);
    assert_eq!(read(positions[4], end, 99).await, []);
    assert_eq!(read(end, end, 99).await, []);
}

const WRITERS: usize = 8;
const COMMITS: usize = 60;

pub(super) async fn gaps(bench: Box<dyn Bench>) {
    let storage = bench.storage();
    commit(&*storage, batch().take("taken", "somebody")).await;
    let committed: Arc<Mutex<BTreeMap<Position, Vec<Uuid>>>> = Arc::default();
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    for writer in 0..WRITERS {
        let (storage, committed, writing) = (storage.clone(), committed.clone(), writing.clone());
        tasks.push(Box::pin(async move {
            let mut dice = Dice(writer as u64);
            for n in 0..COMMITS {
                let (position, ids) = write(&*storage, &mut dice, n).await;
                committed.lock().expect("no writer has failed").insert(position, ids);
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
            let upto = reader.horizon().await.expect("the horizon can be read");
            assert!(upto >= after, "the horizon went back from {after:?} to {upto:?}");
            let limit = 1 + dice.below(9) as usize;
            let page = reader.log(after, upto, limit).await.expect("the log can be read");
            // A full page may have more behind it; otherwise the horizon says that nothing can come up to it.
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
    together(tasks).await;
    let seen = seen.lock().expect("the reader is done");
    let committed = committed.lock().expect("the writers are done");
    let expected: usize = committed.values().map(Vec::len).sum();
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "positions did not grow as they were read");
    let found: HashMap<Uuid, Position> = seen.iter().map(|it| (it.id, it.position)).collect();
    let missed: Vec<_> = committed.iter().filter(|(_, ids)| !ids.iter().all(|it| found.contains_key(it))).collect();
    assert!(missed.is_empty(), "the reader missed {} of {} commits: {missed:?}", missed.len(), committed.len());
    assert_eq!(seen.len(), expected, "the reader saw what nobody committed");
    for (position, ids) in committed.iter() {
        assert_eq!(ids.last().map(|it| found[it]), Some(*position), "a commit's position is that of its last event");
    }
    let mut heads = HashMap::new();
    for entry in seen.iter() {
        let head = heads.entry(&entry.stream).or_insert(0);
        assert_eq!(entry.version, *head + 1, "{} out of order", entry.stream);
        *head = entry.version;
    }
}

/// Appends one to three events to one of a few streams, until it is done; some tries are refused after all else is written.
async fn write(storage: &dyn Storage, dice: &mut Dice, n: usize) -> (Position, Vec<Uuid>) {
    let stream = format!("user-{}", dice.below(12));
    loop {
        let last = draft::stream(storage, &stream).await.last().map_or(0, |it| it.version);
        let all: Batch = (1..=1 + dice.below(3)).fold(batch(), |all, i| all.event(&stream, last + i));
        let ids = all.events.iter().map(|it| it.id).collect();
        if dice.below(6) == 0 {
            storage.commit(all.clone().take("taken", "me")).await.expect_err("it is taken");
        }
        let verdict = if n % 20 == 7 {
            let tx = storage.begin().await.expect("a transaction begins");
            sleep(2).await;
            tx.commit(all).await
        } else {
            storage.commit(all).await
        };
        match verdict {
            Ok(position) => return (position, ids),
            Err(Rejected::Conflict { .. }) => sleep(dice.below(3)).await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(super) async fn lanes(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let mut positions = Vec::new();
    for version in 1..=12 {
        let all = match version % 3 {
            0 => batch().event("user-kim", version),
            lane => batch().told("user-kim", version, lane as u16),
        };
        positions.push(commit(storage, all).await);
    }
    let horizon = storage.horizon().await.expect("the horizon can be read");
    let read = async |lanes: &[(u16, Position)], upto| {
        let found = storage.lanes(lanes, upto, 99).await.expect("lanes can be read");
        assert!(found.iter().all(|it| it.told.is_some()), "an entry nobody is told of");
        let of = |lane| found.iter().filter(move |it| it.told.as_ref().is_some_and(|told| told.lane == lane));
        [1, 2].map(|lane| of(lane).map(|it| it.version).collect::<Vec<_>>())
    };
    let start = Position(0);
    assert_eq!(read(&[(1, start), (2, start)], horizon).await, [vec![1, 4, 7, 10], vec![2, 5, 8, 11]]);
    assert_eq!(read(&[(2, positions[4]), (1, positions[9])], horizon).await, [vec![], vec![8, 11]]);
    assert_eq!(read(&[(1, start)], positions[6]).await, [vec![1, 4, 7], vec![]], "up to, and only these lanes");
    let nothing = [Vec::<u64>::new(), Vec::new()];
    assert_eq!(read(&[(0, start), (15, start)], horizon).await, nothing);
    assert_eq!(read(&[], horizon).await, nothing);
}

pub(super) async fn lane_limits(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    for version in 1..=20 {
        // Lane 4 is far ahead of lane 5 in the log.
        commit(storage, batch().told("user-kim", version, if version <= 15 { 4 } else { 5 })).await;
    }
    let horizon = storage.horizon().await.expect("the horizon can be read");
    let found = storage.lanes(&[(4, Position(0)), (5, Position(0))], horizon, 3).await.expect("lanes can be read");
    let mut versions: Vec<_> = found.iter().map(|it| it.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 16, 17, 18], "three of each");
}
