//! The storage suite on PostgreSQL, in both modes of the high-water mark.
use super::{Postgres, Server, Storage, Trials, fresh};
use async_trait::async_trait;
use cqrs_core::{
    storage::postgres::{HighWaterMarkMode, Options},
    storage::{KeyStore, ViewStore},
    testing::conformance::key_store,
    testing::conformance::storage::{Harness, cases},
    testing::conformance::view_store,
};
use std::sync::Arc;
use test_support::PgBouncer;

/// The same cases through a pooler that lends a session for one transaction.
pub(crate) fn trials_through_pooler() -> Trials {
    cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |server: Server, pooler: PgBouncer| async move {
            let database = server.create_database("suite")?;
            let url = format!("{}?pooling=transaction", pooler.url(&database));
            case.run(Box::new(OnServer::through(url).await?)).await;
            drop(pooler);
            anyhow::Ok(())
        })
    })
}

pub(crate) fn trials(high_water_mark: HighWaterMarkMode) -> Trials {
    cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |server: Server| async move {
            case.run(Box::new(OnServer::open(server, high_water_mark).await?)).await;
            anyhow::Ok(())
        })
    })
}

/// The suite for the stores of query sides.
pub(crate) fn trials_of_view_store() -> Trials {
    view_store::cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |server: Server| async move {
            case.run(Box::new(OnServer::open(server, HighWaterMarkMode::WaitOut).await?)).await;
            anyhow::Ok(())
        })
    })
}

/// The suite for the stores of subjects' keys.
pub(crate) fn trials_of_key_store() -> Trials {
    key_store::cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |server: Server| async move {
            case.run(Box::new(OnServer::open(server, HighWaterMarkMode::WaitOut).await?)).await;
            anyhow::Ok(())
        })
    })
}

struct OnServer {
    url: String,
    high_water_mark: HighWaterMarkMode,
    storage: Postgres,
}
impl OnServer {
    async fn open(server: Server, high_water_mark: HighWaterMarkMode) -> anyhow::Result<Self> {
        let fresh = fresh(server, "suite").await?;
        let url = fresh.database.url().to_owned();
        let mut harness = OnServer { url, high_water_mark, storage: fresh.storage };
        Harness::reopen(&mut harness).await;
        Ok(harness)
    }
    async fn through(url: String) -> anyhow::Result<Self> {
        let storage = Postgres::connect(&url).await?;
        storage.migrate().await?;
        Ok(OnServer { url, high_water_mark: HighWaterMarkMode::default(), storage })
    }
}
#[async_trait]
impl Harness for OnServer {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        self.storage.close().await;
        let mut options = Options::default();
        options.high_water_mark = self.high_water_mark;
        self.storage = Postgres::connect_with(&self.url, options).await.expect("the database can be opened");
        self.storage()
    }
}
#[async_trait]
impl view_store::Harness for OnServer {
    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(self.storage.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn ViewStore> {
        Harness::reopen(self).await;
        view_store::Harness::store(self)
    }
}
#[async_trait]
impl key_store::Harness for OnServer {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.storage.clone())
    }
    fn storage(&self) -> Option<Arc<dyn Storage>> {
        Some(Harness::storage(self))
    }
    async fn reopen(&mut self) -> Arc<dyn KeyStore> {
        Harness::reopen(self).await;
        key_store::Harness::store(self)
    }
}
