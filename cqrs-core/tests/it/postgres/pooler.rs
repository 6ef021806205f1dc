//! Through PgBouncer in transaction mode: the start without the setting, settings of a transaction, and projectors.
use super::{Batch, Server, Storage, Trials, Tried, events, fresh, row};
use cqrs_core::{
    ErrorKind,
    storage::postgres::{Postgres, SETTINGS, transaction},
};
use std::error::Error;
use test_support::PgBouncer;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a start through a pooler without the setting says what to set", start_refused)
        .test("a pooler that drops the settings of a connection is noticed", settings_dropped)
        .test("seeded: statements outside a transaction fail through a pooler", outside)
        .test("transactions have every setting, and sessions keep none", settings)
        .test("statements of several clients with one name do not collide", names)
        .test("a transaction that was dropped changes nothing and lends its session again", dropped)
}

async fn start_refused(server: Server, pooler: PgBouncer) -> Tried {
    let database = server.create_database("refused")?;
    let refused = Postgres::connect(&pooler.url(&database)).await.expect_err("PgBouncer refuses `options`");
    anyhow::ensure!(refused.kind() == ErrorKind::Internal, "{refused}");
    anyhow::ensure!(refused.to_string().contains("pooling=transaction"), "{refused}");
    anyhow::ensure!(refused.source().is_some(), "the cause is missing");
    Ok(())
}

async fn settings_dropped(server: Server) -> Tried {
    let pooler = PgBouncer::start(server, &["ignore_startup_parameters = extra_float_digits,options"])?;
    let database = server.create_database("dropped")?;
    let storage = Postgres::connect(&pooler.url(&database)).await?;
    let refused = storage.migrate().await.expect_err("the settings are missing");
    anyhow::ensure!(refused.to_string().contains("pooling=transaction"), "{refused}");
    Ok(())
}

/// The storage as if there were no pooler: a statement is prepared in one session and executed in another.
async fn outside(server: Server) -> Tried {
    let fresh = fresh(server, "outside").await?;
    let pooler = PgBouncer::start(server, &["ignore_startup_parameters = extra_float_digits,options"])?;
    let storage = Postgres::connect(&pooler.url(&fresh.database)).await?;
    let mut failed = 0;
    // Commits at the same time need several sessions. One after the other they may all get the same one.
    for round in 0..10 {
        let streams: Vec<_> = (0..20).map(|number| format!("stream-{round}-{number}")).collect();
        let commits = streams.iter().map(|stream| storage.commit(events(stream, 1..=1)));
        failed += futures_util::future::join_all(commits).await.iter().filter(|done| done.is_err()).count();
        if failed > 0 {
            break;
        }
    }
    anyhow::ensure!(failed > 0, "every statement succeeded, so this pooler does not show what the setting is for");
    Ok(())
}

async fn pooled(pooler: &PgBouncer, database: &test_support::Database) -> anyhow::Result<Postgres> {
    let storage = Postgres::connect(&format!("{}?pooling=transaction", pooler.url(database))).await?;
    storage.migrate().await?;
    Ok(storage)
}

async fn settings(server: Server, pooler: PgBouncer) -> Tried {
    let fresh = fresh(server, "settings").await?;
    let storage = pooled(&pooler, &fresh.database).await?;
    // A trigger sees the settings of the transaction that commits a batch.
    for statement in [
        "create table public.seen (name text primary key, value text)",
        "create function public.see() returns trigger language plpgsql as $$ begin \
         insert into public.seen select name, current_setting(name) from pg_settings on conflict (name) do \
         update set value = excluded.value; return null; end $$",
        "create trigger see after insert on cqrs.log execute function public.see()",
    ] {
        sqlx::raw_sql(statement).execute(&fresh.plain).await?;
    }
    storage.commit(events("one", 1..=1)).await?;
    let seen: Vec<(String, String)> =
        sqlx::query_as("select name, value from public.seen").fetch_all(&fresh.plain).await?;
    let value = |name: &str| seen.iter().find(|(seen, _)| seen == name).map(|(_, value)| value.as_str());
    for (name, wanted) in SETTINGS.iter().filter(|(name, _)| !name.starts_with("tcp_")) {
        let found = value(name).unwrap_or_default();
        anyhow::ensure!(found == *wanted || (found, *wanted) == ("1min", "60s"), "{name} is {found}, not {wanted}");
    }
    anyhow::ensure!(value("statement_timeout") == Some("30s"), "{:?}", value("statement_timeout"));
    let through = sqlx::PgPool::connect_with(
        pooler.url(&fresh.database).parse::<sqlx::postgres::PgConnectOptions>()?.extra_float_digits(None),
    )
    .await?;
    for _ in 0..30 {
        let kept = sqlx::raw_sql("select current_setting('enable_seqscan')").fetch_one(&through).await?;
        anyhow::ensure!(sqlx::Row::try_get::<String, _>(&kept, 0)? == "on", "a session has kept a setting");
    }
    through.close().await;
    Ok(())
}

async fn names(server: Server, pooler: PgBouncer) -> Tried {
    let fresh = fresh(server, "names").await?;
    sqlx::raw_sql("create table public.mine (id bigint primary key)").execute(&fresh.plain).await?;
    let mut clients = Vec::new();
    for number in 0..4_i64 {
        let storage = pooled(&pooler, &fresh.database).await?;
        clients.push(tokio::spawn(async move {
            for step in 0..25 {
                let mut tx = storage.begin().await?;
                // The driver gives this statement a name, and each client counts from one.
                let insert = sqlx::query("insert into public.mine (id) values ($1)").bind(number * 100 + step);
                insert.execute(&mut **transaction(&mut *tx)).await?;
                tx.commit(events(&format!("stream-{number}-{step}"), 1..=1)).await?;
                storage.row("user", "kim", None).await?;
            }
            anyhow::Ok(())
        }));
    }
    for client in clients {
        client.await??;
    }
    let count: i64 = sqlx::query_scalar("select count(*) from public.mine").fetch_one(&fresh.plain).await?;
    anyhow::ensure!(count == 100, "{count} rows");
    Ok(())
}

async fn dropped(server: Server, pooler: PgBouncer) -> Tried {
    let fresh = fresh(server, "dropped").await?;
    let storage = pooled(&pooler, &fresh.database).await?;
    sqlx::raw_sql("create table public.mine (id bigint primary key)").execute(&fresh.plain).await?;
    for number in 0..40_i64 {
        let mut tx = storage.begin().await?;
        let insert = sqlx::query("insert into public.mine (id) values ($1)").bind(number);
        insert.execute(&mut **transaction(&mut *tx)).await?;
        drop(tx);
    }
    storage.commit(Batch { rows: vec![row("kim", 0)], ..events("user/kim", 1..=1) }).await?;
    let refused = storage.commit(Batch { rows: vec![row("kim", 0)], ..Batch::default() }).await;
    anyhow::ensure!(refused.is_err(), "an old version was written");
    let count: i64 = sqlx::query_scalar("select count(*) from public.mine").fetch_one(&fresh.plain).await?;
    anyhow::ensure!(count == 0, "{count} rows of dropped transactions");
    Ok(())
}
