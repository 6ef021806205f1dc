//! The storage suite on PostgreSQL, under both ways of keeping readers from missing events.
use super::{Postgres, Server, Storage, Trials, fresh};
use async_trait::async_trait;
use cqrs_core::{
    storage::postgres::{Horizon, Options},
    testing::conformance::storage::{Bench, cases},
};
use std::sync::Arc;

pub(crate) fn trials(horizon: Horizon) -> Trials {
    cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |server: Server| async move {
            case.run(Box::new(OnServer::open(server, horizon).await?)).await;
            anyhow::Ok(())
        })
    })
}

struct OnServer {
    url: String,
    horizon: Horizon,
    storage: Postgres,
}
impl OnServer {
    async fn open(server: Server, horizon: Horizon) -> anyhow::Result<Self> {
        let fresh = fresh(server, "suite").await?;
        let url = fresh.database.url().to_owned();
        let mut bench = OnServer { url, horizon, storage: fresh.storage };
        bench.reopen().await;
        Ok(bench)
    }
}
#[async_trait]
impl Bench for OnServer {
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn Storage> {
        self.storage.close().await;
        let options = Options { horizon: self.horizon, ..Options::default() };
        self.storage = Postgres::connect_with(&self.url, options).await.expect("the database is there");
        self.storage()
    }
}
