//! Statements through a pooler that lends a session for the length of a transaction, and without one.
//!
//! Between two transactions a pooler may switch to another session. So settings, prepared statements and session locks
//! do not stay, and the driver's two steps of a statement, prepare and execute, need a transaction around them.
use super::{Inner, config::Config, config::Pooling};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Connection, Either, Executor, PgConnection, SqlStr,
    postgres::{PgArguments, PgRow},
};
use std::fmt::Write;

/// Removes the statements that the driver has left in the lent session. Another client uses the same names for its own.
const FORGET_STATEMENTS: &str = "; do $$ declare statement text; begin \
    for statement in select name from pg_prepared_statements where name like 'sqlx\\_s\\_%' \
    loop execute format('deallocate %I', statement); end loop; end $$";

/// The SQL that begins a transaction behind a pooler, with every setting of a session.
#[derive(Debug)]
pub(super) struct Beginning {
    /// For a statement of the framework, which is prepared without a name.
    pub(super) own: String,
    /// For a transaction in which the driver prepares the caller's statements.
    pub(super) for_callers: String,
}
impl Beginning {
    /// Returns the beginning, or `None` if the connection is a session.
    pub(super) fn of(config: &Config) -> Option<Self> {
        if config.pooling != Pooling::Transaction {
            return None;
        }
        // Keepalives belong to a connection, and the pooler has its own to the server.
        let settings = config.settings().filter(|(name, _)| !name.starts_with("tcp_"));
        let mut own = "begin isolation level read committed".to_owned();
        for (name, value) in settings {
            let _ = write!(own, "; set local {name} = '{value}'");
        }
        let for_callers = format!("{own}{FORGET_STATEMENTS}");
        Some(Beginning { own, for_callers })
    }
}

impl Inner {
    /// Runs a statement within the limit, alone in its transaction. Returns its rows and the number of rows affected.
    pub(super) async fn query(
        &self,
        on: &mut PgConnection,
        sql: SqlStr,
        with: PgArguments,
    ) -> Result<(Vec<PgRow>, u64), sqlx::Error> {
        self.count();
        let Some(beginning) = &self.pooled else { return self.limited(run(on, sql, with, true)).await };
        self.count();
        self.count();
        self.limited(async {
            let mut tx = self.answered(on.begin_with(AssertSqlSafe(beginning.own.clone()))).await?;
            let done = run(&mut tx, sql, with, false).await?;
            tx.commit().await?;
            Ok(done)
        })
        .await
    }
    /// Runs a statement within the limit, inside an open transaction.
    pub(super) async fn query_inside(
        &self,
        transaction: &mut PgConnection,
        sql: SqlStr,
        with: PgArguments,
    ) -> Result<(Vec<PgRow>, u64), sqlx::Error> {
        self.count();
        self.limited(run(transaction, sql, with, self.pooled.is_none())).await
    }
}

async fn run(
    on: &mut PgConnection,
    sql: SqlStr,
    with: PgArguments,
    is_kept: bool,
) -> Result<(Vec<PgRow>, u64), sqlx::Error> {
    let (mut rows, mut affected) = (Vec::new(), 0);
    let mut results = on.fetch_many(sqlx::query_with(sql, with).persistent(is_kept));
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(done) => affected += done.rows_affected(),
            Either::Right(row) => rows.push(row),
        }
    }
    drop(results);
    Ok((rows, affected))
}
