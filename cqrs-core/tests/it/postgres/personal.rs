//! No personal value is readable in any table of PostgreSQL, before and after its subject is forgotten.
use super::{Server, Trials, Tried, fresh};
use crate::personal::{CANARIES, canary, two_processes};
use cqrs_core::storage::postgres::Postgres;
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("no value is readable in any table", in_no_table)
        .within(Duration::from_secs(120))
        .test("another process reads a forgotten value for a few seconds at most", two)
        .test("seeded: a value that is stored readable is found", is_found)
}

async fn in_no_table(server: Server) -> Tried {
    let fresh = fresh(server, "personal").await?;
    canary(fresh.storage.clone(), async |_| readable(&fresh.plain).await.expect("the tables can be read")).await;
    let tables = tables(&fresh.plain).await?;
    for table in
        ["log", "state", "snapshot", "view", "stored_response", "parked", "subject_key", "reservation", "timer"]
    {
        anyhow::ensure!(tables.iter().any(|known| known == table), "no table {table} in {tables:?}");
    }
    Ok(())
}

async fn two(server: Server) -> Tried {
    let fresh = fresh(server, "personal_two").await?;
    let second = Postgres::connect(fresh.database.url()).await?;
    two_processes(fresh.storage.clone(), second).await;
    Ok(())
}

/// The search finds a value as text and as bytes.
async fn is_found(server: Server) -> Tried {
    let fresh = fresh(server, "personal_seeded").await?;
    sqlx::query("insert into cqrs.note values ('x', $1)").bind(CANARIES[0]).execute(&fresh.plain).await?;
    let response = sqlx::query("insert into cqrs.stored_response (key, fingerprint, body, pos) values ('k', 1, $1, 1)");
    response.bind(CANARIES[1].as_bytes()).execute(&fresh.plain).await?;
    let found = readable(&fresh.plain).await?;
    anyhow::ensure!(found.len() == 2, "{found:?}");
    Ok(())
}

async fn tables(plain: &PgPool) -> anyhow::Result<Vec<String>> {
    let tables = "select table_name::text from information_schema.tables where table_schema = 'cqrs' \
        and table_type = 'BASE TABLE' order by 1";
    Ok(sqlx::query_scalar(tables).fetch_all(plain).await?)
}

/// Returns the canaries in the rows of all tables, each as text or as the hexadecimal digits of its bytes.
async fn readable(plain: &PgPool) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for table in tables(plain).await? {
        let rows = format!("select coalesce(string_agg(t::text, chr(10)), '') from cqrs.{table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(plain).await?;
        for canary in CANARIES {
            let digits: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
            if rows.contains(canary) || rows.contains(&digits) {
                found.push(format!("{canary} in {table}"));
            }
        }
    }
    Ok(found)
}
