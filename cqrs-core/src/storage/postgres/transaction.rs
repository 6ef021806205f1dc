//! READ COMMITTED transactions that run the caller's SQL first and then the batch.
use super::{Inner, errors};
use crate::{
    error::Fault,
    position::Position,
    storage::{Batch, CommitError, Tx},
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqlSafeStr, Transaction};
use std::{any::Any, sync::Arc};

const BEGIN: &str = "begin isolation level read committed";
/// Resets the planner settings for the caller's SQL: the settings that suit a batch would make its joins slow.
const FOR_CALLERS: &str = "set local enable_hashjoin = on; \
    set local enable_mergejoin = on; set local enable_seqscan = on; set local plan_cache_mode = auto";
const FOR_THE_BATCH: &str = "set local enable_hashjoin = off; set local enable_mergejoin = off; \
    set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan";

/// Returns the driver's transaction inside a transaction that a PostgreSQL storage began.
///
/// # Panics
/// Panics if another storage began the transaction.
pub fn transaction(tx: &mut dyn Tx) -> &mut Transaction<'static, sqlx::Postgres> {
    tx.driver().downcast_mut().expect("the transaction was begun by a PostgreSQL storage")
}

struct Open {
    transaction: Transaction<'static, sqlx::Postgres>,
    inner: Arc<Inner>,
}

impl Inner {
    pub(super) async fn begin(self: &Arc<Self>) -> Result<Box<dyn Tx>, Fault> {
        let begun = self.begin_once().await;
        // The transaction has done nothing yet, so it can begin again on another connection.
        let begun = match begun {
            Err(error) if errors::is_lost(&error) && !errors::is_timeout(&error) => {
                self.notice(&error);
                self.begin_once().await
            }
            begun => begun,
        };
        Ok(Box::new(Open { transaction: begun.map_err(errors::fault)?, inner: self.clone() }))
    }
    async fn begin_once(&self) -> Result<Transaction<'static, sqlx::Postgres>, sqlx::Error> {
        self.count();
        let begin = self.pooled.as_ref().map_or(BEGIN, |beginning| &beginning.for_callers);
        let connection = self.acquire().await?;
        let begin = AssertSqlSafe(format!("{begin}; {FOR_CALLERS}")).into_sql_str();
        self.limited(self.answered(Transaction::begin(connection, Some(begin)))).await
    }
}

#[async_trait]
impl Tx for Open {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut self.transaction
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, CommitError> {
        let Open { mut transaction, inner } = *self;
        if !batch.is_empty() {
            inner.count();
            let set = inner.limited(sqlx::raw_sql(FOR_THE_BATCH).execute(&mut *transaction)).await;
            set.map_err(|error| inner.fault(error))?;
        }
        let position = match inner.apply(&mut transaction, batch).await {
            Ok(position) => position,
            Err(refused @ CommitError::Conflict { versions: Some(_), .. }) => {
                drop(transaction);
                let mut connection = inner.connection().await.map_err(|error| inner.fault(error))?;
                return Err(inner.with_winner(&mut connection, refused).await);
            }
            Err(refused) => return Err(refused),
        };
        inner.count();
        inner.limited(transaction.commit()).await.map_err(|error| {
            inner.notice(&error);
            errors::commit_fault(error)
        })?;
        inner.announce(position);
        Ok(position)
    }
}
