//! The statement that commits a batch: query plans, the order of its locks, deadlocks, and round trips.
use super::{Batch, LOCK, Row, Server, Storage, Trials, Tried, drawn, event, events, fresh, row, sleep};
use cqrs_core::{
    ErrorKind, Position,
    storage::postgres::{READS_OF_SEVERAL, SETTINGS, every_statement, transaction},
    storage::{CheckpointMove, CommitError, Reservation, StoredResponse},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _, postgres::PgConnectOptions};
use std::time::Duration;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("every combination of parts is planned without a scan of a whole table", every_combination)
        .within(Duration::from_secs(300))
        .test("reads by key use the whole key in the index, even if the table was small when planned", whole_key)
        .test("a command takes two round trips, with and without an idempotency key", two_round_trips)
        .test("a commit that is the victim of a deadlock is retried", deadlock)
        .test(
            "a batch with events waits for the lock before it draws a position, other batches do not wait",
            lock_first,
        )
        .test("a position is drawn after all waits", position_last)
        .test("text with NUL is refused before anything is sent", nul)
        .test("a value too long for an index is a fault, and nothing is committed", too_long)
        .test("the database's defaults for isolation and planning have no effect", defaults)
}

async fn every_combination(server: Server) -> Tried {
    let fresh = fresh(server, "combinations").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let mut planned = 0;
    for text in every_statement(false).chain(every_statement(true)) {
        let parameters = (1..).take_while(|n| text.contains(&format!("${n}::"))).count();
        let nulls = vec!["null"; parameters].join(", ");
        let explain = format!("prepare it as {text}; explain execute it({nulls}); deallocate it");
        let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await;
        let plan = plan.map_err(|error| anyhow::anyhow!("{error}: {text}"))?;
        let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
        let scan =
            plan.iter().find(|line| ["Seq Scan", "Hash Join", "Merge Join"].iter().any(|node| line.contains(node)));
        anyhow::ensure!(scan.is_none(), "{}\n{text}", plan.join("\n"));
        planned += 1;
    }
    anyhow::ensure!(planned > 2 * 8191, "{planned}");
    Ok(())
}

/// A plan is often made while the tables are nearly empty, and must still be good when they are full.
async fn whole_key(server: Server) -> Tried {
    let fresh = fresh(server, "whole_key").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let some = "insert into cqrs.inbox (grp, message) select 'all', gen_random_uuid() from generate_series(1, 40); \
        insert into cqrs.view select 'card', n::text, 1, null from generate_series(1, 40) n";
    for fill in ["select 1", some, "analyze", some.replace("n::text", "'more-' || n").as_str()] {
        sqlx::raw_sql(AssertSqlSafe(fill.to_owned())).execute(&mut connection).await?;
        for (text, parameters) in READS_OF_SEVERAL {
            let nulls = vec!["null"; parameters].join(", ");
            let explain = format!("prepare it as {text}; explain execute it({nulls}); deallocate it");
            let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await?;
            let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
            let wrong = plan.iter().find(|line| line.contains("Filter:") || line.contains("Seq Scan"));
            anyhow::ensure!(wrong.is_none(), "after {fill}:\n{}\n{text}", plan.join("\n"));
        }
    }
    Ok(())
}

async fn two_round_trips(server: Server) -> Tried {
    let storage = fresh(server, "round_trips").await?.storage;
    for version in 0..4 {
        let key = (version % 2 == 1).then(|| format!("key-{version}"));
        let before = storage.statements();
        let found = storage.row("user", "kim", key.as_deref()).await?.found;
        let response = |key| StoredResponse { key, fingerprint: 1, body: vec![1], position: Position(0) };
        let batch = Batch {
            rows: vec![row("kim", found.version)],
            events: vec![event("user/kim", found.version + 1)],
            response: key.clone().map(response),
            ..Batch::default()
        };
        let position = storage.commit(batch).await?;
        anyhow::ensure!(storage.statements() - before == 2, "expected two round trips");
        if let Some(key) = key {
            let stored = storage.row("user", "kim", Some(&key)).await?.response;
            anyhow::ensure!(
                stored.is_some_and(|response| response.position == position && response.body == [1]),
                "the response"
            );
        }
    }
    Ok(())
}

async fn deadlock(server: Server) -> Tried {
    let fresh = fresh(server, "deadlock").await?;
    let rows = vec![row("a", 0), row("b", 0)];
    fresh.storage.commit(Batch { rows, ..Batch::default() }).await?;
    // A rival locks b, then a. It checks for deadlocks later than the batch, so that the batch is the victim.
    let mut rival = fresh.plain.begin().await?;
    sqlx::raw_sql("set local deadlock_timeout = '30s'; update cqrs.state set version = version where id = 'b'")
        .execute(&mut *rival)
        .await?;
    let storage = fresh.storage.clone();
    let before = storage.statements();
    let batch = Batch { rows: vec![row("b", 1), row("a", 1)], ..Batch::default() };
    let commit = tokio::spawn(async move { storage.commit(batch).await });
    sleep(300).await;
    sqlx::raw_sql("update cqrs.state set version = version where id = 'a'").execute(&mut *rival).await?;
    rival.commit().await?;
    commit.await??;
    anyhow::ensure!(fresh.storage.statements() - before >= 2, "there was no deadlock and so no retry");
    anyhow::ensure!(fresh.storage.row("user", "a", None).await?.found.version == 2, "the batch is not committed");
    Ok(())
}

async fn lock_first(server: Server) -> Tried {
    let fresh = fresh(server, "lock_first").await?;
    let with_rows = Batch { rows: vec![row("kim", 0)], ..events("user/kim", 1..=1) };
    let response = StoredResponse { key: "key".into(), fingerprint: 1, body: vec![], position: Position(0) };
    let with_response = Batch { response: Some(response), ..events("two", 1..=1) };
    for batch in [events("one", 1..=1), events("many", 1..=3), with_rows, with_response] {
        let mut lock_holder = fresh.plain.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *lock_holder).await?;
        let before = drawn(&fresh.plain).await?;
        let storage = fresh.storage.clone();
        let commit = tokio::spawn(async move { storage.commit(batch).await });
        sleep(150).await;
        anyhow::ensure!(!commit.is_finished(), "committed without the lock");
        anyhow::ensure!(drawn(&fresh.plain).await? == before, "a position was drawn before the lock");
        let row = Batch { rows: vec![row(&format!("free-{before}"), 0)], ..Batch::default() };
        fresh.storage.commit(row).await?;
        lock_holder.commit().await?;
        commit.await??;
    }
    Ok(())
}

async fn position_last(server: Server) -> Tried {
    let fresh = fresh(server, "position_last").await?;
    let mut rival = fresh.plain.begin().await?;
    sqlx::raw_sql("insert into cqrs.reservation values ('nickname', 'kim', 'user-rival')").execute(&mut *rival).await?;
    let reservation =
        |owner: &str| Reservation { index: "nickname".into(), value: "kim".into(), owner: owner.into(), taken: true };
    let batch = Batch { reservations: vec![reservation("user/1")], ..events("user/1", 1..=1) };
    let storage = fresh.storage.clone();
    let commit = tokio::spawn(async move { storage.commit(batch).await });
    sleep(150).await;
    anyhow::ensure!(!commit.is_finished() && drawn(&fresh.plain).await? == 0, "did not wait for the reservation");
    rival.rollback().await?;
    anyhow::ensure!(commit.await?? == Position(1), "expected the first position");
    Ok(())
}

async fn nul(server: Server) -> Tried {
    let storage = fresh(server, "nul").await?.storage;
    let before = storage.statements();
    let refused = storage.commit(Batch { rows: vec![row("k\0m", 0)], ..Batch::default() }).await;
    anyhow::ensure!(
        matches!(refused, Err(CommitError::Fault(fault)) if !fault.is_transient()),
        "the batch was not refused"
    );
    anyhow::ensure!(storage.statements() == before, "a statement was sent");
    Ok(())
}

async fn too_long(server: Server) -> Tried {
    let storage = fresh(server, "too_long").await?.storage;
    // Random, because a repetitive value would be compressed into an index entry that fits.
    let value: String = (0..9000).map(|_| fastrand::alphanumeric()).collect();
    let reservation = Reservation { index: "nickname".into(), value, owner: "user/kim".into(), taken: true };
    let batch = Batch { reservations: vec![reservation], rows: vec![row("kim", 0)], ..events("user/kim", 1..=1) };
    let refused = storage.commit(batch).await;
    anyhow::ensure!(
        matches!(refused, Err(CommitError::Fault(fault)) if fault.kind() == ErrorKind::Invalid),
        "the batch was not refused"
    );
    anyhow::ensure!(storage.row("user", "kim", None).await?.found.version == 0, "a part of the batch was committed");
    Ok(())
}

async fn defaults(server: Server) -> Tried {
    let fresh = fresh(server, "defaults").await?;
    let name = fresh.database.name();
    let serializable = format!("alter database {name} set default_transaction_isolation = 'serializable'");
    sqlx::raw_sql(AssertSqlSafe(serializable)).execute(&fresh.plain).await?;
    let storage = cqrs_core::storage::postgres::Postgres::connect(fresh.database.url()).await?;
    // The caller's SQL is planned as usual, and isolated as the batch needs it.
    let mut tx = storage.begin().await?;
    let show = "select current_setting('transaction_isolation') || ' ' || current_setting('enable_seqscan')";
    let shown: String = sqlx::query_scalar(show).fetch_one(&mut **transaction(&mut *tx)).await?;
    anyhow::ensure!(shown == "read committed on", "{shown}");
    tx.commit(Batch { rows: vec![row("kim", 0)], ..Batch::default() }).await?;
    // Concurrent writers of one row see conflicts and no other error, and every update is counted.
    let writers = (0..4).map(|_| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                loop {
                    let found = storage.row("user", "kim", None).await?.found;
                    let rows: Vec<Row> = vec![row("kim", found.version)];
                    match storage.commit(Batch { rows, ..Batch::default() }).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict { what, exists: false }) if what == "user/kim" => {}
                        Err(other) => anyhow::bail!("{other}"),
                    }
                }
            }
            Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    anyhow::ensure!(storage.row("user", "kim", None).await?.found.version == 101, "an update was lost");
    // Of several first checkpoint moves of one reader, one succeeds.
    let first = |to| CheckpointMove { reader: "new".into(), from: 0, to, epoch: None };
    let checkpoint_moves =
        (1..=8).map(|to| storage.commit(Batch { checkpoint_moves: vec![first(to)], ..Batch::default() }));
    let won = futures_util::future::join_all(checkpoint_moves).await.iter().filter(|result| result.is_ok()).count();
    anyhow::ensure!(won == 1, "{won} first moves succeeded");
    Ok(())
}
