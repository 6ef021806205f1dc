//! Faults of relays: killed between two steps, frozen past their lease, too many of them.
use crate::ledger::{
    layers::{Fail, Point},
    node::Role,
    stage::Stage,
    taps::database,
};
use anyhow::{Result, ensure};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub(in crate::ledger) async fn before_cursor(stage: &mut Stage) -> Result<()> {
    killed_at(stage, Point::BeforeCursor).await
}

pub(in crate::ledger) async fn before_publish(stage: &mut Stage) -> Result<()> {
    killed_at(stage, Point::BeforePublish).await
}

/// Two relays. Whichever holds the lanes dies, the other takes them over and dies in its turn.
async fn killed_at(stage: &mut Stage, point: Point) -> Result<()> {
    stage.start("projection", Role::Projection)?;
    let fail = |stage: &mut Stage| Some(Fail::at(point, stage.chance.u64(3..25)));
    let first = fail(stage);
    stage.start_with("relay-a", Role::Relay, |it| it.fail = first)?;
    holds_lanes(stage).await?;
    let second = fail(stage);
    stage.start_with("relay-b", Role::Relay, |it| it.fail = second)?;
    stage.start("writer", Role::Writer)?;
    let until = Instant::now() + stage.time(10.0);
    let relays = ["relay-a", "relay-b"];
    let mut held = owners(stage).await?;
    while Instant::now() < until {
        stage.pass(Duration::from_millis(20)).await;
        for (name, other) in [(relays[0], relays[1]), (relays[1], relays[0])] {
            if !stage.node(name)?.runs() {
                stage.dies(name).await?;
                taken_over(stage, &held, other).await?;
                let next = fail(stage);
                stage.again(name, next)?;
            }
        }
        held = owners(stage).await?;
    }
    for name in relays {
        stage.kill(name).await?; // the next start is without a point to die at
    }
    Ok(())
}

/// A process on a busy machine takes its time to start.
const START: Duration = Duration::from_secs(60);

/// Waits until the writers' database has its tables.
pub(in crate::ledger) async fn has_tables(stage: &Stage) -> Result<()> {
    let began = Instant::now();
    while database::count(&stage.source_tap).await.is_err() {
        ensure!(began.elapsed() < START, "nobody makes the tables");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until every lane is held by somebody.
pub(in crate::ledger) async fn holds_lanes(stage: &Stage) -> Result<()> {
    let began = Instant::now();
    while database::cursors(&stage.source_tap).await.map_or(0, |it| it.len()) < 16 {
        ensure!(began.elapsed() < START, "no relay holds the lanes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until every lane is held by the one relay that is left, and notes how long that took; unless that one dies as well.
pub(super) async fn taken_over(stage: &mut Stage, held: &Owners, by: &str) -> Result<()> {
    let (began, lease) = (Instant::now(), Duration::from_millis(stage.template.lease));
    loop {
        let now = owners(stage).await?;
        let one = now.len() == 16 && now.values().all(|it| Some(it) == now.values().next());
        if one && now != *held {
            break;
        }
        // The one that died had nothing to be taken over; or this one did.
        if (one && began.elapsed() > lease * 2) || !stage.node(by)?.runs() {
            return Ok(());
        }
        ensure!(began.elapsed() < stage.patience, "nobody takes over the lanes of the dead relay: {now:?}");
        stage.pass(Duration::from_millis(20)).await;
    }
    stage.fact("takeover s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Who holds which lane, by leases that have not ended.
type Owners = BTreeMap<String, String>;
pub(super) async fn owners(stage: &Stage) -> Result<Owners> {
    let held = "select reader, owner from cqrs.reader where reader like 'relay/%' and expires > clock_timestamp()";
    let held: Vec<(String, String)> = sqlx::query_as(held).fetch_all(&stage.source_tap).await?;
    Ok(held.into_iter().collect())
}

/// Two relays, in turn frozen for longer than their lease, each with records on its way.
pub(in crate::ledger) async fn zombie(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("projection", Role::Projection), ("relay-a", Role::Relay)] {
        stage.start(name, role)?;
    }
    holds_lanes(stage).await?;
    watch_cursors(stage).await?;
    stage.start("relay-b", Role::Relay)?;
    stage.start("writer", Role::Writer)?;
    stage.pass(Duration::from_secs(2)).await;
    let until = Instant::now() + stage.time(10.0);
    for name in ["relay-a", "relay-b"].into_iter().cycle() {
        stage.freeze(name)?;
        let lost = Duration::from_millis(stage.chance.u64(1_500..3_000));
        stage.pass(lost).await;
        stage.thaw(name)?;
        let awake = Duration::from_millis(stage.chance.u64(200..1_000));
        stage.pass(awake).await;
        if Instant::now() > until {
            break;
        }
    }
    let fenced = ["relay-a", "relay-b"].iter().map(|it| stage.said(it).matches("holds this lane now").count());
    let fenced = fenced.sum::<usize>();
    stage.fact("fenced", fenced as f64);
    Ok(())
}

/// Three relays, each killed, frozen or asked to end at any moment.
pub(in crate::ledger) async fn flapping(stage: &mut Stage) -> Result<()> {
    let relays = ["relay-a", "relay-b", "relay-c"];
    stage.start("projection", Role::Projection)?;
    for name in relays {
        stage.start(name, Role::Relay)?;
    }
    stage.start("writer", Role::Writer)?;
    let until = Instant::now() + stage.time(12.0);
    while Instant::now() < until {
        let name = relays[stage.chance.usize(0..relays.len())];
        let pause = Duration::from_millis(stage.chance.u64(100..1_500));
        match stage.chance.u8(0..3) {
            0 => {
                stage.kill(name).await?;
                stage.again(name, None)?;
            }
            1 => {
                stage.freeze(name)?;
                stage.pass(pause).await;
                stage.thaw(name)?;
            }
            _ => {
                stage.end(name).await?;
                stage.again(name, None)?;
            }
        }
        stage.pass(pause).await;
    }
    Ok(())
}

/// The database notes every cursor that is put back, however shortly.
async fn watch_cursors(stage: &mut Stage) -> Result<()> {
    let watch = "create table went_back (reader text, before bigint, at bigint); \
        create function went_back() returns trigger language plpgsql as $$ \
        begin insert into went_back values (new.reader, old.at, new.at); return new; end $$; \
        create trigger went_back before update on cqrs.reader for each row when (new.at < old.at) \
        execute function went_back()";
    sqlx::raw_sql(watch).execute(&stage.source_tap).await?;
    stage.watch_cursors = true;
    Ok(())
}
