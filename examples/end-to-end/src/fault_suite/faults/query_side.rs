//! Query servers that are killed, and a Redis that loses the views.
use super::{consumer::GENTLE, relay::wait_for_leases};
use crate::fault_suite::{deploy::Program, fixture::Fixture, node::Role};
use anyhow::Result;
use std::time::{Duration, Instant};

/// The query servers, which share one Redis.
const SERVERS: [&str; 2] = ["queries-a", "queries-b"];
/// The time in which the first query server answers.
const START: Duration = Duration::from_secs(60);
/// The time in which the views are filled again and a query server answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Starts the writers' nodes, and the query servers beside them.
async fn started(fixture: &mut Fixture) -> Result<()> {
    fixture.template.program = Some(Program::Before);
    fixture.start("relay", Role::Relay)?;
    wait_for_leases(fixture).await?;
    for name in SERVERS {
        fixture.start(name, Role::Queries)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    fixture.wait_for_answer(START).await?;
    Ok(())
}

/// Two query servers are killed, frozen or terminated at any moment.
pub(in crate::fault_suite) async fn killed(fixture: &mut Fixture) -> Result<()> {
    started(fixture).await?;
    let until = Instant::now() + fixture.time(15.0);
    while Instant::now() < until {
        let name = SERVERS[fixture.random.usize(0..SERVERS.len())];
        fixture.kill_freeze_or_end(name).await?;
    }
    fixture.wait_for_answer(ANSWERS_WITHIN).await?;
    Ok(())
}

/// Redis is killed and starts empty several times. Then it is frozen for longer than the time limit of a call, and an
/// operator empties it.
pub(in crate::fault_suite) async fn redis_lost(fixture: &mut Fixture) -> Result<()> {
    started(fixture).await?;
    let redis = fixture.servers.redis()?;
    for _ in 0..3 {
        let (running, down) = (fixture.random.u64(1_000..3_000), fixture.random.u64(0..1_500));
        fixture.wait(Duration::from_millis(running)).await;
        redis.kill()?;
        fixture.wait(Duration::from_millis(down)).await;
        redis.start_again()?;
        answers_again(fixture).await?;
    }
    redis.freeze()?;
    fixture.wait(Duration::from_secs(5)).await;
    redis.thaw()?;
    answers_again(fixture).await?;
    redis.command(&["FLUSHALL"])?;
    answers_again(fixture).await?;
    let time = fixture.time(2.0);
    fixture.wait(time).await;
    Ok(())
}

async fn answers_again(fixture: &mut Fixture) -> Result<()> {
    let took = fixture.wait_for_answer(ANSWERS_WITHIN).await?;
    fixture.fact("read again s", took.as_secs_f64());
    Ok(())
}
