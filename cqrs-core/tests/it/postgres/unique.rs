//! A field that becomes unique while replicas of two programs write its aggregates.
use super::{Server, Trials, Tried};
use crate::{
    bank::until,
    unique::{app, name},
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Position,
    app::DRAIN,
    event::Entry,
    storage::{ReadLimit, Storage, postgres::Postgres},
    testing::StorageLayer,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use test_support::Database;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("values that an old program stores during and after the start are reserved: rows", |server| {
            beside(server, "unique_beside_rows", true)
        })
        .test("values that an old program stores during and after the start are reserved: streams", |server| {
            beside(server, "unique_beside_streams", false)
        })
        .test("seeded: a fill that does not follow the log leaves the value of an old program free", hidden)
        .test("two replicas reserve the values of a field together: rows", |server| {
            together(server, "unique_together_rows", true)
        })
        .test("two replicas reserve the values of a field together: streams", |server| {
            together(server, "unique_together_streams", false)
        })
        .test("a duplicate of an old program is reported, and resolved by a command", duplicate)
}

async fn storage(database: &Database) -> anyhow::Result<Postgres> {
    Ok(Postgres::connect(database.url()).await?)
}
async fn members(old: &App, members: usize) -> Tried {
    old.migrate().await?;
    for number in 0..members {
        name!(old, old, format!("m{number:03}"), format!("n{number:03}"));
    }
    Ok(())
}
async fn unreserved(app: &App) -> Option<String> {
    let health = app.health().await;
    health.components.into_iter().find(|component| component.name == "unique_values").and_then(|found| found.error)
}

async fn beside(server: Server, database: &str, is_row: bool) -> Tried {
    let database = server.create_database(database)?;
    let (old, new) = (app!(old, is_row, storage(&database).await?), app!(new, is_row, storage(&database).await?));
    members(&old, 250).await?;
    let (stop, writing) = (Arc::new(AtomicBool::new(false)), old.clone());
    let stopped = stop.clone();
    let writer = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.load(Ordering::SeqCst) {
            assert!(name!(writing, old, format!("m{:03}", number % 250), format!("w{number}")));
            assert!(name!(writing, old, format!("o{number}"), format!("o{number}")));
            number += 1;
        }
        number
    });
    let running = new.start().await?;
    // It goes on writing after the start.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    let written = writer.await?;
    assert!(written > 0, "the old program has written");
    let plain = sqlx::PgPool::connect_lazy(database.url())?;
    let missing = match is_row {
        true => {
            "select count(*) from cqrs.state s where not exists (select from cqrs.reservation r where r.name = 'member.nickname' \
             and r.owner = 'member/' || s.id and r.value = convert_from(s.value, 'UTF8')::json ->> 'nickname')"
        }
        false => {
            "select count(*) from (select distinct on (stream) stream, payload from cqrs.log order by stream, version desc) s \
             where not exists (select from cqrs.reservation r where r.name = 'member.nickname' and r.owner = s.stream \
             and position('\"' || r.value || '\"' in convert_from(s.payload, 'UTF8')) > 0)"
        }
    };
    let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&plain).await;
    until("every value is reserved", async || count(missing).await.is_ok_and(|missing| missing == 0)).await;
    let members = (250 + written) as i64;
    let reserved = "select count(*) from cqrs.reservation where name = 'member.nickname'";
    assert_eq!(count(reserved).await?, members, "nothing else is reserved");
    assert_eq!(count("select count(*) from cqrs.unreserved").await?, 0);
    let last = written - 1;
    assert!(!name!(new, new, "late", format!("o{last}")) && !name!(new, new, "late", format!("w{last}")));
    assert!(running.stop(DRAIN).await);
    Ok(())
}

/// A storage whose log has no events after the first read.
struct Hidden(Postgres);
#[async_trait]
impl StorageLayer for Hidden {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn log(&self, _: Position, _: Position, _: ReadLimit) -> Result<Vec<Entry>, Fault> {
        Ok(Vec::new())
    }
}

async fn hidden(server: Server) -> Tried {
    let database = server.create_database("unique_hidden")?;
    let (old, new) = (app!(old, true, storage(&database).await?), app!(new, true, Hidden(storage(&database).await?)));
    members(&old, 2).await?;
    new.migrate().await?;
    old.migrate().await?;
    assert!(name!(old, old, "x", "x"));
    new.migrate().await?;
    assert!(!name!(new, new, "late", "n001"));
    assert!(name!(new, new, "late", "x"), "the value of the old program is reserved, so the test shows nothing");
    Ok(())
}

async fn together(server: Server, database: &str, is_row: bool) -> Tried {
    let database = server.create_database(database)?;
    let old = app!(old, is_row, storage(&database).await?);
    members(&old, 300).await?;
    let (one, two) = (app!(new, is_row, storage(&database).await?), app!(new, is_row, storage(&database).await?));
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first?;
    second?;
    let plain = sqlx::PgPool::connect_lazy(database.url())?;
    let reserved = "select count(*) from cqrs.reservation where name = 'member.nickname'";
    assert_eq!(sqlx::query_scalar::<_, i64>(reserved).fetch_one(&plain).await?, 300);
    assert!(!name!(one, new, "late", "n299") && !name!(two, new, "late", "n000"));
    Ok(())
}

async fn duplicate(server: Server) -> Tried {
    let database = server.create_database("unique_duplicate")?;
    let (old, new) = (app!(old, true, storage(&database).await?), app!(new, true, storage(&database).await?));
    members(&old, 2).await?;
    let running = new.start().await?;
    assert!(name!(old, old, "twin", "n001"));
    until("the duplicate is reported", async || {
        unreserved(&new).await.is_some_and(|error| error.ends_with(": `twin`"))
    })
    .await;
    assert!(name!(new, new, "twin", "other"));
    until("the duplicate is resolved", async || unreserved(&new).await.is_none()).await;
    assert!(!name!(new, new, "late", "n001") && !name!(new, new, "late", "other"));
    assert!(running.stop(DRAIN).await);
    Ok(())
}
