//! The databases of both sides of a row in this process: on a PostgreSQL server, or SQLite files in a folder.
use super::Backend;
use crate::{subject::Counters, system::Server};
use anyhow::Result;
use cqrs_core::{
    App, AppBuilder,
    storage::{Postgres, Sqlite},
};
use tempfile::TempDir;

/// A place for databases.
pub(crate) enum Place {
    Postgres(Server),
    /// Files with the default settings, as in the embedded form.
    Sqlite(TempDir),
}
impl Place {
    pub(crate) async fn start(backend: Backend) -> Result<Place> {
        match backend {
            Backend::Postgres => Ok(Place::Postgres(Server::start().await?)),
            Backend::Sqlite => Ok(Place::Sqlite(tempfile::tempdir()?)),
        }
    }
    /// Returns a builder of an app on a database of its own.
    pub(super) async fn builder(&self, service: &'static str) -> Result<AppBuilder> {
        let builder = App::builder(service);
        match self {
            Place::Postgres(server) => {
                let database = server.database(service)?;
                Ok(builder.storage(Postgres::connect(database.url()).await?))
            }
            Place::Sqlite(folder) => {
                Ok(builder.storage(Sqlite::open(folder.path().join(format!("{service}.db"))).await?))
            }
        }
    }
    /// Reads the counters of the PostgreSQL server, if it is one.
    pub(super) async fn counters(&self) -> Result<Counters> {
        match self {
            Place::Postgres(server) => server.counters().await,
            Place::Sqlite(_) => Ok(Counters::default()),
        }
    }
    /// Returns the header's line about the database.
    pub(crate) async fn describe(&self) -> Result<Option<String>> {
        match self {
            Place::Postgres(server) => Ok(Some(server.describe().await?)),
            Place::Sqlite(_) => Ok(Some("SQLite in this process, journal_mode=wal, synchronous=full".to_owned())),
        }
    }
}
