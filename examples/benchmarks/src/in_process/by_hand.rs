//! The same command with sqlx. One transaction reads the row, writes it if its version has not changed, and logs it.
use super::DEPOSIT;
use crate::{
    subject::{Caller, Counters, Subject},
    system::Server,
};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// The same number of connections as the framework's storage has by default.
const CONNECTIONS: u32 = 10;
const TABLES: &str = "
    create table accounts (id text primary key, version bigint not null, state bytea not null);
    create table log (
      position bigint generated always as identity primary key,
      stream text not null,
      version bigint not null,
      id uuid not null,
      name text not null,
      payload bytea not null,
      metadata text not null,
      at timestamptz not null,
      unique (stream, version)
    );";

#[derive(Serialize, Deserialize)]
struct Account {
    id: String,
    owner: String,
    balance: u64,
}
#[derive(Serialize)]
struct Deposited {
    amount: u64,
}

/// A pool on a database of its own.
pub(crate) struct ByHand {
    pool: PgPool,
    server: Server,
}
impl ByHand {
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect(server.database("by_hand")?.url()).await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(ByHand { pool, server: server.clone() })
    }
}
#[async_trait]
impl Subject for ByHand {
    fn name(&self) -> &'static str {
        "sqlx"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            let id = Uuid::now_v7().to_string();
            let state = serde_json::to_vec(&Account { id: id.clone(), owner: "Kim".to_owned(), balance: 0 })?;
            let insert = sqlx::query("insert into accounts (id, version, state) values ($1, 1, $2)");
            insert.bind(&id).bind(state).execute(&self.pool).await?;
            callers.push(Box::new(Depositor { pool: self.pool.clone(), account: id }));
        }
        Ok(callers)
    }
    async fn counters(&self) -> Result<Counters> {
        self.server.counters().await
    }
}

struct Depositor {
    pool: PgPool,
    account: String,
}
#[async_trait]
impl Caller for Depositor {
    async fn call(&mut self) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        let select = sqlx::query_as("select version, state from accounts where id = $1");
        let (version, state): (i64, Vec<u8>) = select.bind(&self.account).fetch_one(&mut *tx).await?;
        let mut account: Account = serde_json::from_slice(&state)?;
        account.balance += DEPOSIT;
        let update = sqlx::query("update accounts set version = $3, state = $4 where id = $1 and version = $2");
        let update = update.bind(&self.account).bind(version).bind(version + 1).bind(serde_json::to_vec(&account)?);
        ensure!(update.execute(&mut *tx).await?.rows_affected() == 1, "somebody else has changed this account");
        sqlx::query(
            "insert into log (stream, version, id, name, payload, metadata, at) values ($1, $2, $3, $4, $5, '{}', $6)",
        )
        .bind(format!("account/{}", self.account))
        .bind(version + 1)
        .bind(Uuid::now_v7())
        .bind("account")
        .bind(serde_json::to_vec(&Deposited { amount: DEPOSIT })?)
        .bind(Utc::now())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
