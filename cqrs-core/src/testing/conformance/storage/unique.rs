//! Cases for unique values of aggregates that were stored before their field was unique.
use super::draft::{Draft, INDEX, KIND, batch, commit, event};
use super::{Harness, concurrently};
use crate::storage::{
    Batch, CommitError, ReadLimit, Row, Storage, StoredRow, StoredValues, ValueOwner, ValueReservation,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Aggregates at a version, each with its value.
fn values(is_state_stored: bool, owners: &[(&str, u64, Option<&str>)]) -> StoredValues {
    let owner = |(id, version, value): &(&str, u64, Option<&str>)| ValueOwner {
        id: (*id).to_owned(),
        version: *version,
        values: value.map(|value| vec![value.to_owned()]),
    };
    let owners = owners.iter().map(owner).collect();
    StoredValues { index: INDEX.into(), kind: KIND.into(), is_state_stored, owners }
}
async fn reserve(storage: &dyn Storage, values: StoredValues) -> Vec<ValueReservation> {
    storage.reserve_stored(&values).await.expect("values can be reserved")
}
fn shared(holder: &str) -> ValueReservation {
    ValueReservation::Shared { holders: vec![holder.to_owned()] }
}
async fn unreserved(storage: &dyn Storage) -> Vec<String> {
    storage.unreserved(INDEX, None, 9).await.expect("the unreserved can be read")
}
/// Returns whether the aggregate holds the value.
async fn holds(storage: &dyn Storage, stream: &str, value: &str) -> bool {
    match storage.commit(batch().take(value, "user/probe")).await {
        Ok(_) => {
            commit(storage, batch().give(value, "user/probe")).await;
            false
        }
        Err(CommitError::Taken { .. }) => storage.commit(batch().take(value, stream)).await.is_ok(),
        Err(other) => panic!("a reservation was refused with {other:?}"),
    }
}
use ValueReservation::{Changed, NotReservable, Reserved};

pub(super) async fn reserved(harness: Box<dyn Harness>) {
    let mut harness = harness;
    let storage = harness.storage();
    for id in ["ann", "kim", "lee", "max"] {
        commit(&*storage, batch().row(id, 0, Some(b"{}"))).await;
    }
    // Values that no stored aggregate has any more, of this index and of another.
    let mut before = batch().take("old", "user/kim").take("kept", "user/kim");
    before.reservations[1].index = "user.email".into();
    commit(&*storage, before).await;
    let all = values(true, &[("kim", 1, Some("k")), ("lee", 1, Some("l")), ("ann", 1, None), ("max", 1, Some("k"))]);
    let results = reserve(&*storage, all.clone()).await;
    assert_eq!(results, [Reserved, Reserved, NotReservable, shared("user/kim")]);
    assert_eq!(reserve(&*storage, all).await, results, "the same again");
    let storage = harness.reopen().await;
    assert_eq!(unreserved(&*storage).await, ["user/ann", "user/max"]);
    let after = storage.unreserved(INDEX, Some("user/ann"), 9).await.expect("the unreserved can be read");
    assert_eq!(after, ["user/max"]);
    assert_eq!(storage.unreserved(INDEX, None, 1).await.expect("the unreserved can be read"), ["user/ann"]);
    assert_eq!(storage.unreserved("user.email", None, 9).await.expect("the unreserved can be read"), [""; 0]);
    assert!(holds(&*storage, "user/kim", "k").await && holds(&*storage, "user/lee", "l").await);
    assert!(!holds(&*storage, "user/kim", "old").await, "the aggregate does not have the value any more");
    let mut kept = batch().take("kept", "user/lee");
    kept.reservations[0].index = "user.email".into();
    assert!(storage.commit(kept).await.is_err(), "the value of another index was released");
    // Two exchange their values in one call, and one of them passes to a third aggregate.
    let exchanged = [("kim", 1, Some("l")), ("lee", 1, Some("m")), ("max", 1, Some("k")), ("ann", 1, Some("a"))];
    assert_eq!(reserve(&*storage, values(true, &exchanged)).await, [Reserved, Reserved, Reserved, Reserved]);
    assert_eq!(unreserved(&*storage).await, [""; 0]);
    assert!(holds(&*storage, "user/kim", "l").await && holds(&*storage, "user/lee", "m").await);
    assert!(holds(&*storage, "user/max", "k").await);
    // A deleted aggregate has no values.
    let mut gone = values(true, &[("kim", 1, Some("l"))]);
    gone.owners[0].values = Some(Vec::new());
    assert_eq!(reserve(&*storage, gone).await, [Reserved]);
    assert!(!holds(&*storage, "user/kim", "l").await);
}

pub(super) async fn shared_until_free(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).event("user/lee", 1).take("k", "user/kim")).await;
    let lee = || values(false, &[("lee", 1, Some("k"))]);
    assert_eq!(reserve(storage, lee()).await, [shared("user/kim")]);
    assert_eq!(unreserved(storage).await, ["user/lee"]);
    commit(storage, batch().give("k", "user/kim")).await;
    assert_eq!(reserve(storage, lee()).await, [Reserved]);
    assert_eq!(unreserved(storage).await, [""; 0]);
    assert!(holds(storage, "user/lee", "k").await);
    // Later in the same call, the holder before keeps it.
    let both = values(false, &[("kim", 1, Some("k")), ("lee", 1, Some("k"))]);
    assert_eq!(reserve(storage, both).await, [shared("user/lee"), Reserved]);
    assert_eq!(unreserved(storage).await, ["user/kim"]);
}

pub(super) async fn changed(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().row("kim", 0, Some(b"{}")).event("user/lee", 1)).await;
    commit(storage, batch().row("kim", 1, Some(b"{}")).take("new", "user/kim")).await;
    commit(storage, batch().event("user/lee", 2).take("newer", "user/lee")).await;
    // Both were read before their last change.
    assert_eq!(reserve(storage, values(true, &[("kim", 1, Some("old"))])).await, [Changed]);
    assert_eq!(reserve(storage, values(false, &[("lee", 1, Some("older"))])).await, [Changed]);
    assert_eq!(reserve(storage, values(true, &[("kim", 1, None)])).await, [Changed]);
    assert_eq!(unreserved(storage).await, [""; 0]);
    assert!(holds(storage, "user/kim", "new").await && holds(storage, "user/lee", "newer").await);
    assert!(!holds(storage, "user/kim", "old").await && !holds(storage, "user/lee", "older").await);
    assert_eq!(reserve(storage, values(true, &[("kim", 2, Some("new"))])).await, [Reserved]);
    assert_eq!(reserve(storage, values(false, &[("lee", 2, Some("newer"))])).await, [Reserved]);
}

pub(super) async fn pages(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for id in ["b", "a", "김", "a-b", "c"] {
        commit(storage, batch().row(id, 0, Some(id.as_bytes()))).await;
    }
    commit(storage, batch().row("c", 1, None)).await;
    let other = Row { kind: "userx", id: "a".into(), expected: 0, version: 1, state: Some(b"x".to_vec()) };
    commit(storage, Batch { rows: vec![other], ..batch() }).await;
    let rows = async |after, limit| storage.rows_after(KIND, after, limit).await.expect("rows can be read");
    let ids = |rows: &[(String, StoredRow)]| rows.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let all = rows(None, 9).await;
    assert_eq!(ids(&all), ["a", "a-b", "b", "c", "김"]);
    assert_eq!(all[0].1, StoredRow { version: 1, state: Some(b"a".to_vec()) });
    assert_eq!(all[3].1, StoredRow { version: 2, state: None });
    assert_eq!(ids(&rows(None, 2).await), ["a", "a-b"]);
    assert_eq!(ids(&rows(Some("a-b"), 2).await), ["b", "c"]);
    assert_eq!(rows(Some("김"), 2).await, []);

    for (stream, version) in
        [("user/b", 1), ("user/a", 1), ("userx/a", 1), ("user/a", 2), ("user/a-b", 1), ("user/b", 2)]
    {
        commit(storage, Batch { events: vec![event(stream, version)], ..batch() }).await;
    }
    let streams = async |after, limit| {
        let found = storage.streams_after(KIND, after, limit).await.expect("streams can be read");
        found.into_iter().map(|entry| (entry.stream, entry.version)).collect::<Vec<_>>()
    };
    let expected = [("user/a", 1), ("user/a", 2), ("user/a-b", 1), ("user/b", 1), ("user/b", 2)];
    let expected = expected.map(|(stream, version)| (stream.to_owned(), version));
    assert_eq!(streams(None, ReadLimit::entries(9)).await, expected);
    assert_eq!(streams(None, ReadLimit::entries(2)).await, expected[..2]);
    assert_eq!(streams(Some(("user/a", 1)), ReadLimit::entries(2)).await, expected[1..3]);
    assert_eq!(streams(Some(("user/a", u64::MAX)), ReadLimit::entries(9)).await, expected[2..]);
    // Each payload has ten bytes or more.
    assert_eq!(streams(None, ReadLimit { entries: 9, bytes: 1 }).await, expected[..1]);
    assert_eq!(streams(Some(("user/b", 2)), ReadLimit::entries(9)).await, []);
}

/// Commands change values, while two fills reserve them. The value of a command is never released by a fill.
pub(super) async fn raced(harness: Box<dyn Harness>) {
    const CHANGES: u64 = 25;
    for is_state_stored in [true, false] {
        let storage = harness.storage();
        let ids: Vec<_> = (0..3).map(|number| format!("{is_state_stored}{number}")).collect();
        for id in &ids {
            commit(&*storage, change(is_state_stored, id, 1)).await;
        }
        let fill = |storage: Arc<dyn Storage>, ids: Vec<String>| async move {
            for _ in 0..CHANGES {
                let mut owners = Vec::new();
                for id in &ids {
                    let version = match is_state_stored {
                        true => storage.row(KIND, id, None).await.expect("the row can be read").found.version,
                        false => {
                            let stream = storage.stream(&format!("{KIND}/{id}"), 0, None).await;
                            stream.expect("the stream can be read").found.len() as u64
                        }
                    };
                    owners.push(ValueOwner { id: id.clone(), version, values: Some(vec![format!("{id} {version}")]) });
                }
                reserve(&*storage, StoredValues { owners, ..values(is_state_stored, &[]) }).await;
            }
        };
        let command = |storage: Arc<dyn Storage>, id: String| async move {
            for version in 2..CHANGES {
                commit(&*storage, change(is_state_stored, &id, version)).await;
                let robbed = batch().take(&format!("{id} {version}"), "user/thief");
                assert!(storage.commit(robbed).await.is_err(), "version {version}: the value was released");
            }
        };
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        for id in &ids {
            tasks.push(Box::pin(command(storage.clone(), id.clone())));
        }
        for _ in 0..2 {
            tasks.push(Box::pin(fill(storage.clone(), ids.clone())));
        }
        concurrently(tasks).await;
        fill(storage.clone(), ids.clone()).await;
        for id in &ids {
            let (stream, last) = (format!("{KIND}/{id}"), CHANGES - 1);
            assert!(holds(&*storage, &stream, &format!("{id} {last}")).await);
            let former = (1..last).fold(batch(), |all, version| all.take(&format!("{id} {version}"), "user/probe"));
            commit(&*storage, former).await;
        }
        assert_eq!(unreserved(&*storage).await, [""; 0]);
    }
}
/// A command that gives an aggregate the value of its version.
fn change(is_state_stored: bool, id: &str, version: u64) -> Batch {
    let stream = format!("{KIND}/{id}");
    let batch = batch().take(&format!("{id} {version}"), &stream).give(&format!("{id} {}", version - 1), &stream);
    match is_state_stored {
        true => batch.row(id, version - 1, Some(b"{}")),
        false => batch.event(&stream, version),
    }
}
