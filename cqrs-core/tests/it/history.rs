//! The past of an aggregate: at a version, at a time, and its events page by page.
use crate::{
    clock::Clock,
    deleting::ALL,
    purse::{Add, AsOf, AtVersion, Entries, StoredAs, emptied, on_each, open, purses, shared},
};
use chrono::TimeDelta;
use cqrs_core::{HistoryEntry, Metadata, Timestamp, storage::Storage};
use libtest_mimic::Trial;
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("history: a state is found by version and by time, and the events by page", ALL, past);
    trials.extend(on_each("history: a long stream is folded page by page", &[StoredAs::State], long));
    trials
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

/// Also run on PostgreSQL.
pub(crate) async fn past(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let clock = Clock::default();
    let app =
        purses(shared(&storage), stored_as, true).environment(Arc::new(clock.clone())).build().expect("the app builds");
    clock.set(1_000);
    app.send(open("kim", false)).await.expect("the purse opens");
    for second in 2..=4 {
        clock.set(second * 1_000);
        let by = app.with(Metadata::default().caller(format!("caller {second}")));
        by.send(Add("kim".into(), second)).await.expect("the amount is added");
    }
    clock.set(5_000);
    app.send(emptied("kim")).await.expect("the purse is closed");
    // Versions: 1 opened, 2 to 4 added, 5 emptied, 6 closed, 7 the end.
    clock.set(6_000);
    app.send(open("kim", false)).await.expect("the purse opens again");
    app.send(Add("kim".into(), 7)).await.expect("the amount is added");
    let at = async |version| app.send(AtVersion("kim".into(), version)).await.expect("the history can be read");
    let expected = [None, Some(0), Some(2), Some(5), Some(9), Some(0), Some(0), None, Some(0), Some(7), None];
    for (version, expected) in expected.into_iter().enumerate() {
        assert_eq!(at(version as u64).await, expected, "at version {version}");
    }
    let as_of = async |time| app.send(AsOf("kim".into(), time)).await.expect("the history can be read");
    let expected = [(999, None), (1_000, Some(0)), (3_500, Some(5)), (4_000, Some(9)), (5_500, None), (9_999, Some(7))];
    for (at, expected) in expected {
        assert_eq!(as_of(time(at)).await, expected, "as of {at} ms");
    }
    let page =
        async |after, limit| app.send(Entries("kim".into(), after, limit)).await.expect("the history can be read");
    let first = page(0, 3).await;
    let HistoryEntry::Event(second) = &first[1] else { panic!("{:?}", first[1]) };
    assert_eq!((second.version, second.occurred_at, &*second.aggregate_id), (2, time(2_000), "kim"));
    assert_eq!(second.metadata.caller.as_deref(), Some("caller 2"));
    let (mut versions, mut last) = (Vec::new(), 0);
    loop {
        let found = page(last, 2).await;
        let Some(end) = found.last() else { break };
        last = end.version();
        versions.extend(found.iter().map(HistoryEntry::version));
    }
    assert_eq!(versions, (1..=9).collect::<Vec<_>>());
    let end = page(6, 1).await;
    let [HistoryEntry::Deleted(mark)] = &end[..] else { panic!("{end:?}") };
    assert_eq!((mark.version, mark.occurred_at), (7, time(5_000)));
    assert!(end[0].event().is_none() && first[0].event().is_some());
    assert_eq!(app.send(Entries("none".into(), 0, 9)).await.expect("the history can be read"), []);
}

async fn long(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, false).build().expect("the app builds");
    app.send(open("kim", false)).await.expect("the purse opens");
    for _ in 0..1_100 {
        app.send(Add("kim".into(), 1)).await.expect("the amount is added");
    }
    let at = async |version| app.send(AtVersion("kim".into(), version)).await.expect("the history can be read");
    assert_eq!((at(500).await, at(501).await, at(1_101).await), (Some(499), Some(500), Some(1_100)));
    assert_eq!(at(1_102).await, None);
}
