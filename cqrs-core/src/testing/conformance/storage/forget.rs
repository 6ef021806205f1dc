//! Retention: by age, by lane, a little at a time.
use super::{
    Bench,
    draft::{Draft, GROUP, batch, commit, log},
};
use crate::{
    batch::Position,
    storage::Old,
    world::{Machine, World},
};
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const NOW: Duration = Duration::ZERO;

/// Nothing is a year old but what was told: the events of the drafts are of 2023.
fn nothing_old() -> Old {
    Old { answers: YEAR, marks: YEAR, told: Vec::new(), told_for: YEAR }
}

pub(super) async fn old(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let messages: Vec<_> = (0..5).map(|_| Machine.id()).collect();
    for message in &messages {
        commit(storage, batch().mark(*message)).await;
    }
    commit(storage, batch().event("user-kim", 1).answer("key")).await;
    let forget = async |old: &Old, limit| storage.forget(old, limit).await.expect("it can be asked");
    let marks = async || storage.seen(GROUP, &messages, &[]).await.expect("it can be asked").handled.len();
    assert_eq!(forget(&nothing_old(), 99).await, 0, "nothing is old");
    assert_eq!((marks().await, storage.answer("key").await.expect("it answers").is_some()), (5, true));
    // A moment, so that all of it is older than nothing.
    Machine.sleep(Duration::from_millis(5)).await;
    assert_eq!(forget(&Old { marks: NOW, ..nothing_old() }, 3).await, 3, "a limit is a limit");
    assert_eq!(marks().await, 2);
    assert_eq!(forget(&Old { marks: NOW, answers: NOW, ..nothing_old() }, 99).await, 3);
    assert_eq!((marks().await, storage.answer("key").await.expect("it answers").is_some()), (0, false));
    assert_eq!(log(storage).await.len(), 1, "what happened stays");
    commit(storage, batch().mark(messages[0]).answer("key")).await;
}

pub(super) async fn relay(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    for version in 1..=6 {
        commit(storage, batch().told("user-kim", version, (version % 2) as u16)).await;
    }
    let at: Vec<_> = log(storage).await.into_iter().map(|it| it.position).collect();
    let mut parked = batch().park("user-kim", false);
    (parked.parks[0].reader, parked.parks[0].at, parked.parks[0].record) = ("relay/1".into(), at[2].0, None);
    commit(storage, parked).await;
    let of_lane_one = Old { told: vec![(1, at[3])], ..nothing_old() };
    assert_eq!(storage.forget(&of_lane_one, 99).await.expect("it can be asked"), 1);
    let told: Vec<_> = log(storage).await.iter().map(|it| it.told.is_some()).collect();
    assert_eq!(told, [false, true, true, true, true, true], "lane 1, passed, not parked");
    let young = Old { told: vec![(1, at[5])], told_for: YEAR * 30, ..nothing_old() };
    assert_eq!(storage.forget(&young, 99).await.expect("it can be asked"), 0);
    let left = storage.lanes(&[(1, Position(0))], at[5], 99).await.expect("a lane can be read");
    assert_eq!(left.iter().map(|it| it.position).collect::<Vec<_>>(), [at[2], at[4]]);
}
