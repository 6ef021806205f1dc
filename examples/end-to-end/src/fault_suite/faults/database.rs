//! Faults of the database: restarts, crashes, killed backends, a full disk, and changes by hand.
use super::{
    consumer::CALM,
    network::{through, to_postgres},
};
use crate::fault_suite::{
    check::Invariant::I9,
    fixture::Fixture,
    node::{REFUSED, Role},
    probes,
};
use anyhow::{Result, ensure};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The server is restarted in order, then crashes. Some backends are terminated, then one is killed and the server
/// recovers.
pub(in crate::fault_suite) async fn restarts(fixture: &mut Fixture) -> Result<()> {
    let all =
        [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer), ("reader", Role::Reader)];
    for (name, role) in all {
        fixture.start(name, role)?;
    }
    let postgres = fixture.servers.postgres.clone();
    let time = fixture.time(2.5);
    fixture.wait(time).await;
    postgres.restart()?;
    fixture.disturbed();
    fixture.wait(time).await;
    postgres.stop_immediate()?;
    postgres.start_again()?;
    fixture.disturbed();
    fixture.wait(time).await;
    for _ in 0..5 {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' \
            and pid <> pg_backend_pid() order by random() limit 2";
        sqlx::query(end).execute(&fixture.source_probe).await?;
        fixture.disturbed();
        fixture.wait(Duration::from_millis(300)).await;
    }
    let victim = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() \
        order by random() limit 1";
    let victim: i32 = sqlx::query_scalar(victim).fetch_one(&fixture.source_probe).await?;
    kill_backend(victim)?;
    fixture.disturbed();
    fixture.wait(time).await;
    Ok(())
}

/// The time limit of a statement in the nodes, in milliseconds. A call to the server ends three seconds later.
pub(super) const STATEMENT_TIMEOUT: u64 = 2_000;
/// A time after which calls to a frozen server have ended at their limit.
pub(super) const BEYOND_LIMIT: Duration = Duration::from_secs(8);
/// The error of such a call.
const AT_LIMIT: &str = "did not respond within the time limit";

/// Returns the number of errors of calls that ended at their limit. A command that waits for a connection afterwards, to
/// look up its outcome, ends with the error of the wait, so the relay's calls count as well.
pub(super) fn ended_at_limit(fixture: &Fixture) -> usize {
    ["writer", "relay"].map(|node| fixture.log_of(node).matches(AT_LIMIT).count()).iter().sum()
}

/// Every process of the server is frozen: for a time shorter than the limit of a call, then for a longer one. Calls end
/// at their limit while the server is frozen, and commands succeed again as soon as it resumes.
pub(in crate::fault_suite) async fn frozen(fixture: &mut Fixture) -> Result<()> {
    let all = [
        ("relay", Role::Relay),
        ("projection", Role::Projection),
        ("consumer", Role::Consumer),
        ("writer", Role::Writer),
        ("reader", Role::Reader),
    ];
    fixture.template.statement_timeout = STATEMENT_TIMEOUT;
    fixture.template.reports_health = true;
    for (name, role) in all {
        fixture.start_with(name, role, |config| config.writing.rate = CALM)?;
    }
    let postgres = fixture.servers.postgres.clone();
    let time = fixture.time(3.0);
    fixture.wait(time).await;
    fixture.wait_for_success(Duration::from_secs(30)).await?;
    fixture.wait_for_healthy("relay", "database", Duration::from_secs(30)).await?;
    for (time, beyond_limit) in [(Duration::from_millis(1_500), false), (BEYOND_LIMIT, true)] {
        let before = ended_at_limit(fixture);
        postgres.freeze()?;
        fixture.disturbed();
        tokio::time::sleep(time).await; // the probes use the server as well
        let (after, database) = (ended_at_limit(fixture), fixture.health("relay", "database")?);
        postgres.thaw()?;
        if beyond_limit {
            if after == before {
                fixture.violation(I9, "no call to the frozen server ended at its time limit");
            }
            if database.is_none() {
                fixture.violation(I9, "a service with a frozen database was healthy");
            }
            fixture.fact("calls that ended at their limit", (after - before) as f64);
        }
        let answered = fixture.wait_for_success(ANSWERS_WITHIN).await?;
        fixture.fact("answered s", answered.as_secs_f64());
        fixture.wait_for_healthy("relay", "database", ANSWERS_WITHIN).await?;
        fixture.wait(time).await;
    }
    Ok(())
}
/// The time in which commands succeed again: that of a call to the server and of the wait for a connection, and a pause.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Every process of the server is killed, its standby is promoted, and the address of the database leads to it. The
/// standby is synchronous, so it has every acknowledged commit.
pub(in crate::fault_suite) async fn failover(fixture: &mut Fixture) -> Result<()> {
    let primary = fixture.servers.postgres.clone();
    // Without the framework's own setting commits would reach neither the disk nor the standby before the crash.
    for setting in UNSAFE {
        sqlx::query(setting).execute(&fixture.source_probe).await?;
    }
    let standby = Arc::new(tokio::task::block_in_place(|| primary.start_standby(true))?);
    let network = to_postgres(fixture).await?;
    (fixture.database, fixture.effects) =
        (through(fixture, &fixture.database, &network), through(fixture, &fixture.effects, &network));
    (fixture.source_probe, fixture.effects_probe) =
        (probes::database::open(&fixture.database)?, probes::database::open(&fixture.effects)?);
    let all = [
        ("relay", Role::Relay),
        ("writer", Role::Writer),
        ("projection", Role::Projection),
        ("consumer", Role::Consumer),
        ("reader", Role::Reader),
    ];
    fixture.template.reports_health = true;
    // The seeded bug shows if nothing else makes the server write its log to the disk just before it is lost.
    let (nodes, rate) = if fixture.template.seeded_bug.is_none() { (&all[..], CALM) } else { (&all[..2], 0) };
    for (name, role) in nodes {
        fixture.start_with(name, *role, |config| config.writing.rate = rate)?;
    }
    let time = fixture.time(4.0);
    fixture.wait(time).await;
    fixture.wait_for_success(Duration::from_secs(30)).await?;
    fixture.wait_for_healthy("relay", "database", Duration::from_secs(30)).await?;
    primary.kill()?;
    fixture.disturbed();
    let lost = Instant::now();
    standby.promote()?;
    network.redirect(standby.address());
    network.cut().await;
    fixture.servers.postgres = standby;
    fixture.fact("promoted s", lost.elapsed().as_secs_f64());
    let answered = fixture.wait_for_success(ANSWERS_WITHIN).await?;
    fixture.fact("answered s", answered.as_secs_f64());
    fixture.wait_for_healthy("relay", "database", ANSWERS_WITHIN).await?;
    fixture.wait(time).await;
    fixture.hold(network); // the nodes and the probes use the proxy until the end
    Ok(())
}

/// Kills a server process with SIGKILL; the server then ends all others and recovers from its write-ahead log.
fn kill_backend(id: i32) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let id = Pid::from_raw(id).ok_or_else(|| anyhow::anyhow!("not a process: {id}"))?;
    Ok(kill_process(id, Signal::KILL)?)
}

/// Makes the server acknowledge commits that are not on the disk.
const UNSAFE: [&str; 3] = [
    "alter system set synchronous_commit = off",
    "alter system set wal_writer_delay = '10s'",
    "select pg_reload_conf()",
];

/// The server's settings turn `synchronous_commit` off, and it crashes. Committed data could be lost then, but the
/// framework's connections wait for the disk regardless of the settings.
pub(in crate::fault_suite) async fn crash_without_sync(fixture: &mut Fixture) -> Result<()> {
    for setting in UNSAFE {
        sqlx::query(setting).execute(&fixture.source_probe).await?;
    }
    for (name, role) in [("relay", Role::Relay), ("writer", Role::Writer)] {
        fixture.start(name, role)?;
    }
    let postgres = fixture.servers.postgres.clone();
    for _ in 0..3 {
        let time = fixture.time(3.0);
        fixture.wait(time).await;
        postgres.stop_immediate()?;
        postgres.start_again()?;
        fixture.disturbed();
    }
    fixture.wait(Duration::from_secs(2)).await;
    Ok(())
}

/// The log's file cannot grow: the operating system refuses it, as it does when the disk is full. Then triggers raise
/// the same error for checkpoints and for views, because their files do not grow.
pub(in crate::fault_suite) async fn full_disk(fixture: &mut Fixture) -> Result<()> {
    let all = [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)];
    for (name, role) in all {
        fixture.start(name, role)?;
    }
    let postgres = fixture.servers.postgres.clone();
    // The segments of the write-ahead log have 16 MiB. With a lower limit the server could not write at all.
    let (mut size, waiting) = (0, Instant::now());
    while size < 17 << 20 && waiting.elapsed() < Duration::from_secs(60) {
        fixture.wait(Duration::from_millis(500)).await;
        size = sqlx::query_scalar::<_, i64>("select pg_relation_size('cqrs.log')")
            .fetch_one(&fixture.source_probe)
            .await?;
    }
    ensure!(size >= 17 << 20, "the log has only grown to {size} bytes");
    fixture.disturbed();
    postgres.limit_files(Some(size as u64 / PAGE * PAGE + 2 * PAGE + PAGE / 2))?;
    tokio::time::sleep(fixture.time(2.0)).await;
    postgres.limit_files(None)?;
    let refused = fixture.log_of("writer").matches("the outcome is unknown").count();
    ensure!(refused > 0, "no command failed although the log could not grow");
    fixture.fact("refused", refused as f64);
    fixture.wait(Duration::from_secs(2)).await;
    for (probe, table) in [(fixture.source_probe.clone(), "reader"), (fixture.effects_probe.clone(), "view")] {
        let full = format!(
            "create function full_disk() returns trigger language plpgsql as $$ \
             begin raise exception 'seeded: no space left on device' using errcode = '53100'; end $$; \
             create trigger full_disk before insert or update on cqrs.{table} execute function full_disk()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(full)).execute(&probe).await?;
        fixture.disturbed();
        tokio::time::sleep(fixture.time(2.0)).await;
        sqlx::raw_sql("drop function full_disk() cascade").execute(&probe).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}
/// The size of a page, by which the files of tables grow.
const PAGE: u64 = 8192;

/// The log's sequence is changed by hand, so that the positions of two sessions would not grow in the order in which
/// they are drawn. Then an event is inserted past the sequence, which readers would pass too early. Both times the
/// start is refused.
pub(in crate::fault_suite) async fn by_hand(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    super::relay::wait_for_leases(fixture).await?;
    fixture.start("writer", Role::Writer)?;
    let time = fixture.time(3.0);
    fixture.wait(time).await;
    fixture.end("writer").await?;
    fixture.end("relay").await?;
    let event = "insert into cqrs.log (pos, stream, version, id, name, schema, payload, metadata, occurred_at) \
        overriding system value \
        select pos + 1000, 'by-hand', 1, gen_random_uuid(), name, schema, payload, metadata, occurred_at \
        from cqrs.log order by pos desc limit 1";
    let (sequence, repaired) = ("alter sequence cqrs.log_pos_seq cache 20", "alter sequence cqrs.log_pos_seq cache 1");
    for (done, undone) in [(sequence, repaired), (event, "delete from cqrs.log where stream = 'by-hand'")] {
        sqlx::raw_sql(done).execute(&fixture.source_probe).await?;
        fixture.restart("relay", None)?;
        let code = fixture.node("relay")?.ended(Duration::from_secs(20)).await?;
        ensure!(code == Some(REFUSED.into()), "a relay started after `{done}`: {code:?}");
        sqlx::raw_sql(undone).execute(&fixture.source_probe).await?;
    }
    fixture.restart("relay", None)?;
    fixture.restart("writer", None)?;
    fixture.wait(time).await;
    Ok(())
}
