//! A rebuild keeps the values that it has written, and does not read them again.
use crate::{
    rebuild_ahead::{ACCOUNTS, rebuilds},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    storage::{Batch, CommitError, Memory, Storage, StoredView, ViewWrite},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// The copy that a rebuild fills.
const COPY: &str = "card~1";
/// The write of the copy before which another writer changes a value.
const RACED: u64 = 3;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("rebuild values: a value that the rebuild has written is not read again", read_once),
        trial("rebuild values: a value that another writer has changed is read again", changed_meanwhile),
    ]
}

/// A storage that counts the keys that are read of the copy. Another writer may change one value in the middle.
#[derive(Clone, Default)]
struct Counting {
    memory: Memory,
    has_another_writer: bool,
    keys_read: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}
impl Counting {
    async fn write_beside(&self) {
        let key = "3".to_owned();
        let stored = self.memory.views(COPY, std::slice::from_ref(&key)).await.expect("the storage responds").pop();
        let StoredView { version: expected, value, .. } = stored.expect("the copy has a value");
        let write = ViewWrite { view: COPY, key, expected, value, entries: Vec::new(), index_set: 0 };
        self.memory.commit(Batch { views: vec![write], ..Batch::default() }).await.expect("the value is written");
    }
}
#[async_trait]
impl StorageLayer for Counting {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        if view == COPY {
            self.keys_read.fetch_add(keys.len() as u64, SeqCst);
        }
        self.memory.views(view, keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let is_of_copy = batch.views.iter().any(|write| write.view == COPY);
        if is_of_copy && self.writes.fetch_add(1, SeqCst) + 1 == RACED && self.has_another_writer {
            self.write_beside().await;
        }
        let done = self.memory.commit(batch).await;
        if is_of_copy && matches!(done, Err(CommitError::Conflict { .. })) {
            self.refused.fetch_add(1, SeqCst);
        }
        done
    }
}

async fn read_once() {
    let storage = Counting::default();
    rebuilds(storage.clone()).await;
    assert!(storage.writes.load(SeqCst) > 3, "the copy is filled in several batches");
    assert_eq!(storage.keys_read.load(SeqCst), ACCOUNTS);
}

async fn changed_meanwhile() {
    let storage = Counting { has_another_writer: true, ..Counting::default() };
    rebuilds(storage.clone()).await;
    assert_eq!(storage.refused.load(SeqCst), 1, "the value was written from one that is not the newest");
}
