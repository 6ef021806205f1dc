//! Cases for parked messages: they are returned unchanged, in the order of their key, and each is removed once.
use super::draft::{Draft, GROUP, batch, commit, parked, refused};
use super::{Harness, concurrently};
use crate::storage::{Batch, CommitError, Park, Parked, ParkedKey, ParkedPage, Storage};
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
    let keys = storage.parked_keys(&ParkedPage::default()).await.expect("parked keys can be read");
    let keys: Vec<_> = keys.into_iter().map(|key| (key.reader, key.key, key.count, key.error, key.since)).collect();
    assert_eq!(keys[0], (GROUP.into(), "kim".into(), 4, "it failed".into(), found[0].since));
    assert_eq!(keys.len(), 3);
    commit(&*storage, batch().unpark(found[0].number).unpark(found[2].number)).await;
    assert_eq!(parked(&*storage, "kim").await, [found[1].clone(), found[3].clone()]);
}

pub(super) async fn by_reader(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().park("kim", false)).await;
    let wanted = ["lee", "kim"].map(str::to_owned);
    assert_eq!(storage.lookup_inbox(GROUP, &[], &wanted).await.expect("the inbox can be read").parked, ["kim"]);
    assert!(storage.lookup_inbox("another", &[], &wanted).await.expect("the inbox can be read").parked.is_empty());
    let of =
        async |reader: &str| keys(storage, ParkedPage { reader: Some(reader), ..ParkedPage::default() }).await.len();
    assert_eq!((of(GROUP).await, of("another").await), (1, 0));
    let first = storage.first_parked("another", &wanted).await.expect("first parked messages can be read");
    assert!(first.is_empty(), "{first:?}");
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
}

async fn keys(storage: &dyn Storage, page: ParkedPage<'_>) -> Vec<ParkedKey> {
    storage.parked_keys(&page).await.expect("parked keys can be read")
}

/// The readers and keys are such that each begins with another one, and one key is empty.
pub(super) async fn pages(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let all = [("a", ""), ("a", "k"), ("a", "k "), ("a", "l"), ("a/1", "k"), ("b", ""), ("b", "k"), ("ä", "k")];
    for _ in 0..3 {
        for (reader, key) in all.iter().rev() {
            let mut parked = batch().park(key, false);
            parked.parks[0].reader = (*reader).to_owned();
            commit(storage, parked).await;
        }
    }
    let expected = |reader: Option<&str>| -> Vec<_> {
        let of_reader = all.into_iter().filter(|(of, _)| reader.is_none_or(|reader| reader == *of));
        of_reader.map(|(reader, key)| (reader.to_owned(), key.to_owned(), 3)).collect()
    };
    for reader in [None, Some("a"), Some("a/1"), Some("b"), Some("ä"), Some("none")] {
        for limit in [1, 2, 3, 8, 9] {
            let (mut found, mut after) = (Vec::new(), None::<(String, String)>);
            loop {
                let cursor = after.as_ref().map(|(reader, key)| (&**reader, &**key));
                let page = keys(storage, ParkedPage { reader, after: cursor, limit, count_up_to: 9 }).await;
                assert!(page.len() <= limit, "the limit was not kept");
                let Some(last) = page.last() else { break };
                after = Some((last.reader.clone(), last.key.clone()));
                found.extend(page.into_iter().map(|key| (key.reader, key.key, key.count)));
                assert!(found.len() <= all.len(), "a page repeats keys: {found:?}");
            }
            assert_eq!(found, expected(reader), "reader {reader:?}, limit {limit}");
        }
    }
    let bounded = keys(storage, ParkedPage { count_up_to: 2, ..ParkedPage::default() }).await;
    assert!(bounded.iter().all(|key| key.count == 2), "messages were counted past the limit: {bounded:?}");
    let outside = ParkedPage { reader: Some("a/1"), after: Some(("b", "")), ..ParkedPage::default() };
    assert!(keys(storage, outside).await.is_empty(), "the cursor is behind the reader");
    let before = ParkedPage { reader: Some("b"), after: Some(("a", "l")), ..ParkedPage::default() };
    assert_eq!(keys(storage, before).await.len(), 2, "the cursor is before the reader");
    assert!(keys(storage, ParkedPage { limit: 0, ..ParkedPage::default() }).await.is_empty());
    let nul = storage.parked_keys(&ParkedPage { after: Some(("a", "k\0")), ..ParkedPage::default() }).await;
    assert!(nul.is_err(), "a cursor with NUL was accepted");
}

pub(super) async fn first(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for (key, error) in [("kim", "first"), ("lee", "alone"), ("kim", "second")] {
        let mut parked = batch().park(key, false);
        parked.parks[0].error = error.to_owned();
        commit(storage, parked).await;
    }
    let first = async |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut found = storage.first_parked(GROUP, &keys).await.expect("first parked messages can be read");
        found.sort();
        found
    };
    let pair = |key: &str, error: &str| (key.to_owned(), error.to_owned());
    assert_eq!(first(&["kim", "none", "lee"]).await, [pair("kim", "first"), pair("lee", "alone")]);
    assert!(first(&[]).await.is_empty());
    let number = parked(storage, "kim").await[0].number;
    commit(storage, batch().unpark(number)).await;
    assert_eq!(first(&["kim"]).await, [pair("kim", "second")]);
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
