//! Faults of relays: crashes between two steps, freezes past the lease, and several relays at once.
use crate::fault_suite::{
    fixture::Fixture,
    layers::{Fail, Point},
    node::Role,
    probes::database,
};
use anyhow::{Result, ensure};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub(in crate::fault_suite) async fn before_checkpoint(fixture: &mut Fixture) -> Result<()> {
    killed_at(fixture, Point::BeforeCheckpoint).await
}

pub(in crate::fault_suite) async fn before_publish(fixture: &mut Fixture) -> Result<()> {
    killed_at(fixture, Point::BeforePublish).await
}

/// Two relays run. The one that holds the shards crashes; the other takes them over and crashes in turn.
async fn killed_at(fixture: &mut Fixture, point: Point) -> Result<()> {
    fixture.start("projection", Role::Projection)?;
    let fail = |fixture: &mut Fixture| Some(Fail::at(point, fixture.random.u64(3..25)));
    let first = fail(fixture);
    fixture.start_with("relay-a", Role::Relay, |config| config.fail = first)?;
    wait_for_leases(fixture).await?;
    let second = fail(fixture);
    fixture.start_with("relay-b", Role::Relay, |config| config.fail = second)?;
    fixture.start("writer", Role::Writer)?;
    let until = Instant::now() + fixture.time(10.0);
    let relays = ["relay-a", "relay-b"];
    let mut held = owners(fixture).await?;
    while Instant::now() < until {
        fixture.wait(Duration::from_millis(20)).await;
        for (name, other) in [(relays[0], relays[1]), (relays[1], relays[0])] {
            if !fixture.node(name)?.runs() {
                fixture.wait_for_crash(name).await?;
                taken_over(fixture, &held, other).await?;
                let next = fail(fixture);
                fixture.restart(name, next)?;
            }
        }
        held = owners(fixture).await?;
    }
    for name in relays {
        fixture.kill(name).await?; // the next start is without a crash point
    }
    Ok(())
}

/// The time limit for a process to start on a busy computer.
const START: Duration = Duration::from_secs(60);

/// Waits until the writers' database has its tables.
pub(in crate::fault_suite) async fn wait_for_tables(fixture: &Fixture) -> Result<()> {
    let began = Instant::now();
    while database::count(&fixture.source_probe).await.is_err() {
        ensure!(began.elapsed() < START, "the tables of the writers' database were not created in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until every shard is leased.
pub(in crate::fault_suite) async fn wait_for_leases(fixture: &Fixture) -> Result<()> {
    let began = Instant::now();
    while database::checkpoints(&fixture.source_probe).await.map_or(0, |shards| shards.len()) < 16 {
        ensure!(began.elapsed() < START, "no relay has leased the shards in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until the remaining relay holds every shard and records the time; returns early if that relay crashes as well.
pub(super) async fn taken_over(fixture: &mut Fixture, held: &Owners, by: &str) -> Result<()> {
    let (began, lease) = (Instant::now(), Duration::from_millis(fixture.template.lease));
    loop {
        let now = owners(fixture).await?;
        let one = now.len() == 16 && now.values().all(|owner| Some(owner) == now.values().next());
        if one && now != *held {
            break;
        }
        // The crashed relay held no shard, or the remaining one has crashed too.
        if (one && began.elapsed() > lease * 2) || !fixture.node(by)?.runs() {
            return Ok(());
        }
        ensure!(began.elapsed() < fixture.patience, "no relay took over the shards of the killed one: {now:?}");
        fixture.wait(Duration::from_millis(20)).await;
    }
    fixture.fact("takeover s", began.elapsed().as_secs_f64());
    Ok(())
}

/// The owner of each shard with an unexpired lease.
type Owners = BTreeMap<String, String>;
pub(super) async fn owners(fixture: &Fixture) -> Result<Owners> {
    let held = "select reader, owner from cqrs.reader where reader like 'relay/%' and expires > clock_timestamp()";
    let held: Vec<(String, String)> = sqlx::query_as(held).fetch_all(&fixture.source_probe).await?;
    Ok(held.into_iter().collect())
}

/// Two relays are frozen in turn for longer than their lease, each with records in flight.
pub(in crate::fault_suite) async fn zombie(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("projection", Role::Projection), ("relay-a", Role::Relay)] {
        fixture.start(name, role)?;
    }
    wait_for_leases(fixture).await?;
    watch_checkpoints(fixture).await?;
    fixture.start("relay-b", Role::Relay)?;
    fixture.start("writer", Role::Writer)?;
    fixture.wait(Duration::from_secs(2)).await;
    let until = Instant::now() + fixture.time(10.0);
    for name in ["relay-a", "relay-b"].into_iter().cycle() {
        fixture.freeze(name)?;
        let lost = Duration::from_millis(fixture.random.u64(1_500..3_000));
        fixture.wait(lost).await;
        fixture.thaw(name)?;
        let awake = Duration::from_millis(fixture.random.u64(200..1_000));
        fixture.wait(awake).await;
        if Instant::now() > until {
            break;
        }
    }
    let message = "another relay has taken over a shard";
    let fenced = ["relay-a", "relay-b"].iter().map(|name| fixture.log_of(name).matches(message).count());
    let fenced = fenced.sum::<usize>();
    fixture.fact("fenced", fenced as f64);
    Ok(())
}

/// Three relays are killed, frozen or terminated at any moment.
pub(in crate::fault_suite) async fn flapping(fixture: &mut Fixture) -> Result<()> {
    let relays = ["relay-a", "relay-b", "relay-c"];
    fixture.start("projection", Role::Projection)?;
    for name in relays {
        fixture.start(name, Role::Relay)?;
    }
    fixture.start("writer", Role::Writer)?;
    let until = Instant::now() + fixture.time(12.0);
    while Instant::now() < until {
        let name = relays[fixture.random.usize(0..relays.len())];
        fixture.kill_freeze_or_end(name).await?;
    }
    Ok(())
}

/// Installs a trigger that records every checkpoint that goes back, however briefly. The relay stores numbers of another
/// kind beside its checkpoints: the topics that wait, and the first record of each.
async fn watch_checkpoints(fixture: &mut Fixture) -> Result<()> {
    let watch = "create table went_back (reader text, before bigint, at bigint); \
        create function went_back() returns trigger language plpgsql as $$ \
        begin insert into went_back values (new.reader, old.checkpoint, new.checkpoint); return new; end $$; \
        create trigger went_back before update on cqrs.reader for each row \
        when (new.checkpoint < old.checkpoint and new.reader not like 'relay/%/waiting%') execute function went_back()";
    sqlx::raw_sql(watch).execute(&fixture.source_probe).await?;
    fixture.watch_checkpoints = true;
    Ok(())
}
