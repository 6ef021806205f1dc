//! Harnesses for the storage suite: a new storage for each case.
use async_trait::async_trait;
#[cfg(feature = "sqlite")]
use cqrs_core::storage::sqlite::Sqlite;
use cqrs_core::{
    storage::{Memory, Storage},
    testing::conformance::storage::Harness,
};
use std::sync::Arc;

pub(crate) struct InMemory(Memory);
impl InMemory {
    pub(crate) async fn open() -> Self {
        InMemory(Memory::new())
    }
}
#[async_trait]
impl Harness for InMemory {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.0.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        self.storage()
    }
}

/// SQLite in a temporary directory that is removed with the harness.
#[cfg(feature = "sqlite")]
pub(crate) struct InFile {
    storage: Sqlite,
    directory: tempfile::TempDir,
}
#[cfg(feature = "sqlite")]
impl InFile {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory for the database");
        let storage = Sqlite::open(directory.path().join("service.db")).await.expect("a new database opens");
        storage.migrate().await.expect("the schema can be created");
        InFile { storage, directory }
    }
}
#[cfg(feature = "sqlite")]
#[async_trait]
impl Harness for InFile {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        self.storage.close().await;
        self.storage = Sqlite::open(self.directory.path().join("service.db")).await.expect("the database opens again");
        self.storage()
    }
}
