//! Cases for snapshots: the newest one of a form that belongs to the stream, and the events after it.
use super::Harness;
use super::draft::{self, Draft, KIND, batch, commit};
use crate::{
    environment::{Environment, SystemEnvironment},
    event::StreamEvent,
    storage::{ReadLimit, SnapshotAndEvents, Storage, StoredSnapshot},
};

const FORM: i64 = -7;

async fn load(storage: &dyn Storage, id: &str, form: i64) -> SnapshotAndEvents {
    storage.snapshot(KIND, id, form, None).await.expect("a snapshot can be read").found
}
fn versions(events: &[StreamEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version).collect()
}
fn snapshot(version: u64, state: &[u8]) -> Option<StoredSnapshot> {
    Some(StoredSnapshot { version, state: Some(state.to_vec()) })
}

pub(super) async fn loaded(harness: Box<dyn Harness>) {
    let mut harness = harness;
    let storage = &*harness.storage();
    let first = batch().event("user/kim", 1).event("user/kim", 2).event("user/lee", 1);
    commit(storage, first.snapshot("kim", 2, FORM, Some(b"two")).response("key")).await;
    commit(storage, batch().event("user/kim", 3).event("user/kim", 4)).await;
    let found = load(storage, "kim", FORM).await;
    assert_eq!((&found.snapshot, versions(&found.events), found.version()), (&snapshot(2, b"two"), vec![3, 4], 4));
    assert_eq!(found.events, draft::stream(storage, "user/kim").await[2..], "the events are those of the stream");
    let beside = storage.snapshot(KIND, "kim", FORM, Some("key")).await.expect("a snapshot can be read");
    assert_eq!(
        (beside.found, beside.response),
        (found, storage.response("key").await.expect("a response can be read"))
    );
    for (id, events) in [("lee", vec![1]), ("unknown", vec![])] {
        let found = storage.snapshot(KIND, id, FORM, Some("key")).await.expect("a snapshot can be read");
        assert_eq!((found.found.snapshot, versions(&found.found.events)), (None, events), "{id} has no snapshot");
        assert!(found.response.is_some(), "the response beside {id}");
    }
    commit(storage, batch().event("user/kim", 5).snapshot("kim", 5, FORM, Some(b"five"))).await;
    let storage = &*harness.reopen().await;
    let newest = load(storage, "kim", FORM).await;
    assert_eq!(
        (newest.snapshot, versions(&newest.events)),
        (snapshot(5, b"five"), vec![]),
        "the newest replaces the former"
    );
}

pub(super) async fn other_form(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).snapshot("kim", 1, FORM, Some(b"one"))).await;
    let other = load(storage, "kim", FORM + 1).await;
    assert_eq!((other.snapshot, versions(&other.events)), (None, vec![1]));
    commit(storage, batch().event("user/kim", 2).snapshot("kim", 2, FORM + 1, Some(b"two"))).await;
    assert_eq!(load(storage, "kim", FORM + 1).await.snapshot, snapshot(2, b"two"));
    assert_eq!(load(storage, "kim", FORM).await.snapshot, None, "an aggregate has one snapshot");
}

/// After a restore of an older log, or in a log that was continued in another way.
pub(super) async fn of_another_log(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut future = batch().event("user/kim", 1).event("user/kim", 2).snapshot("kim", 2, FORM, Some(b"two"));
    future.snapshots[0].version = 9;
    commit(storage, future).await;
    let found = load(storage, "kim", FORM).await;
    assert_eq!((found.snapshot, versions(&found.events)), (None, vec![1, 2]), "a snapshot of the future");
    let mut other = batch().event("user/kim", 3).snapshot("kim", 3, FORM, Some(b"three"));
    other.snapshots[0].event = SystemEnvironment.id();
    commit(storage, other).await;
    let found = load(storage, "kim", FORM).await;
    assert_eq!((found.snapshot, versions(&found.events)), (None, vec![1, 2, 3]), "a snapshot after another event");
    commit(storage, batch().event("user/kim", 4).snapshot("kim", 4, FORM, Some(b"four"))).await;
    assert_eq!(load(storage, "kim", FORM).await.snapshot, snapshot(4, b"four"));
}

pub(super) async fn deleted(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).event("user/kim", 2).snapshot("kim", 2, 0, None)).await;
    let ended = Some(StoredSnapshot { version: 2, state: None });
    for form in [0, FORM] {
        let found = load(storage, "kim", form).await;
        assert_eq!((&found.snapshot, versions(&found.events), found.version()), (&ended, vec![], 2), "form {form}");
    }
}

pub(super) async fn refused(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).snapshot("kim", 1, FORM, Some(b"one"))).await;
    let stale = batch().event("user/kim", 1).snapshot("kim", 1, FORM, Some(b"stale"));
    draft::refused(storage, stale).await;
    assert_eq!(load(storage, "kim", FORM).await.snapshot, snapshot(1, b"one"));
}

pub(super) async fn pages(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, (1..=9).fold(batch().event("user/kima", 1), |all, version| all.event("user/kim", version))).await;
    let page = async |after, limit| {
        let found = storage.stream_page("user/kim", after, limit).await.expect("a page can be read");
        found.iter().map(|entry| entry.version).collect::<Vec<_>>()
    };
    assert_eq!(page(0, ReadLimit::entries(4)).await, [1, 2, 3, 4]);
    assert_eq!(page(4, ReadLimit::entries(99)).await, [5, 6, 7, 8, 9]);
    assert_eq!(page(9, ReadLimit::entries(99)).await, [0; 0]);
    // The payload of each is ten bytes.
    assert_eq!(page(2, ReadLimit { entries: 99, bytes: 11 }).await, [3, 4]);
    assert_eq!(storage.stream_page("user/none", 0, ReadLimit::entries(9)).await.expect("a page can be read"), []);
}
