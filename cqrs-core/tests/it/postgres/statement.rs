//! The statement that commits a batch: query plans, the order of its locks, deadlocks, and round trips.
use super::{Batch, LOCK, Row, Server, Storage, Trials, Tried, drawn, event, events, fresh, row, sleep};
use cqrs_core::{
    ErrorKind, Position,
    storage::postgres::{
        COUNT_LOG, DUE_TIMERS, FIRST_PARKED, LEFT_TO_NEWER_PROGRAM, PARKED, PARKED_COUNTS, PARKED_KEYS,
        PURGE_OF_OUTGOING, RANGES_OF_INDEX, READS_BY_OTHER_ROWS, READS_OF_SEVERAL, SETTINGS, TIMER_COUNTS,
        every_statement, transaction,
    },
    storage::{CheckpointMove, CommitError, Reservation, StoredResponse, ViewWrite},
};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row as _, postgres::PgConnectOptions};
use std::time::Duration;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("every combination of parts is planned without a scan of a whole table", every_combination)
        .within(Duration::from_secs(300))
        .test("reads by key use the whole key in the index, even if the table was small when planned", whole_key)
        .test("a command takes two round trips, with and without an idempotency key", two_round_trips)
        .test("a commit that is the victim of a deadlock is retried", deadlock)
        .test("a commit that is the victim each time ends after nine runs", always_the_victim)
        .test(
            "a batch with events waits for the lock before it draws a position, other batches do not wait",
            lock_first,
        )
        .test("a position is drawn after all waits", position_last)
        .test("30,000 new views and reservations of one batch are written within the time limit", large_batch)
        .within(Duration::from_secs(120))
        .test("retention reads no more entries of a shard than it may remove", purge_reads_few)
        .test("a count of parked messages reads no more of a reader than its limit", count_reads_few)
        .test("a range of an index reads no more entries than its limit, in both directions", range_reads_few)
        .test("a count of the log reads no more entries than its limit", log_count_reads_few)
        .test("a page of parked keys reads no more keys than its limit", page_reads_few)
        .test(
            "looking for due timers reads none of 20,000 that wait, and counting them no more than its limit",
            due_read_few,
        )
        .test("reads beside 200,000 parked messages read no more of them than they return", parked_reads_few)
        .within(Duration::from_secs(120))
        .test("the leases of a relay are one statement, which writes nothing that another owner holds", leases)
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
    let of_several = READS_OF_SEVERAL.map(|read| (read, "Filter:"));
    let by_other_rows = READS_BY_OTHER_ROWS.map(|read| (read, "Join Filter:"));
    for fill in ["select 1", some, "analyze", some.replace("n::text", "'more-' || n").as_str()] {
        sqlx::raw_sql(AssertSqlSafe(fill.to_owned())).execute(&mut connection).await?;
        for ((text, parameters), refused) in of_several.into_iter().chain(by_other_rows) {
            let nulls = vec!["null"; parameters].join(", ");
            let explain = format!("prepare it as {text}; explain execute it({nulls}); deallocate it");
            let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await?;
            let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
            let wrong = plan.iter().find(|line| line.contains(refused) || line.contains("Seq Scan"));
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

async fn always_the_victim(server: Server) -> Tried {
    let fresh = fresh(server, "victim").await?;
    let seeded = "create function cqrs.victim() returns trigger language plpgsql as $$ begin
            raise exception 'seeded: a deadlock' using errcode = 'deadlock_detected';
        end $$;
        create trigger victim before insert on cqrs.state for each row execute function cqrs.victim()";
    sqlx::raw_sql(seeded).execute(&fresh.plain).await?;
    let before = fresh.storage.statements();
    let refused = fresh.storage.commit(Batch { rows: vec![row("a", 0)], ..Batch::default() }).await;
    anyhow::ensure!(matches!(refused, Err(CommitError::Fault(_))), "{refused:?}");
    anyhow::ensure!(fresh.storage.statements() - before == 9, "{} runs", fresh.storage.statements() - before);
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

/// The time limit of a statement is that of the configuration. A comparison of each element with each exceeds it.
async fn large_batch(server: Server) -> Tried {
    const LENGTH: usize = 30_000;
    let storage = fresh(server, "large_batch").await?.storage;
    let batch = |first: usize, expected: u64, owner: &str| {
        let view = |number: usize| ViewWrite {
            view: "card",
            key: format!("card-{number}"),
            expected,
            value: Some(b"{}".to_vec()),
            entries: vec![("by_number", format!("{expected}-{number}").into_bytes())],
            index_set: 0,
        };
        let reservation = |number: usize| Reservation {
            index: "number".into(),
            value: number.to_string(),
            owner: owner.into(),
            taken: true,
        };
        let numbers = first..first + LENGTH;
        Batch {
            views: numbers.clone().map(view).collect(),
            reservations: numbers.map(reservation).collect(),
            ..Batch::default()
        }
    };
    storage.commit(batch(0, 0, "user-kim")).await?;
    // A refusal names the first culprit.
    let refused = storage.commit(batch(LENGTH - 1, 0, "user-kim")).await;
    let known = format!("card/card-{}", LENGTH - 1);
    anyhow::ensure!(matches!(&refused, Err(CommitError::Conflict { what, .. }) if *what == known), "{refused:?}");
    let mut other = batch(1, 0, "user-lee");
    other.views.clear();
    other.reservations.reverse();
    let refused = storage.commit(other).await;
    anyhow::ensure!(matches!(&refused, Err(CommitError::Taken { .. })), "{refused:?}");
    storage.commit(batch(0, 1, "user-kim")).await?;
    Ok(())
}

async fn purge_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "purge").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at, topic, \
        message_key, shard, message_type, content_type, message_body) select 'user-' || n, 1, gen_random_uuid(), 'n', 1, \
        '', '{}', now(), 't', 'user-' || n, 3, 'm', 'c', '' from generate_series(1, 20000) n";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        let explain = format!(
            "{analyze}; prepare it as {PURGE_OF_OUTGOING}; explain (analyze, costs off, timing off, summary off) \
             execute it(86400, 100, 3, 1000000); deallocate it"
        );
        let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await?;
        let plan: Vec<String> = plan.iter().filter_map(|line| line.try_get(0).ok()).collect();
        let read = plan.iter().find(|line| line.contains("log_outgoing_by_shard"));
        anyhow::ensure!(read.is_some_and(|line| line.contains("rows=100 ")), "{}", plan.join("\n"));
        anyhow::ensure!(!plan.iter().any(|line| line.contains("Seq Scan")), "{}", plan.join("\n"));
    }
    Ok(())
}

async fn count_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "counts").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.parked (reader, key, message, at, error, attempts) select 'reader-' || n % 2, \
        'key-' || n, gen_random_uuid(), n, '', 1 from generate_series(1, 20000) n";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        let explain = format!(
            "{analyze}; prepare it as {PARKED_COUNTS}; explain (analyze, costs off, timing off, summary off) \
             execute it(100); deallocate it"
        );
        let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await?;
        let plan: Vec<String> = plan.iter().filter_map(|line| line.try_get(0).ok()).collect();
        let rows = |line: &str| line.split("rows=").nth(1)?.split(' ').next()?.parse::<f64>().ok();
        let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
        anyhow::ensure!(most <= 100.0 && !plan.iter().any(|line| line.contains("Seq Scan")), "{}", plan.join("\n"));
    }
    Ok(())
}

/// The range is in the middle of an index of 20,000 entries, between two other indexes and two other views.
async fn range_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "ranges").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.view select view, 'key-' || n, 1, 'x' from generate_series(1, 20000) n, \
        unnest(array['a', 'b', 'c']) view; \
        insert into cqrs.view_index select view, name, int4send(n % 200), 'key-' || n from generate_series(1, 20000) n, \
        unnest(array['a', 'b', 'c']) view, unnest(array['x', 'y', 'z']) name where view = 'b' or name = 'y'";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        sqlx::raw_sql(analyze).execute(&mut connection).await?;
        for (number, sql) in RANGES_OF_INDEX.into_iter().enumerate() {
            let until = if number < 3 { "" } else { ", int4send(190), 'key-500'" };
            let parameters = format!("'b', 'y', int4send(10), 'key-500', 50{until}");
            let plan = explained(&mut connection, sql, &parameters).await?;
            let number = |text: &str, mark| {
                let digits = text.split(mark).nth(1)?.trim_start();
                digits.split([' ', ')']).next()?.parse::<f64>().ok()
            };
            let rows = |line: &str| number(line, "actual rows=").or(number(line, "Removed by Filter:"));
            let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
            let scan = plan.iter().any(|line| line.contains("Seq Scan") || line.contains("Bitmap"));
            anyhow::ensure!(most <= 50.0 && !scan, "{}\n{sql}", plan.join("\n"));
        }
    }
    Ok(())
}

async fn log_count_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "log_count").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at) \
        select 'stream/' || n, 1, gen_random_uuid(), 'name-' || n % 3, 1, '{}', '{}', now() from generate_series(1, 20000) n; \
        insert into cqrs.archived_log select * from cqrs.log where pos % 2 = 0; delete from cqrs.log where pos % 2 = 0";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        sqlx::raw_sql(analyze).execute(&mut connection).await?;
        let plan = explained(&mut connection, COUNT_LOG, "10, 15000, 50, array['name-1'], null").await?;
        let rows = |line: &str| {
            let digits = line.split("actual rows=").nth(1)?;
            digits.split([' ', ')']).next()?.parse::<f64>().ok()
        };
        let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
        let scan = plan.iter().any(|line| line.contains("Seq Scan") || line.contains("Bitmap"));
        anyhow::ensure!(most <= 100.0 && !scan, "{}", plan.join("\n"));
    }
    Ok(())
}

async fn due_read_few(server: Server) -> Tried {
    let fresh = fresh(server, "due_timers").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.timer (name, id, due, key, command, body, metadata, set_by) select 'timer-' || n, \
        gen_random_uuid(), now() + (n - 30) * interval '1 hour', 'key-' || n, 'Remind', '{}', '{}', 'test' \
        from generate_series(1, 20000) n; update cqrs.timer set error = 'it failed' where name in ('timer-3', 'timer-7')";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        sqlx::raw_sql(analyze).execute(&mut connection).await?;
        let place = "'-infinity', '00000000-0000-0000-0000-000000000000'";
        for (sql, parameters) in [(DUE_TIMERS, &*format!("{place}, 20")), (TIMER_COUNTS, "50")] {
            let plan = explained(&mut connection, sql, parameters).await?;
            let rows = |line: &str| {
                let digits = line.split("actual rows=").nth(1)?;
                digits.split([' ', ')']).next()?.parse::<f64>().ok()
            };
            let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
            let scan = plan.iter().any(|line| line.contains("Seq Scan"));
            anyhow::ensure!(most <= 50.0 && !scan, "{}\n{sql}", plan.join("\n"));
        }
    }
    Ok(())
}

async fn page_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "page_of_keys").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    // 10,000 keys with a message each and one with 10,000, for two readers.
    let fill = "insert into cqrs.parked (reader, key, message, at, error, attempts) select 'reader-' || n % 2, \
        case when n % 4 < 2 then 'key-' || n else 'key-0' end, gen_random_uuid(), n, '', 1 from generate_series(1, 40000) n";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    for analyze in ["select 1", "analyze"] {
        for parameters in ["'', '', -1, 100, null, 10", "'reader-1', 'key-2', 9223372036854775807, 100, 'reader-1', 10"]
        {
            let explain = format!(
                "{analyze}; prepare it as {PARKED_KEYS}; explain (analyze, costs off, timing off, summary off) \
                 execute it({parameters}); deallocate it"
            );
            let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await?;
            let plan: Vec<String> = plan.iter().filter_map(|line| line.try_get(0).ok()).collect();
            let rows = |line: &str| line.split("rows=").nth(1)?.split(' ').next()?.parse::<f64>().ok();
            let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
            anyhow::ensure!(most <= 101.0 && !plan.iter().any(|line| line.contains("Seq Scan")), "{}", plan.join("\n"));
        }
    }
    Ok(())
}

/// Returns the plan of a statement that was run with these parameters.
async fn explained(connection: &mut PgConnection, sql: &str, parameters: &str) -> anyhow::Result<Vec<String>> {
    let explain = format!(
        "prepare it as {sql}; explain (analyze, costs off, timing off, summary off) execute it({parameters}); deallocate it"
    );
    let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(connection).await?;
    Ok(plan.iter().filter_map(|line| line.try_get(0).ok()).collect())
}

/// A reader has 100,000 keys with a message, and a key with 100,000, all of them left to a newer program. The relay has
/// parked the same messages. The key with many is the first one.
async fn parked_reads_few(server: Server) -> Tried {
    let fresh = fresh(server, "parked_reads").await?;
    let options: PgConnectOptions = fresh.database.url().parse()?;
    let mut connection = options.options(SETTINGS).connect().await?;
    let fill = "insert into cqrs.parked (reader, key, message, at, error, attempts) select reader, \
        case when n % 2 = 0 then 'user/00' else 'user/' || n end, gen_random_uuid(), n, \
        'left to a newer program, which handles it', 1 from generate_series(1, 200000) n, \
        unnest(array['projection/card', 'relay/3']) reader; \
        insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at, topic, message_key, \
        shard, message_type, content_type, message_body) select 'user/00', n, gen_random_uuid(), 'n', 1, '', '{}', \
        now() - interval '1 day', 't', case when n < 50 then 'user/00' else 'user/none' end, 3, 'm', 'c', '' \
        from generate_series(1, 2000) n";
    sqlx::raw_sql(fill).execute(&mut connection).await?;
    let first_of_kind = "'projection/card', '', -1, 1, 'projection/card', 0";
    let after_kind = "'projection/card', 'user0', 9223372036854775807, 1, 'projection/card', 0";
    let of_streams = "'projection/card', array['user/00', 'user/7', 'order/7']";
    let reads = [
        (PARKED_KEYS, first_of_kind),
        (PARKED_KEYS, after_kind),
        (FIRST_PARKED, of_streams),
        (PARKED, "'projection/card', 'user/00', 0, 1"),
        (LEFT_TO_NEWER_PROGRAM, "100"),
        (PARKED_COUNTS, "100"),
        (PURGE_OF_OUTGOING, "60, 100, 3, 1000000"),
    ];
    for analyze in ["select 1", "analyze"] {
        sqlx::raw_sql(analyze).execute(&mut connection).await?;
        for (sql, parameters) in reads {
            let plan = explained(&mut connection, sql, parameters).await?;
            // The number of rows of each node, with those that its filter has removed.
            let number = |text: &str, mark| {
                let digits = text.split(mark).nth(1)?.trim_start();
                digits.split([' ', ')']).next()?.parse::<f64>().ok()
            };
            let rows = |line: &str| number(line, "actual rows=").or(number(line, "Removed by Filter:"));
            let most = plan.iter().filter_map(|line| rows(line)).fold(0.0, f64::max);
            anyhow::ensure!(most <= 150.0 && !plan.iter().any(|line| line.contains("Seq Scan")), "{}", plan.join("\n"));
        }
    }
    Ok(())
}

async fn leases(server: Server) -> Tried {
    let fresh = fresh(server, "leases").await?;
    let readers: Vec<String> = (0..16).map(|shard| format!("relay/{shard}")).collect();
    let ttl = Duration::from_secs(600);
    let held = fresh.storage.leases(&readers, "one", ttl).await?;
    anyhow::ensure!(held.iter().all(Option::is_some), "{held:?}");
    let versions = "select string_agg(ctid::text || xmin::text || xmax::text, ' ' order by reader) from cqrs.reader";
    let before: String = sqlx::query_scalar(versions).fetch_one(&fresh.plain).await?;
    let statements = fresh.storage.statements();
    let none = fresh.storage.leases(&readers, "two", ttl).await?;
    anyhow::ensure!(none.iter().all(Option::is_none), "{none:?}");
    anyhow::ensure!(fresh.storage.statements() - statements == 1, "expected one statement");
    let after: String = sqlx::query_scalar(versions).fetch_one(&fresh.plain).await?;
    anyhow::ensure!(before == after, "rows of another owner were written: {before}, then {after}");
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
                        Err(CommitError::Conflict { what, exists: false, .. }) if what == "user/kim" => {}
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
