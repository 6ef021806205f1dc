//! The conformance suite for the stores of query sides. [`cases`] lists the tests; a store conforms if all of them end without a
//! panic.
use crate::{
    environment::{Environment, SystemEnvironment, Task},
    storage::{CheckpointMove, CommitError, Scan, StoredView, ViewBatch, ViewChange, ViewStore},
};
use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const VIEW: &str = "shop/card@1";
const BY: &str = "by_name";
const READER: &str = "shop/projection/card@1";

/// A store under test. Each case needs a new harness, with a store that is empty and prepared.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Returns the store under test.
    fn store(&self) -> Arc<dyn ViewStore>;
    /// Returns the store with the same data, as another process opens it. Handles from before may be closed.
    async fn reopen(&mut self) -> Arc<dyn ViewStore>;
}

/// One test of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// The tested guarantee, as a sentence.
    pub name: &'static str,
    run: fn(Box<dyn Harness>) -> BoxFuture<'static, ()>,
}
impl Case {
    /// Runs the test on a new store.
    ///
    /// # Panics
    /// Panics if the store does not give the guarantee.
    pub async fn run(&self, harness: Box<dyn Harness>) {
        (self.run)(harness).await;
    }
}
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns the tests of all guarantees that a view store gives.
///
/// ```
/// use cqrs_core::{storage::{Memory, ViewStore}, testing::conformance::view_store::{Harness, cases}};
/// use std::sync::Arc;
///
/// struct Mine(Memory);
/// #[async_trait::async_trait]
/// impl Harness for Mine {
///     fn store(&self) -> Arc<dyn ViewStore> {
///         Arc::new(self.0.clone())
///     }
///     async fn reopen(&mut self) -> Arc<dyn ViewStore> {
///         self.store()
///     }
/// }
///
/// # tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(async {
/// for case in cases() {
///     case.run(Box::new(Mine(Memory::new()))).await;
/// }
/// # });
/// ```
pub fn cases() -> Vec<Case> {
    macro_rules! cases {
        ($($name:literal, $run:path;)*) => { vec![$(Case { name: $name, run: |harness| Box::pin($run(harness)) }),*] };
    }
    cases![
        "a value is replaced only at its version", versioned;
        "a removed value keeps its version and leaves its index", removed;
        "the entries of a value are replaced with it", replaced;
        "ranges and counts are those of a sorted set in both directions", ranges;
        "an unexpected checkpoint refuses the whole batch", moved;
        "an unexpected version refuses the whole batch", conflict;
        "of batches that move one checkpoint at the same time one is applied", race;
        "values include every batch up to the checkpoints of the read", included;
        "a cleared view has no values, no entries and no checkpoints", cleared;
        "views, indexes and readers with similar names are apart", apart;
        "values, keys and entries are any bytes", any_bytes;
        "a text that cannot be stored is refused", refused_text;
        "another process finds everything", reopened;
    ]
}

/// Adds one change to a batch per method.
trait Draft: Sized {
    fn value(self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self;
    fn step(self, from: u64, to: u64) -> Self;
}
impl Draft for ViewBatch {
    fn value(mut self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self {
        let entries = entries.iter().map(|entry| (BY, entry.to_vec())).collect();
        self.writes.push(ViewChange { key: key.to_owned(), expected, value: value.map(<[u8]>::to_vec), entries });
        self
    }
    fn step(mut self, from: u64, to: u64) -> Self {
        self.moves.push(CheckpointMove { reader: READER.to_owned(), from, to, epoch: None });
        self
    }
}
fn batch() -> ViewBatch {
    ViewBatch { view: VIEW.to_owned(), ..ViewBatch::default() }
}
async fn apply(store: &dyn ViewStore, batch: ViewBatch) {
    store.apply(batch).await.expect("the batch is applied");
}
async fn refused(store: &dyn ViewStore, batch: ViewBatch) -> CommitError {
    store.apply(batch).await.expect_err("the batch is refused")
}
async fn value(store: &dyn ViewStore, key: &str) -> Option<StoredView> {
    let mut found = store.find(VIEW, &[key.to_owned()], &[]).await.expect("a value can be read").found;
    assert!(found.len() < 2, "one key has several values");
    found.pop()
}
async fn position(store: &dyn ViewStore) -> u64 {
    store.positions(&[READER.to_owned()]).await.expect("a checkpoint can be read")[0]
}
const ALL: Scan<'_> = Scan { view: VIEW, index: BY, from: (b"", ""), until: None, reversed: false, limit: usize::MAX };
async fn pairs(store: &dyn ViewStore, scan: &Scan<'_>) -> Vec<(Vec<u8>, String)> {
    let found = store.range(scan, &[]).await.expect("an index can be read").found;
    found.into_iter().map(|scanned| (scanned.entry, scanned.key)).collect()
}
fn pair(entry: &[u8], key: &str) -> (Vec<u8>, String) {
    (entry.to_vec(), key.to_owned())
}

async fn versioned(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    assert_eq!(value(store, "kim").await, None);
    apply(store, batch().value("kim", 0, Some(b"one"), &[])).await;
    apply(store, batch().value("kim", 1, Some(b"two"), &[])).await;
    for stale in [0, 1, 3] {
        let rejected = refused(store, batch().value("kim", stale, Some(b"lost"), &[])).await;
        assert!(matches!(rejected, CommitError::Conflict { exists: false, .. }), "{rejected:?} for version {stale}");
    }
    let expected = StoredView { key: "kim".into(), version: 2, value: Some(b"two".to_vec()) };
    assert_eq!(value(store, "kim").await, Some(expected.clone()));
    let keys = ["unknown", "kim"].map(str::to_owned);
    let found = store.find(VIEW, &keys, &[]).await.expect("values can be read");
    assert_eq!((found.found, found.checkpoints), (vec![expected], vec![]), "absent keys are left out");
    assert_eq!(store.find(VIEW, &[], &[]).await.expect("nothing can be read").found, []);
}

async fn removed(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    apply(store, batch().value("kim", 0, Some(b"one"), &[b"kim"])).await;
    apply(store, batch().value("kim", 1, None, &[])).await;
    assert_eq!(value(store, "kim").await, Some(StoredView { key: "kim".into(), version: 2, value: None }));
    assert_eq!(pairs(store, &ALL).await, [], "a removed value is still in the index");
    let rejected = refused(store, batch().value("kim", 0, Some(b"lost"), &[])).await;
    assert!(matches!(rejected, CommitError::Conflict { .. }), "{rejected:?}");
    apply(store, batch().value("kim", 2, Some(b"three"), &[b"kim"])).await;
    assert_eq!(pairs(store, &ALL).await, [pair(b"kim", "kim")]);
    apply(store, batch().value("lee", 0, None, &[b"lee"])).await;
    assert_eq!(value(store, "lee").await.map(|stored| (stored.version, stored.value)), Some((1, None)));
    assert_eq!(pairs(store, &ALL).await.len(), 1, "a removed value has index entries");
}

async fn replaced(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    apply(store, batch().value("kim", 0, Some(b"k"), &[b"a", b"b"]).value("lee", 0, Some(b"l"), &[b"a"])).await;
    assert_eq!(pairs(store, &ALL).await, [pair(b"a", "kim"), pair(b"a", "lee"), pair(b"b", "kim")]);
    apply(store, batch().value("kim", 1, Some(b"k"), &[b"b", b"c", b"c"])).await;
    assert_eq!(pairs(store, &ALL).await, [pair(b"a", "lee"), pair(b"b", "kim"), pair(b"c", "kim")]);
    let found = store.range(&ALL, &[]).await.expect("an index can be read").found;
    assert_eq!(found.into_iter().map(|scanned| scanned.value).collect::<Vec<_>>(), [b"l", b"k", b"k"]);
    apply(store, batch().value("kim", 2, Some(b"k"), &[])).await;
    assert_eq!(pairs(store, &ALL).await, [pair(b"a", "lee")]);
}

async fn ranges(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let mut dice = super::storage::Dice(11);
    let mut place = |most: u64| -> (Vec<u8>, String) {
        let length = dice.below(most + 1);
        let entry = (0..length).map(|_| [0x00, 0x01, 0x7f, 0xff][dice.below(4) as usize]).collect();
        (entry, format!("key {}", dice.below(20)))
    };
    let (mut model, mut all) = (BTreeSet::new(), batch());
    for n in 0..40 {
        let (key, (entry, _)) = (format!("key {n}"), place(3));
        all = all.value(&key, 0, Some(b"x"), &[&entry]);
        let write = all.writes.last_mut().expect("the value was added");
        write.entries.extend([("0-before", entry.clone()), ("~after", entry.clone())]);
        model.insert((entry, key));
    }
    for other in ["shop/0@1", "shop/~@1"] {
        apply(store, ViewBatch { view: other.to_owned(), ..all.clone() }).await;
    }
    apply(store, all).await;
    for turn in 0..300 {
        let (from, until) = (place(3), (turn % 4 > 0).then(|| place(3)));
        let from_text = if turn % 3 == 0 { "" } else { &*from.1 };
        let in_range = |pair: &&(Vec<u8>, String)| {
            (&*pair.0, &*pair.1) >= (&*from.0, from_text) && until.as_ref().is_none_or(|until| *pair < until)
        };
        let mut expected: Vec<_> = model.iter().filter(in_range).cloned().collect();
        let until = until.as_ref().map(|(entry, key)| (&**entry, &**key));
        let whole = Scan { from: (&from.0, from_text), until, ..ALL };
        let limit = [1, 3, 99][turn % 3];
        for (scan, count) in [(whole, expected.len()), (Scan { limit, ..whole }, expected.len().min(limit))] {
            let counted = store.count(&scan, &[]).await.expect("an index can be counted");
            assert_eq!(counted.found, count as u64, "the count of {scan:?}");
        }
        for reversed in [false, true] {
            let scan = Scan { reversed, limit, ..whole };
            assert_eq!(pairs(store, &scan).await, expected[..expected.len().min(limit)], "{scan:?}");
            expected.reverse();
        }
    }
}

async fn moved(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    apply(store, batch().step(0, 7)).await;
    for wrong in [0, 6, 8] {
        // A batch with both mistakes is reported as moved: its changes belong to other events.
        let late = batch().value("kim", 3, Some(b"k"), &[b"k"]).value("lee", 0, Some(b"l"), &[b"l"]).step(wrong, 9);
        let rejected = refused(store, late).await;
        assert!(matches!(&rejected, CommitError::Moved(reader) if reader == READER), "{rejected:?}");
    }
    assert_eq!(
        (value(store, "kim").await, value(store, "lee").await),
        (None, None),
        "a refused batch was applied in part"
    );
    assert_eq!((pairs(store, &ALL).await, position(store).await), (vec![], 7));
    apply(store, batch().value("kim", 0, Some(b"k"), &[]).step(7, 8)).await;
    assert_eq!(position(store).await, 8);
    apply(store, batch().step(8, 0)).await;
    assert_eq!(position(store).await, 0, "a checkpoint can go back");
}

async fn conflict(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    apply(store, batch().value("kim", 0, Some(b"k"), &[b"k"]).step(0, 1)).await;
    let late = batch().value("han", 0, Some(b"h"), &[b"h"]).value("kim", 0, Some(b"lost"), &[b"lost"]).step(1, 2);
    let rejected = refused(store, late).await;
    assert!(matches!(rejected, CommitError::Conflict { .. }), "{rejected:?}");
    assert_eq!((value(store, "han").await, position(store).await), (None, 1), "a refused batch was applied in part");
    assert_eq!(pairs(store, &ALL).await, [pair(b"k", "kim")]);
}

/// The number of rounds of the cases with several tasks.
const ROUNDS: u64 = 40;

async fn race(harness: Box<dyn Harness>) {
    let store = harness.store();
    for round in 0..ROUNDS {
        let applied = Arc::new(AtomicUsize::new(0));
        let attempt = |n| {
            let (store, applied, key) = (store.clone(), applied.clone(), format!("{round}-{n}"));
            SystemEnvironment.spawn(Box::pin(async move {
                let late = batch().value(&key, 0, Some(b"x"), &[b"x"]).step(round, round + 1);
                match store.apply(late).await {
                    Ok(()) => drop(applied.fetch_add(1, Ordering::SeqCst)),
                    Err(CommitError::Moved(_)) => (),
                    Err(rejected) => panic!("{rejected:?}"),
                }
            }))
        };
        let attempts: Vec<_> = (0..4).map(attempt).collect();
        assert!(join_all(attempts.into_iter().map(Task::ended)).await.into_iter().all(|ended| ended));
        assert_eq!(applied.load(Ordering::SeqCst), 1, "batches that were applied in round {round}");
    }
    assert_eq!(pairs(&*store, &ALL).await.len() as u64, ROUNDS, "the changes of a refused batch were applied");
}

async fn included(harness: Box<dyn Harness>) {
    let store = harness.store();
    let writer = {
        let store = store.clone();
        SystemEnvironment.spawn(Box::pin(async move {
            for n in 0..ROUNDS {
                let bytes = (n + 1).to_be_bytes();
                apply(&*store, batch().value("kim", n, Some(&bytes), &[&bytes]).step(n, n + 1)).await;
                tokio::task::yield_now().await;
            }
        }))
    };
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
    let (keys, readers) = (["kim".to_owned()], [READER.to_owned(), "unknown".to_owned()]);
    loop {
        let ended = writer.is_finished();
        let read = store.find(VIEW, &keys, &readers).await.expect("a value can be read");
        let seen = read.found.first().and_then(|stored| stored.value.as_deref()).map_or(0, number);
        assert!(seen >= read.checkpoints[0], "value {seen} at checkpoint {:?}", read.checkpoints);
        assert_eq!(read.checkpoints[1], 0, "the checkpoint of a reader that never moved");
        let read = store.range(&ALL, &readers).await.expect("an index can be read");
        let seen = read.found.first().map_or(0, |scanned| number(&scanned.value));
        assert!(
            seen >= read.checkpoints[0] && read.found.len() < 2,
            "range {:?} at {:?}",
            read.found,
            read.checkpoints
        );
        let read = store.count(&ALL, &readers).await.expect("an index can be counted");
        assert!(read.found >= read.checkpoints[0].min(1), "count {} at {:?}", read.found, read.checkpoints);
        if ended {
            assert_eq!(read.checkpoints, [ROUNDS, 0]);
            break;
        }
    }
    assert!(writer.ended().await, "the writer panicked");
}

async fn cleared(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    apply(store, batch().value("kim", 0, Some(b"k"), &[b"k"]).value("lee", 0, Some(b"l"), &[b"l"]).step(0, 5)).await;
    let other = ViewBatch { view: "shop/other@1".to_owned(), ..batch().value("kim", 0, Some(b"o"), &[b"o"]) };
    let mut other = ViewBatch { moves: batch().step(0, 3).moves, ..other };
    other.moves[0].reader = "another".to_owned();
    apply(store, other).await;
    store.clear(VIEW, &[READER.to_owned()]).await.expect("a view can be cleared");
    let left =
        [value(store, "kim").await, value(store, "lee").await].map(|stored| stored.and_then(|stored| stored.value));
    assert_eq!((left, pairs(store, &ALL).await, position(store).await), ([None, None], vec![], 0));
    let rejected = refused(store, batch().step(5, 6)).await;
    assert!(matches!(rejected, CommitError::Moved(_)), "a batch from before was applied: {rejected:?}");
    let scan = Scan { view: "shop/other@1", ..ALL };
    assert_eq!(pairs(store, &scan).await, [pair(b"o", "kim")], "another view was cleared");
    assert_eq!(store.positions(&["another".to_owned()]).await.expect("a checkpoint can be read"), [3]);
    let version = value(store, "kim").await.map_or(0, |stored| stored.version);
    apply(store, batch().value("kim", version, Some(b"again"), &[b"k"]).step(0, 1)).await;
    assert_eq!(pairs(store, &ALL).await, [pair(b"k", "kim")]);
    store.clear("shop/unknown@1", &["unknown".to_owned()]).await.expect("a view that is empty can be cleared");
}

async fn apart(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let names = [("a", "b:c"), ("a:b", "c"), ("a:", "b:c"), ("1:a", "b"), ("a:1", ":b")];
    for (view, index) in names {
        let mut all = ViewBatch { view: view.to_owned(), ..batch().value("kim", 0, Some(view.as_bytes()), &[]) };
        all.writes[0].entries.push((index, b"x".to_vec()));
        all.moves.push(CheckpointMove {
            reader: format!("{view}/{index}"),
            from: 0,
            to: view.len() as u64,
            epoch: None,
        });
        apply(store, all).await;
    }
    for (view, index) in names {
        let readers = [format!("{view}/{index}")];
        let read = store.range(&Scan { view, index, ..ALL }, &readers).await.expect("an index can be read");
        let values: Vec<_> = read.found.iter().map(|scanned| &*scanned.value).collect();
        assert_eq!((values, read.checkpoints), (vec![view.as_bytes()], vec![view.len() as u64]), "{view} {index}");
    }
}

async fn any_bytes(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let keys = ["", " ", ":", "1:1:", "가나다", "\u{1}", "\u{10ffff}", "key\nwith lines", "%s\\"];
    for key in keys {
        apply(store, batch().value(key, 0, Some(&bytes), &[&bytes])).await;
        let expected = StoredView { key: key.to_owned(), version: 1, value: Some(bytes.clone()) };
        assert_eq!(value(store, key).await, Some(expected));
    }
    apply(store, batch().value("empty", 0, Some(b""), &[])).await;
    assert_eq!(value(store, "empty").await.and_then(|stored| stored.value), Some(Vec::new()), "an empty value");
    let mut sorted: Vec<_> = keys.iter().map(|key| pair(&bytes, key)).collect();
    sorted.sort();
    assert_eq!(pairs(store, &ALL).await, sorted);
    let large = vec![7; 1 << 20];
    let many = (0..500).fold(batch(), |batch, n| batch.value(&format!("many {n}"), 0, Some(b"x"), &[b"m"]));
    apply(store, many.value("large", 0, Some(&large), &[])).await;
    assert_eq!(value(store, "large").await.and_then(|stored| stored.value).map(|value| value.len()), Some(large.len()));
}

async fn refused_text(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let rejected = refused(store, batch().value("a\0b", 0, Some(b"x"), &[])).await;
    assert!(matches!(&rejected, CommitError::Fault(fault) if !fault.is_transient()), "{rejected:?}");
    let entry = vec![b'x'; 3_000];
    let rejected = refused(store, batch().value("kim", 0, Some(b"x"), &[&entry])).await;
    assert!(matches!(&rejected, CommitError::Fault(fault) if !fault.is_transient()), "{rejected:?}");
    assert!(store.find(VIEW, &["a\0b".to_owned()], &[]).await.is_err(), "a key that cannot be stored is looked for");
    let scan = Scan { from: (b"", "a\0b"), ..ALL };
    assert!(store.range(&scan, &[]).await.is_err() && store.count(&scan, &[]).await.is_err());
}

async fn reopened(mut harness: Box<dyn Harness>) {
    apply(&*harness.store(), batch().value("kim", 0, Some(b"k"), &[b"k"]).step(0, 4)).await;
    let store = &*harness.reopen().await;
    store.prepare().await.expect("a store with data can be prepared");
    store.respond().await.expect("the store responds");
    assert_eq!(value(store, "kim").await.and_then(|stored| stored.value), Some(b"k".to_vec()));
    assert_eq!((pairs(store, &ALL).await, position(store).await), (vec![pair(b"k", "kim")], 4));
}
