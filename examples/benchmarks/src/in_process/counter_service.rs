//! A service in this process with counters and a view of them, on PostgreSQL or in an SQLite file, with its background jobs.
use crate::{
    growth::{
        fill,
        model::{self, commands::CreateCounters, counts},
    },
    subject::Counters,
    system::Server,
};
use anyhow::{Result, ensure};
use cqrs_core::{App, app::Background, storage::Sqlite};
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// The database of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Postgres,
    /// A file in this process with the default settings, as in the embedded form.
    Sqlite,
}
impl Backend {
    pub(crate) const ALL: [Backend; 2] = [Backend::Postgres, Backend::Sqlite];
    /// Returns the backend's part of a row's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Postgres => "postgres",
            Backend::Sqlite => "sqlite",
        }
    }
}

/// A running service. Its view counts the events of each counter.
pub(crate) struct CounterService {
    pub(crate) app: App,
    background: Background,
    server: Option<Server>,
    /// Holds the SQLite file.
    _folder: Option<TempDir>,
}
impl CounterService {
    /// The number of events in the log of a service whose view is rebuilt. At the goal of 60,000 events a second a rebuild
    /// takes seven seconds, longer than a run of commands beside it.
    pub(crate) const EVENTS: u64 = 400_000;
    /// The number of events of each counter. They take turns, so each batch of a projection changes many keys.
    const EVENTS_OF_A_KEY: u64 = 10;

    /// Starts a service with this many events of counters in its log, and waits until its view has them.
    pub(crate) async fn start(backend: Backend, events: u64) -> Result<CounterService> {
        let keys = (events / Self::EVENTS_OF_A_KEY).max(1);
        let (builder, server, folder) = match backend {
            Backend::Postgres => {
                let server = Server::start().await?;
                let database = server.database("counters")?;
                (model::builder(database.url()).await?, Some((server, database)), None)
            }
            Backend::Sqlite => {
                let folder = tempfile::tempdir()?;
                let storage = Sqlite::open(folder.path().join("counters.db")).await?;
                (model::builder_on(storage), None, Some(folder))
            }
        };
        let app = builder.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        match &server {
            _ if events == 0 => (),
            Some((_, database)) => fill::counted(database.url(), events, keys).await?,
            None => fill::counted_in_sqlite(&**app.storage(), events, keys).await?,
        }
        let background = app.start().await?;
        model::caught_up(&app, "projection/count").await?;
        if events > 0 {
            let found = app.send(counts::FindCount("0".to_owned())).await?;
            ensure!(found == Some(counts::Count { events: Self::EVENTS_OF_A_KEY }), "a wrong view: {found:?}");
        }
        let server = server.map(|(server, _)| server);
        Ok(CounterService { app, background, server, _folder: folder })
    }
    /// Creates a counter and returns its id. It has one event.
    pub(super) async fn create_counter(&self) -> Result<String> {
        let id = Uuid::now_v7().to_string();
        self.app.send(CreateCounters { ids: vec![id.clone()] }).await?;
        Ok(id)
    }
    /// Reads the counters of the PostgreSQL server, if the service uses one.
    pub(super) async fn counters(&self) -> Result<Counters> {
        match &self.server {
            Some(server) => server.counters().await,
            None => Ok(Counters::default()),
        }
    }
    /// Returns the header's line about the database.
    pub(crate) async fn describe(&self) -> Result<Option<String>> {
        match &self.server {
            Some(server) => Ok(Some(server.describe().await?)),
            None => Ok(Some("SQLite in this process, journal_mode=wal, synchronous=full".to_owned())),
        }
    }
    /// Stops the background jobs.
    pub(crate) async fn stop(self) {
        self.background.stop(Duration::from_secs(5)).await;
    }
}
