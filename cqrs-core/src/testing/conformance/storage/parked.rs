//! Cases for parked messages: they are returned unchanged, in the order of their key, and each is removed once.
use super::draft::{Draft, GROUP, batch, commit, parked, refused};
use super::{Harness, concurrently};
use crate::storage::{Batch, CommitError, Park, Parked};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn is_same(stored: &Parked, park: &Park) -> bool {
    let same = (stored.message, stored.at, &stored.record, &stored.error, stored.attempts);
    same == (park.message, park.at, &park.record, &park.error, park.attempts)
}

pub(super) async fn order(mut harness: Box<dyn Harness>) {
    let storage = harness.storage();
    let (first, mut own) =
        (batch().park("kim", false).park("lee", false).park("kim", false), batch().park("own", false));
    own.parks[0].record = None;
    let later = batch().park("kim", true);
    let mut tombstone = batch().park("kim", true);
    if let Some(record) = &mut tombstone.parks[0].record {
        (record.key, record.body) = (None, None);
        record.headers.clear();
    }
    for batch in [&first, &own, &later, &tombstone] {
        commit(&*storage, batch.clone()).await;
    }
    let storage = harness.reopen().await;
    let wanted = [&first.parks[0], &first.parks[2], &later.parks[0], &tombstone.parks[0]];
    let found = parked(&*storage, "kim").await;
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(wanted).all(|(found, park)| is_same(found, park)), "{found:?}");
    assert!(found.is_sorted_by(|a, b| a.number < b.number));
    assert!(is_same(&parked(&*storage, "own").await[0], &own.parks[0]));
    let rest = storage.parked(GROUP, "kim", found[1].number, 1).await.expect("parked messages can be read");
    assert_eq!(rest, found[2..3]);
    let keys = storage.parked_keys(&[]).await.expect("parked keys can be read");
    let keys: Vec<_> = keys.into_iter().map(|key| (key.reader, key.key, key.count, key.error, key.since)).collect();
    assert_eq!(keys[0], (GROUP.into(), "kim".into(), 4, "it failed".into(), found[0].since));
    assert_eq!(keys.len(), 3);
    commit(&*storage, batch().unpark(found[0].number).unpark(found[2].number)).await;
    assert_eq!(parked(&*storage, "kim").await, [found[1].clone(), found[3].clone()]);
}

pub(super) async fn by_reader(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().park("kim", false)).await;
    let keys = ["lee", "kim"].map(str::to_owned);
    assert_eq!(storage.lookup_inbox(GROUP, &[], &keys).await.expect("the inbox can be read").parked, ["kim"]);
    assert!(storage.lookup_inbox("another", &[], &keys).await.expect("the inbox can be read").parked.is_empty());
    let of = async |reader: &str| storage.parked_keys(&[reader.to_owned()]).await.expect("parked keys can be read");
    assert_eq!((of(GROUP).await.len(), of("another").await.len()), (1, 0));
    assert!(storage.parked("another", "kim", 0, 9).await.expect("parked messages can be read").is_empty());
}

pub(super) async fn counted(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let counts = async |limit| {
        let mut counts = storage.parked_counts(limit).await.expect("parked messages can be counted");
        counts.sort();
        counts
    };
    assert!(counts(9).await.is_empty());
    for (reader, key) in [(GROUP, "kim"), ("relay/1", "kim"), (GROUP, "lee"), (GROUP, "kim"), ("relay/10", "lee")] {
        let mut parked = batch().park(key, false);
        parked.parks[0].reader = reader.into();
        commit(storage, parked).await;
    }
    let mut wanted = vec![(GROUP.to_owned(), 3), ("relay/1".to_owned(), 1), ("relay/10".to_owned(), 1)];
    wanted.sort();
    assert_eq!(counts(9).await, wanted);
    assert!(counts(2).await.contains(&(GROUP.to_owned(), 2)), "the limit was not kept");
    let of_two = storage.parked_keys(&["relay/10".into(), "none".into(), GROUP.into()]).await;
    let of_two: Vec<_> =
        of_two.expect("parked keys can be read").into_iter().map(|key| (key.reader, key.key)).collect();
    let mut wanted =
        vec![(GROUP.to_owned(), "kim".to_owned()), (GROUP.into(), "lee".into()), ("relay/10".into(), "lee".into())];
    wanted.sort();
    assert_eq!(of_two, wanted);
}

pub(super) async fn alone(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let moved = |rejected| matches!(rejected, CommitError::Moved(_));
    assert!(moved(refused(storage, batch().park("kim", true)).await), "no message is parked for this key");
    assert!(
        moved(refused(storage, batch().park("kim", false).park("kim", true)).await),
        "a message of the same batch does not count"
    );
    commit(storage, batch().park("kim", false)).await;
    assert!(moved(refused(storage, batch().park("lee", true)).await), "a message of another key does not count");
    commit(storage, batch().park("kim", true)).await;
    let numbers = parked(storage, "kim").await.into_iter().map(|parked| parked.number).collect();
    commit(storage, Batch { unparks: numbers, ..batch() }).await;
    assert!(moved(refused(storage, batch().park("kim", true)).await), "the parked messages are gone");
    assert!(parked(storage, "kim").await.is_empty());
}

pub(super) async fn removed_once(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    for round in 0..20 {
        commit(&*storage, batch().park("kim", false)).await;
        let number = parked(&*storage, "kim").await[0].number;
        let took = Arc::new(AtomicU64::new(0));
        concurrently(["a", "b"].map(|taker| {
            let (storage, took) = (storage.clone(), took.clone());
            let batch = batch().unpark(number).step(&format!("{taker}{round}"), 0, 1, None);
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                took.fetch_add(u64::from(storage.commit(batch).await.is_ok()), Ordering::SeqCst);
            });
            task
        }))
        .await;
        assert_eq!(took.load(Ordering::SeqCst), 1, "a parked message was removed twice or not at all");
        let readers = ["a", "b"].map(|taker| format!("{taker}{round}"));
        let at = storage.checkpoints(&readers).await.expect("checkpoints can be read");
        assert_eq!(at[0] + at[1], 1, "a checkpoint of the refused batch was moved");
    }
}

/// One batch removes the last parked message while another parks a message behind it. In either order, no message may
/// wait behind nothing.
pub(super) async fn race(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    for round in 0..20 {
        let key = format!("kim{round}");
        commit(&*storage, batch().park(&key, false)).await;
        let number = parked(&*storage, &key).await[0].number;
        let waits = Arc::new(AtomicU64::new(0));
        let (one, other, waiting) = (storage.clone(), storage.clone(), waits.clone());
        let behind = batch().park(&key, true);
        let tasks: [BoxFuture<'static, ()>; 2] = [
            Box::pin(async move {
                commit(&*one, batch().unpark(number)).await;
            }),
            Box::pin(async move {
                waiting.fetch_add(u64::from(other.commit(behind).await.is_ok()), Ordering::SeqCst);
            }),
        ];
        concurrently(tasks).await;
        let waits = waits.load(Ordering::SeqCst) as usize;
        assert_eq!(parked(&*storage, &key).await.len(), waits, "round {round}");
    }
}
