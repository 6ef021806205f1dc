//! The suite for key stores on memory and SQLite, and the bugs that it finds: each seeded bug must fail one named case.
use crate::trials::{runtime, trial};
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    storage::{KeyStore, Memory, StoredKey, Tx, WrappedKey},
    testing::conformance::key_store::{Harness, cases},
};
use futures_util::{FutureExt, future::BoxFuture};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = suite("memory", || async { Box::new(InMemory(Memory::new())) as Box<dyn Harness> }.boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(suite("sqlite", || async { Box::new(in_file::InFile::open().await) as Box<dyn Harness> }.boxed()));
    trials.push(trial("key store: the wrapper of seeded bugs breaks nothing", || async {
        for case in cases() {
            case.run(Box::new(Seeded::new(Bug::None))).await;
        }
    }));
    trials.extend(
        BUGS.into_iter()
            .map(|(bug, name)| Trial::test(format!("key store: the suite finds {bug:?}"), move || found(bug, name))),
    );
    trials
}
/// Lists the suite for one store; `open` creates a new one for each case.
fn suite(backend: &str, open: fn() -> BoxFuture<'static, Box<dyn Harness>>) -> Vec<Trial> {
    let one = |case: cqrs_core::testing::conformance::key_store::Case| {
        trial(format!("key store: {backend}: {}", case.name), move || async move { case.run(open().await).await })
    };
    cases().into_iter().map(one).collect()
}

struct InMemory(Memory);
#[async_trait]
impl Harness for InMemory {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.0.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn KeyStore> {
        self.store()
    }
}

#[cfg(feature = "sqlite")]
mod in_file {
    use super::{Arc, Harness, KeyStore, async_trait};
    use cqrs_core::storage::{Storage, sqlite::Sqlite};

    /// SQLite in a temporary directory that is removed with the harness.
    pub(super) struct InFile {
        store: Sqlite,
        directory: tempfile::TempDir,
    }
    impl InFile {
        pub(super) async fn open() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let store = Sqlite::open(directory.path().join("keys.db")).await.expect("a new database opens");
            store.prepare().await.expect("the schema can be created");
            InFile { store, directory }
        }
    }
    #[async_trait]
    impl Harness for InFile {
        fn store(&self) -> Arc<dyn KeyStore> {
            Arc::new(self.store.clone())
        }
        fn storage(&self) -> Option<Arc<dyn Storage>> {
            Some(Arc::new(self.store.clone()))
        }
        async fn reopen(&mut self) -> Arc<dyn KeyStore> {
            self.store.close().await;
            self.store = Sqlite::open(self.directory.path().join("keys.db")).await.expect("the database opens again");
            self.store()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// No bug, to show that the wrapper itself breaks nothing.
    None,
    /// The bytes of a forgotten key stay.
    KeyKept,
    /// Only the newest key of a subject is forgotten.
    OnlyTheNewest,
    /// A forgotten subject leaves no entry.
    NoEntry,
    /// A later key of one generation replaces the first.
    LastStays,
    /// The oldest key counts as the newest.
    OldestFirst,
    /// A key is wrapped again whatever its bytes are.
    AnyRewrap,
    /// Keys of other master keys are not listed.
    NoneOtherwise,
}
/// The bugs, each with the beginning of the name of the case that has to find it.
const BUGS: [(Bug, &str); 7] = [
    (Bug::KeyKept, "a forgotten subject has no bytes"),
    (Bug::OnlyTheNewest, "a forgotten subject has no bytes"),
    (Bug::NoEntry, "a subject without a key is known to be forgotten"),
    (Bug::LastStays, "of two keys of one generation the first stays"),
    (Bug::OldestFirst, "a subject that comes back has a new key"),
    (Bug::AnyRewrap, "keys that another master key wraps are listed, and replaced once"),
    (Bug::NoneOtherwise, "keys that another master key wraps are listed, and replaced once"),
];

/// Runs the case that has to find the bug, and fails if it does not.
fn found(bug: Bug, name: &str) -> Result<(), Failed> {
    let case = cases().into_iter().find(|case| case.name.starts_with(name)).ok_or("there is no such case")?;
    let run = std::panic::AssertUnwindSafe(async { case.run(Box::new(Seeded::new(bug))).await });
    match runtime("seeded").block_on(run.catch_unwind()) {
        Ok(()) => Err(format!("{bug:?} is not found by \"{}\"", case.name).into()),
        Err(_) => Ok(()),
    }
}

/// A store in memory with one bug.
#[derive(Clone)]
struct Seeded {
    memory: Memory,
    bug: Bug,
}
impl Seeded {
    fn new(bug: Bug) -> Self {
        Seeded { memory: Memory::new(), bug }
    }
}
#[async_trait]
impl Harness for Seeded {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn KeyStore> {
        self.store()
    }
}
#[async_trait]
impl KeyStore for Seeded {
    async fn prepare(&self) -> Result<(), Fault> {
        self.memory.prepare().await
    }
    async fn newest_keys(&self, subjects: &[String]) -> Result<Vec<StoredKey>, Fault> {
        let mut newest = self.memory.newest_keys(subjects).await?;
        if self.bug == Bug::OldestFirst {
            for key in &mut newest {
                let oldest = self.memory.keys_of(&key.subject).await?.into_iter().next();
                oldest.into_iter().for_each(|oldest| *key = oldest);
            }
        }
        Ok(newest)
    }
    async fn keys(&self, ids: &[Uuid]) -> Result<Vec<StoredKey>, Fault> {
        self.memory.keys(ids).await
    }
    async fn keys_of(&self, subject: &str) -> Result<Vec<StoredKey>, Fault> {
        let mut keys = self.memory.keys_of(subject).await?;
        match self.bug {
            Bug::NoEntry => keys.retain(|key| key.wrapped.is_some()),
            Bug::OnlyTheNewest => {
                let before = WrappedKey { master: "a".into(), bytes: vec![1, 0, 255] };
                let is_gone = keys.len() > 1 && keys.iter().all(|key| key.wrapped.is_none());
                keys.first_mut().filter(|_| is_gone).into_iter().for_each(|key| key.wrapped = Some(before.clone()));
            }
            _ => (),
        }
        Ok(keys)
    }
    async fn add_key(&self, key: &StoredKey) -> Result<StoredKey, Fault> {
        let stored = self.memory.add_key(key).await?;
        Ok(if self.bug == Bug::LastStays { key.clone() } else { stored })
    }
    async fn forget_keys(&self, subject: &str, id: Uuid, tx: Option<&mut dyn Tx>) -> Result<u64, Fault> {
        if self.bug == Bug::KeyKept {
            return Ok(self.memory.keys_of(subject).await?.len() as u64);
        }
        self.memory.forget_keys(subject, id, tx).await
    }
    async fn masters(&self) -> Result<Vec<String>, Fault> {
        self.memory.masters().await
    }
    async fn wrapped_otherwise(&self, master: &str, limit: usize) -> Result<Vec<StoredKey>, Fault> {
        match self.bug {
            Bug::NoneOtherwise => Ok(Vec::new()),
            _ => self.memory.wrapped_otherwise(master, limit).await,
        }
    }
    async fn rewrap(&self, key: &StoredKey, wrapped: &WrappedKey) -> Result<bool, Fault> {
        let rewrapped = self.memory.rewrap(key, wrapped).await?;
        Ok(rewrapped || self.bug == Bug::AnyRewrap)
    }
}
