//! A batch as a whole: all of it, durably, or nothing.
use super::{
    Bench,
    draft::{self, Draft, GROUP, batch, commit},
    sleep,
};
use crate::{
    Position,
    batch::{Batch, Rejected},
    world::{Machine, World, within},
};
use std::time::Duration;
use uuid::Uuid;

/// One of everything.
fn full(message: Uuid) -> Batch {
    batch()
        .row("kim", 0, Some(b"kim"))
        .told("user-kim", 1, 3)
        .take("Kim", "user-kim")
        .view("kim", 0, Some(b"card"), &[b"kim"])
        .step("cards", 0, 9, None)
        .mark(message)
        .answer("key")
}

/// What the reads say of it: something of each kind, or nothing of any.
async fn is_there(bench: &dyn Bench, message: Uuid) -> bool {
    let storage = &*bench.storage();
    // A claim cannot be read: it is seen by who wants it too.
    let taken = match storage.commit(batch().take("Kim", "user-probe")).await {
        Ok(_) => commit(storage, batch().give("Kim", "user-probe")).await.0 > 0,
        Err(rejected) => matches!(rejected, Rejected::Taken { .. }),
    };
    let found = [
        draft::row(storage, "kim").await.version == 1,
        draft::stream(storage, "user-kim").await.len() == 1,
        draft::log(storage).await.len() == 1,
        taken,
        draft::view(storage, "kim").await.is_some_and(|it| it.version == 1),
        draft::scan(storage, b"", None, 9).await == [(b"kim".to_vec(), "kim".to_owned())],
        draft::position(storage, "cards").await == 9,
        storage.seen(GROUP, &[message], &[]).await.expect("marks can be read").handled == [message],
        storage.answer("key").await.expect("an answer can be read").is_some(),
    ];
    assert!(found.iter().all(|it| *it == found[0]), "a part of a batch is there, another is not: {found:?}");
    found[0]
}

pub(super) async fn empty(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    assert_eq!(commit(storage, batch()).await, Position(0));
    assert_eq!(draft::log(storage).await, []);
    assert_eq!(
        commit(storage, batch().row("kim", 0, Some(b""))).await,
        Position(0),
        "without events there is no position"
    );
}

pub(super) async fn restart(mut bench: Box<dyn Bench>) {
    let message = Machine.id();
    commit(&*bench.storage(), full(message)).await;
    let before = draft::log(&*bench.storage()).await;
    let storage = bench.reopen().await;
    assert!(is_there(&*bench, message).await, "a committed batch is gone after a restart");
    assert_eq!(draft::log(&*storage).await, before);
    let next = commit(&*storage, batch().event("user-kim", 2)).await;
    assert!(next > before[0].position, "after a restart positions go on from where they were");
}

pub(super) async fn migrate(bench: Box<dyn Bench>) {
    let message = Machine.id();
    commit(&*bench.storage(), full(message)).await;
    bench.storage().migrate().await.expect("a second migration does nothing");
    bench.storage().migrate().await.expect("a third migration does nothing");
    assert!(is_there(&*bench, message).await, "a migration that had nothing to do lost data");
}

pub(super) async fn thousand(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let all = (1..=1000).fold(batch(), |all, version| all.event("user-kim", version));
    let ids: Vec<_> = all.events.iter().map(|it| it.id).collect();
    let last = commit(storage, all).await;
    let log = draft::log(storage).await;
    assert_eq!(log.iter().map(|it| it.id).collect::<Vec<_>>(), ids, "events stand in the log in the batch's order");
    assert_eq!(log.last().map(|it| it.position), Some(last), "a commit's position is that of its last event");
    let gap = (1001..2000).chain([2001]).fold(batch(), |all, version| all.event("user-kim", version));
    assert!(matches!(draft::refused(storage, gap).await, Rejected::Conflict { .. }));
    assert_eq!(draft::log(storage).await.len(), 1000, "999 events before the refused one stayed");
}

pub(super) async fn transaction(bench: Box<dyn Bench>) {
    let message = Machine.id();
    let tx = bench.storage().begin().await.expect("a transaction begins");
    let position = tx.commit(full(message)).await.expect("and takes a batch");
    assert_eq!(draft::log(&*bench.storage()).await[0].position, position);
    assert!(is_there(&*bench, message).await);
}

pub(super) async fn dropped(bench: Box<dyn Bench>) {
    let message = Machine.id();
    let mut tx = bench.storage().begin().await.expect("a transaction begins");
    tx.driver();
    drop(tx);
    assert!(!is_there(&*bench, message).await);
    commit(&*bench.storage(), full(message)).await;
    assert!(is_there(&*bench, message).await, "commits work after a transaction that was dropped");
}

pub(super) async fn refused(bench: Box<dyn Bench>) {
    let (storage, message) = (bench.storage(), Machine.id());
    commit(&*storage, batch().take("Lee", "user-lee")).await;
    let tx = storage.begin().await.expect("a transaction begins");
    let rejected = tx.commit(full(message).take("Lee", "user-kim")).await.expect_err("Lee is taken");
    assert!(matches!(rejected, Rejected::Taken { .. }), "{rejected:?}");
    assert!(!is_there(&*bench, message).await);
    commit(&*storage, full(message)).await;
    assert!(is_there(&*bench, message).await, "commits work after a transaction that was refused");
}

pub(super) async fn wakes(bench: Box<dyn Bench>) {
    let storage = bench.storage();
    let first = commit(&*storage, batch().event("user-kim", 1)).await;
    let soon = |after| {
        let storage = bench.storage();
        async move { within(&Machine, Duration::from_secs(10), storage.committed(after)).await }
    };
    assert!(soon(Position(first.0 - 1)).await.is_some(), "what is committed already is not waited for");
    assert!(
        within(&Machine, Duration::from_millis(50), storage.committed(first)).await.is_none(),
        "woken although nothing was committed"
    );
    let writer = bench.storage();
    let later = Box::pin(async move {
        sleep(50).await;
        commit(&*writer, batch().event("user-kim", 2)).await;
    });
    let _task = Machine.spawn(later);
    assert!(soon(first).await.is_some(), "a commit woke nobody");
}
