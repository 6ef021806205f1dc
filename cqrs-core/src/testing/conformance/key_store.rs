//! The conformance suite for the stores of subjects' keys. [`cases`] lists the tests; a store conforms if all of them
//! end without a panic.
use crate::storage::{Batch, KeyStore, Storage, StoredKey, WrappedKey};
use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use std::{collections::BTreeSet, fmt, sync::Arc};
use uuid::Uuid;

/// A store under test. Each case needs a new harness, with a store that is empty and prepared.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Returns the store under test.
    fn store(&self) -> Arc<dyn KeyStore>;
    /// Returns the storage in the same database, if it has one with transactions that can be undone.
    fn storage(&self) -> Option<Arc<dyn Storage>> {
        None
    }
    /// Returns the store with the same data, as another process opens it. Handles from before may be closed.
    async fn reopen(&mut self) -> Arc<dyn KeyStore>;
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

/// Returns the tests of all guarantees that a key store gives.
///
/// ```
/// use cqrs_core::{storage::{KeyStore, Memory}, testing::conformance::key_store::{Harness, cases}};
/// use std::sync::Arc;
///
/// struct Mine(Memory);
/// #[async_trait::async_trait]
/// impl Harness for Mine {
///     fn store(&self) -> Arc<dyn KeyStore> {
///         Arc::new(self.0.clone())
///     }
///     async fn reopen(&mut self) -> Arc<dyn KeyStore> {
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
        "keys are found by subject and by id, and unknown ones are left out", found;
        "of two keys of one generation the first stays", first_stays;
        "of keys that are added at the same time one is stored", race;
        "a forgotten subject has no bytes in any generation, and its ids are known", forgotten;
        "a subject without a key is known to be forgotten", forgotten_unknown;
        "a subject that comes back has a new key, and its former ones stay forgotten", admitted;
        "a key that is forgotten in a transaction stays if the transaction is dropped", in_transaction;
        "keys that another master key wraps are listed, and replaced once", rotated;
        "a key that was forgotten is not wrapped again", forgotten_and_rotated;
        "another process finds everything", reopened;
    ]
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}
fn wrapped(master: &str, byte: u8) -> WrappedKey {
    WrappedKey { master: master.to_owned(), bytes: vec![byte, 0, 255] }
}
fn key(number: u128, subject: &str, generation: u64) -> StoredKey {
    StoredKey { id: id(number), subject: subject.to_owned(), generation, wrapped: Some(wrapped("a", number as u8)) }
}
async fn add(store: &dyn KeyStore, key: &StoredKey) -> StoredKey {
    store.add_key(key).await.expect("a key can be added")
}
async fn newest(store: &dyn KeyStore, subjects: &[&str]) -> Vec<StoredKey> {
    let subjects: Vec<_> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
    let mut found = store.newest_keys(&subjects).await.expect("keys can be read");
    found.sort_by_key(|key| key.id);
    found
}
async fn of(store: &dyn KeyStore, subject: &str) -> Vec<StoredKey> {
    store.keys_of(subject).await.expect("keys can be read")
}
async fn forget(store: &dyn KeyStore, subject: &str, number: u128) -> u64 {
    store.forget_keys(subject, id(number), None).await.expect("keys can be forgotten")
}

async fn found(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let (kim, lee) = (key(1, "kim", 1), key(2, "lee'; --", 1));
    assert_eq!((add(store, &kim).await, add(store, &lee).await), (kim.clone(), lee.clone()));
    assert_eq!(newest(store, &["kim", "park", "lee'; --"]).await, [kim.clone(), lee]);
    assert_eq!(newest(store, &[]).await, []);
    let by_id = store.keys(&[id(9), id(1)]).await.expect("keys can be read");
    assert_eq!(by_id, [kim.clone()]);
    assert_eq!((of(store, "kim").await, of(store, "park").await), (vec![kim], vec![]));
    assert_eq!(store.masters().await.expect("they can be read"), ["a"]);
}

async fn first_stays(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let first = add(store, &key(1, "kim", 1)).await;
    assert_eq!(add(store, &key(2, "kim", 1)).await, first);
    assert_eq!(of(store, "kim").await, [first]);
}

async fn race(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let keys: Vec<_> = (1..=8).map(|number| key(number, "kim", 1)).collect();
    let added = join_all(keys.iter().map(|key| add(store, key))).await;
    let ids: BTreeSet<_> = added.iter().map(|key| key.id).collect();
    assert_eq!(ids.len(), 1, "the callers have got several keys");
    assert_eq!(of(store, "kim").await.len(), 1);
}

async fn forgotten(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    add(store, &key(1, "kim", 1)).await;
    add(store, &key(2, "kim", 2)).await;
    let lee = add(store, &key(3, "lee", 1)).await;
    assert_eq!(forget(store, "kim", 9).await, 2);
    assert_eq!(forget(store, "kim", 10).await, 0, "a repetition removes nothing");
    let gone = [1, 2].map(|number| StoredKey { wrapped: None, ..key(number, "kim", number as u64) });
    assert_eq!(of(store, "kim").await, gone);
    assert_eq!(newest(store, &["kim", "lee"]).await, [gone[1].clone(), lee]);
    let by_id = store.keys(&[id(1)]).await.expect("keys can be read");
    assert_eq!(by_id, [gone[0].clone()]);
}

async fn forgotten_unknown(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    assert_eq!(forget(store, "kim", 9).await, 0);
    assert_eq!(forget(store, "kim", 10).await, 0);
    let gone = StoredKey { id: id(9), subject: "kim".into(), generation: 1, wrapped: None };
    assert_eq!(of(store, "kim").await, [gone.clone()]);
    assert_eq!(add(store, &key(1, "kim", 1)).await, gone, "a key came back without a choice");
}

async fn admitted(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    add(store, &key(1, "kim", 1)).await;
    forget(store, "kim", 9).await;
    let second = add(store, &key(2, "kim", 2)).await;
    assert_eq!(newest(store, &["kim"]).await, [second.clone()]);
    assert_eq!(of(store, "kim").await, [StoredKey { wrapped: None, ..key(1, "kim", 1) }, second]);
    assert_eq!(forget(store, "kim", 9).await, 1);
}

async fn in_transaction(harness: Box<dyn Harness>) {
    let Some(storage) = harness.storage() else { return };
    let store = &*harness.store();
    let kim = add(store, &key(1, "kim", 1)).await;
    let mut tx = storage.begin().await.expect("a transaction begins");
    let count = store.forget_keys("kim", id(9), Some(&mut *tx)).await.expect("keys can be forgotten");
    assert_eq!(count, 1);
    drop(tx);
    assert_eq!(of(store, "kim").await, [kim], "a dropped transaction has forgotten a key");
    let mut tx = storage.begin().await.expect("a transaction begins");
    store.forget_keys("kim", id(9), Some(&mut *tx)).await.expect("keys can be forgotten");
    tx.commit(Batch::default()).await.expect("the transaction is committed");
    assert_eq!(of(store, "kim").await, [StoredKey { wrapped: None, ..key(1, "kim", 1) }]);
}

async fn rotated(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let (kim, lee) = (add(store, &key(1, "kim", 1)).await, add(store, &key(2, "lee", 1)).await);
    let others = |limit| store.wrapped_otherwise("b", limit);
    assert_eq!(others(1).await.expect("keys can be read").len(), 1);
    assert_eq!(store.wrapped_otherwise("a", 9).await.expect("keys can be read"), []);
    let again = wrapped("b", 7);
    assert!(store.rewrap(&kim, &again).await.expect("a key can be replaced"));
    assert!(!store.rewrap(&kim, &wrapped("c", 8)).await.expect("a key can be compared"), "it is another one by now");
    assert_eq!(of(store, "kim").await, [StoredKey { wrapped: Some(again), ..kim }]);
    assert_eq!(others(9).await.expect("keys can be read"), [lee]);
    assert_eq!(store.masters().await.expect("they can be read"), ["a", "b"]);
}

async fn forgotten_and_rotated(harness: Box<dyn Harness>) {
    let store = &*harness.store();
    let kim = add(store, &key(1, "kim", 1)).await;
    forget(store, "kim", 9).await;
    assert!(!store.rewrap(&kim, &wrapped("b", 7)).await.expect("a key can be compared"));
    assert_eq!(store.wrapped_otherwise("b", 9).await.expect("keys can be read"), []);
    assert_eq!(store.masters().await.expect("they can be read"), [""; 0]);
    assert_eq!(of(store, "kim").await, [StoredKey { wrapped: None, ..kim }]);
}

async fn reopened(mut harness: Box<dyn Harness>) {
    let kim = add(&*harness.store(), &key(1, "kim", 1)).await;
    add(&*harness.store(), &key(2, "lee", 1)).await;
    forget(&*harness.store(), "lee", 9).await;
    let store = harness.reopen().await;
    assert_eq!(of(&*store, "kim").await, [kim]);
    assert_eq!(of(&*store, "lee").await, [StoredKey { wrapped: None, ..key(2, "lee", 1) }]);
}
