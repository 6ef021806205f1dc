//! Cases for whole batches: all of a batch is committed durably, or nothing.
use super::draft::{self, Draft, GROUP, batch, commit};
use super::{Harness, sleep};
use crate::{
    environment::{Environment, SystemEnvironment, within},
    position::Position,
    storage::{Batch, CommitError},
};
use std::time::Duration;
use uuid::Uuid;

/// Returns a batch with one change of each kind.
fn full(message: Uuid) -> Batch {
    batch()
        .row("kim", 0, Some(b"kim"))
        .outgoing("user/kim", 1, 3)
        .take("Kim", "user/kim")
        .view("kim", 0, Some(b"card"), &[b"kim"])
        .step("cards", 0, 9, None)
        .inbox_record(message)
        .response("key")
}

/// Returns true if the batch is stored. Panics if only a part of it is.
async fn is_there(harness: &dyn Harness, message: Uuid) -> bool {
    let storage = &*harness.storage();
    // A reservation cannot be read, so another owner tries to take it.
    let taken = match storage.commit(batch().take("Kim", "user/probe")).await {
        Ok(_) => commit(storage, batch().give("Kim", "user/probe")).await.0 > 0,
        Err(rejected) => matches!(rejected, CommitError::Taken { .. }),
    };
    let found = [
        draft::row(storage, "kim").await.version == 1,
        draft::stream(storage, "user/kim").await.len() == 1,
        draft::log(storage).await.len() == 1,
        taken,
        draft::view(storage, "kim").await.is_some_and(|view| view.version == 1),
        draft::scan(storage, b"", None, 9).await == [(b"kim".to_vec(), "kim".to_owned())],
        draft::position(storage, "cards").await == 9,
        storage.lookup_inbox(GROUP, &[message], &[]).await.expect("the inbox can be read").handled == [message],
        storage.response("key").await.expect("a response can be read").is_some(),
    ];
    assert!(found.iter().all(|stored| *stored == found[0]), "only a part of the batch is stored: {found:?}");
    found[0]
}

pub(super) async fn empty(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    assert_eq!(commit(storage, batch()).await, Position(0));
    assert_eq!(draft::log(storage).await, []);
    assert_eq!(
        commit(storage, batch().row("kim", 0, Some(b""))).await,
        Position(0),
        "a batch without events has no position"
    );
}

pub(super) async fn restart(mut harness: Box<dyn Harness>) {
    let message = SystemEnvironment.id();
    commit(&*harness.storage(), full(message)).await;
    let before = draft::log(&*harness.storage()).await;
    let storage = harness.reopen().await;
    assert!(is_there(&*harness, message).await, "a committed batch was lost in a restart");
    assert_eq!(draft::log(&*storage).await, before);
    let next = commit(&*storage, batch().event("user/kim", 2)).await;
    assert!(next > before[0].position, "positions did not continue after a restart");
}

pub(super) async fn migrate(harness: Box<dyn Harness>) {
    let message = SystemEnvironment.id();
    commit(&*harness.storage(), full(message)).await;
    harness.storage().migrate().await.expect("a second migration does nothing");
    harness.storage().migrate().await.expect("a third migration does nothing");
    assert!(is_there(&*harness, message).await, "a migration without changes lost data");
}

pub(super) async fn thousand(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let all = (1..=1000).fold(batch(), |all, version| all.event("user/kim", version));
    let ids: Vec<_> = all.events.iter().map(|event| event.id).collect();
    let last = commit(storage, all).await;
    let log = draft::log(storage).await;
    assert_eq!(
        log.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        ids,
        "the log does not have the order of the batch"
    );
    assert_eq!(log.last().map(|entry| entry.position), Some(last), "a commit returns the position of its last event");
    let gap = (1001..2000).chain([2001]).fold(batch(), |all, version| all.event("user/kim", version));
    assert!(matches!(draft::refused(storage, gap).await, CommitError::Conflict { .. }));
    assert_eq!(draft::log(storage).await.len(), 1000, "events before the refused one were stored");
}

pub(super) async fn transaction(harness: Box<dyn Harness>) {
    let message = SystemEnvironment.id();
    let tx = harness.storage().begin().await.expect("a transaction begins");
    let position = tx.commit(full(message)).await.expect("the transaction commits a batch");
    assert_eq!(draft::log(&*harness.storage()).await[0].position, position);
    assert!(is_there(&*harness, message).await);
}

pub(super) async fn dropped(harness: Box<dyn Harness>) {
    let message = SystemEnvironment.id();
    let mut tx = harness.storage().begin().await.expect("a transaction begins");
    tx.driver();
    drop(tx);
    assert!(!is_there(&*harness, message).await);
    commit(&*harness.storage(), full(message)).await;
    assert!(is_there(&*harness, message).await, "commits work after a dropped transaction");
}

pub(super) async fn refused(harness: Box<dyn Harness>) {
    let (storage, message) = (harness.storage(), SystemEnvironment.id());
    commit(&*storage, batch().take("Lee", "user/lee")).await;
    let tx = storage.begin().await.expect("a transaction begins");
    let rejected = tx.commit(full(message).take("Lee", "user/kim")).await.expect_err("Lee is taken");
    assert!(matches!(rejected, CommitError::Taken { .. }), "{rejected:?}");
    assert!(!is_there(&*harness, message).await);
    commit(&*storage, full(message)).await;
    assert!(is_there(&*harness, message).await, "commits work after a refused transaction");
}

pub(super) async fn wakes(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    let first = commit(&*storage, batch().event("user/kim", 1)).await;
    let soon = |after| {
        let storage = harness.storage();
        async move { within(&SystemEnvironment, Duration::from_secs(10), storage.wait_for_commit(after)).await }
    };
    assert!(soon(Position(first.0 - 1)).await.is_some(), "the wait for an earlier commit did not return");
    assert!(
        within(&SystemEnvironment, Duration::from_millis(50), storage.wait_for_commit(first)).await.is_none(),
        "the wait returned without a commit"
    );
    let writer = harness.storage();
    let later = Box::pin(async move {
        sleep(50).await;
        commit(&*writer, batch().event("user/kim", 2)).await;
    });
    let _task = SystemEnvironment.spawn(later);
    assert!(soon(first).await.is_some(), "a commit did not end the wait");
}
