//! The databases on which a service is tested.
use cqrs_core::{
    AppBuilder,
    storage::{Sqlite, postgres},
};
use std::any::Any;
use tempfile::TempDir;
use test_support::{Database, Postgres};

/// An empty database that is removed after the test.
pub enum TestDatabase {
    /// The memory of the process.
    Memory,
    /// A SQLite file.
    Sqlite(Sqlite, TempDir),
    /// A database of a PostgreSQL server.
    Postgres(postgres::Postgres, Database),
}
impl TestDatabase {
    /// Creates a SQLite file.
    ///
    /// # Errors
    /// Fails when the file cannot be created.
    pub async fn sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(TestDatabase::Sqlite(Sqlite::open(folder.path().join("service.db")).await?, folder))
    }
    /// Creates a database on a server.
    ///
    /// # Errors
    /// Fails when the server fails.
    pub async fn postgres(server: &Postgres, name: &str) -> anyhow::Result<Self> {
        let database = server.create_database(name)?;
        Ok(TestDatabase::Postgres(postgres::Postgres::connect(database.url()).await?, database))
    }
    /// Gives the database to an app. The second value removes it when dropped.
    pub(super) fn give(self, app: AppBuilder) -> (AppBuilder, Box<dyn Any + Send + Sync>) {
        match self {
            TestDatabase::Memory => (app, Box::new(())),
            TestDatabase::Sqlite(storage, folder) => (app.storage(storage), Box::new(folder)),
            TestDatabase::Postgres(storage, database) => (app.storage(storage), Box::new(database)),
        }
    }
}
