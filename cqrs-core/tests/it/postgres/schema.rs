//! The schema: created once by the first of several replicas, and refused when writing to it would be unsafe.
use super::{Postgres, Server, Storage, Trials, Tried, events, fresh};
use cqrs_core::storage::{Batch, ViewWrite};
use futures_util::future::try_join_all;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("several replicas can migrate at once", at_once)
        .test("a newer schema is refused", newer)
        .test("a sequence with a cache is refused", caching)
        .test("an event with a position beyond the sequence is refused", past_the_sequence)
        .test("a reader ahead of the log is refused", reader_ahead)
        .test("a token of another epoch is refused at once", async |server: Server| {
            let storage = fresh(server, "epoch").await?.storage;
            crate::identity::outdated(storage).await.map_err(anyhow::Error::msg)
        })
        .test("the database of another service is refused, and nothing is changed", async |server: Server| {
            crate::identity::foreign(fresh(server, "foreign").await?.storage).await;
            anyhow::Ok(())
        })
        .test("without a schema every call fails and names `migrate`", unmigrated)
        .test("a batch that changes every value of a page leaves them there", room)
}

async fn at_once(server: Server) -> Tried {
    let database = server.create_database("at_once")?;
    let replicas = try_join_all((0..4).map(|_| Postgres::connect(database.url()))).await?;
    try_join_all(replicas.iter().map(|replica| replica.migrate())).await?;
    let plain = sqlx::PgPool::connect(database.url()).await?;
    let applied: i64 = sqlx::query_scalar("select count(*) from cqrs._cqrs_migrations").fetch_one(&plain).await?;
    anyhow::ensure!(applied == 12, "{applied} migrations");
    Ok(())
}

async fn newer(server: Server) -> Tried {
    let fresh = fresh(server, "newer").await?;
    fresh.storage.ready().await?;
    sqlx::query("insert into cqrs._cqrs_migrations values (99, 'later')").execute(&fresh.plain).await?;
    let refused = fresh.storage.migrate().await.expect_err("a newer schema").to_string();
    anyhow::ensure!(refused.contains("version 99") && refused.contains("up to 12"), "{refused}");
    fresh.storage.ready().await?; // a running program goes on while a newer one takes over
    Ok(())
}

async fn caching(server: Server) -> Tried {
    let fresh = fresh(server, "caching").await?;
    sqlx::query("alter sequence cqrs.log_pos_seq cache 20").execute(&fresh.plain).await?;
    let refused = fresh.storage.migrate().await.expect_err("a caching sequence").to_string();
    anyhow::ensure!(refused.contains("cache 20"), "{refused}");
    Ok(())
}

async fn past_the_sequence(server: Server) -> Tried {
    let fresh = fresh(server, "past_the_sequence").await?;
    fresh.storage.commit(events("one", 1..=3)).await?;
    fresh.storage.migrate().await?;
    let copy = "insert into cqrs.log (pos, stream, version, id, name, schema, payload, metadata, occurred_at) \
        overriding system value select 99, 'two', 1, id, name, schema, payload, metadata, occurred_at \
        from cqrs.log limit 1";
    sqlx::query(copy).execute(&fresh.plain).await?;
    let refused = fresh.storage.migrate().await.expect_err("an event by hand").to_string();
    anyhow::ensure!(refused.contains("99") && refused.contains("setval"), "{refused}");
    Ok(())
}

async fn reader_ahead(server: Server) -> Tried {
    let fresh = fresh(server, "reader_ahead").await?;
    fresh.storage.commit(events("one", 1..=3)).await?;
    let topic = "insert into cqrs.reader (reader, checkpoint) values ('projection/card/user.events.v1/3', 900)";
    sqlx::query(topic).execute(&fresh.plain).await?;
    fresh.storage.migrate().await?;
    sqlx::query("insert into cqrs.reader (reader, checkpoint) values ('relay/3', 77)").execute(&fresh.plain).await?;
    let refused = fresh.storage.migrate().await.expect_err("a reader ahead").to_string();
    anyhow::ensure!(refused.contains("relay/3") && refused.contains("77"), "{refused}");
    Ok(())
}

async fn unmigrated(server: Server) -> Tried {
    let database = server.create_database("unmigrated")?;
    let storage = Postgres::connect(database.url()).await?;
    let read = storage.row("user", "kim", None).await.expect_err("no schema").to_string();
    let written = storage.commit(events("one", 1..=1)).await.expect_err("no schema").to_string();
    let high_water_mark = storage.high_water_mark().await.expect_err("no schema").to_string();
    anyhow::ensure!(
        [&read, &written, &high_water_mark].iter().all(|error| error.contains("`migrate`")),
        "{read} {written} {high_water_mark}"
    );
    Ok(())
}

/// Values that leave their page need new entries in two indexes.
async fn room(server: Server) -> Tried {
    const VALUES: usize = 1_000;
    const PAGES: &str = "select array_agg((ctid::text::point)[0]::bigint order by key) from cqrs.view";
    let fresh = fresh(server, "room").await?;
    let batch = |expected: u64| {
        let write = |n: usize| ViewWrite {
            view: "card",
            key: format!("{n:04}"),
            expected,
            value: Some(br#"{"balance":5}"#.to_vec()),
            entries: Vec::new(),
            index_set: 0,
        };
        Batch { views: (0..VALUES).map(write).collect(), ..Batch::default() }
    };
    fresh.storage.commit(batch(0)).await?;
    let before: Vec<i64> = sqlx::query_scalar(PAGES).fetch_one(&fresh.plain).await?;
    fresh.storage.commit(batch(1)).await?;
    let after: Vec<i64> = sqlx::query_scalar(PAGES).fetch_one(&fresh.plain).await?;
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    anyhow::ensure!(before.len() == VALUES && moved < VALUES / 10, "{moved} of {} values moved", before.len());
    Ok(())
}
