//! Tables of other software on PostgreSQL, where it works concurrently.
use super::{Server, Trials, Tried, fresh};
use crate::mapped::{SCHEMA, Sql, on};
use async_trait::async_trait;
use cqrs_core::{
    BoxError, RowLock,
    storage::{Tx, postgres::transaction},
};
use sqlx::{AssertSqlSafe, PgPool};
use std::sync::Arc;

pub(crate) fn trials() -> Trials {
    Trials::new().test("a table of other software is used beside it", beside)
}

struct OnPostgres(PgPool);
#[async_trait]
impl Sql for OnPostgres {
    async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.0).await.expect("the shop's SQL runs");
    }
    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.0).await.expect("the shop's SQL runs")
    }
    async fn row(&self, tx: &mut dyn Tx, sql: String) -> Result<Option<(String, i64, i64, i64)>, BoxError> {
        let sql = sql.replace("then 1 else 0 end, 0, 0", "then 1::bigint else 0 end, 0::bigint, 0::bigint");
        Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(&mut **transaction(tx)).await?)
    }
    async fn execute(&self, tx: &mut dyn Tx, sql: String) -> Result<(), BoxError> {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut **transaction(tx)).await?;
        Ok(())
    }
    fn lock(&self, lock: RowLock) -> &'static str {
        lock.for_postgres()
    }
}

async fn beside(server: Server) -> Tried {
    let fresh = fresh(server, "mapped").await?;
    sqlx::raw_sql(SCHEMA).execute(&fresh.plain).await?;
    on(fresh.storage.clone(), Arc::new(OnPostgres(fresh.plain.clone()))).await;
    Ok(())
}
