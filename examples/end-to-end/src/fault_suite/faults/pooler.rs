//! A pooler between the nodes and PostgreSQL that is killed, paused and frozen.
use super::{
    consumer::CALM,
    database::{ANSWERS_WITHIN, BEYOND_LIMIT, STATEMENT_TIMEOUT, ended_at_limit},
};
use crate::fault_suite::{check::Invariant::I9, fixture::Fixture, node::Role};
use anyhow::Result;
use std::time::Duration;

/// The parameter of the database's URL for a pooler in transaction mode.
const POOLING: &str = "?pooling=transaction";

/// PgBouncer in transaction mode is killed and started again several times. It is paused for a restart of the server, as an
/// operator does. At last it is frozen for longer than the time limit of a call.
pub(in crate::fault_suite) async fn killed_and_paused(fixture: &mut Fixture) -> Result<()> {
    let (postgres, pooler) = (fixture.servers.postgres.clone(), fixture.servers.pooler()?);
    let through = |url: &str| url.replace(&postgres.address(), &pooler.address()) + POOLING;
    (fixture.database, fixture.effects) = (through(&fixture.database), through(&fixture.effects));
    fixture.template.statement_timeout = STATEMENT_TIMEOUT;
    fixture.template.reports_health = true;
    let all = [
        ("relay", Role::Relay),
        ("writer", Role::Writer),
        ("projection", Role::Projection),
        ("consumer", Role::Consumer),
        ("reader", Role::Reader),
    ];
    // The seeded bug shows if many commits are in progress when the pooler is killed.
    let (nodes, rate, kills) =
        if fixture.template.seeded_bug.is_none() { (&all[..], CALM, 3) } else { (&all[..2], 0, 8) };
    for (name, role) in nodes {
        fixture.start_with(name, *role, |config| config.writing.rate = rate)?;
    }
    fixture.wait_for_success(Duration::from_secs(30)).await?;
    fixture.wait_for_healthy("relay", "database", Duration::from_secs(30)).await?;

    for _ in 0..kills {
        let (running, down) = (fixture.random.u64(500..1_500), fixture.random.u64(0..1_000));
        fixture.wait(Duration::from_millis(running)).await;
        pooler.kill()?;
        fixture.disturbed();
        fixture.wait(Duration::from_millis(down)).await;
        pooler.start_again()?;
        let answered = fixture.wait_for_success(ANSWERS_WITHIN).await?;
        fixture.fact("answered s", answered.as_secs_f64());
    }
    if fixture.template.seeded_bug.is_some() {
        return Ok(());
    }

    pooler.pause()?;
    fixture.wait(Duration::from_secs(1)).await;
    postgres.restart()?;
    fixture.disturbed();
    pooler.resume()?;
    let answered = fixture.wait_for_success(ANSWERS_WITHIN).await?;
    fixture.fact("answered s", answered.as_secs_f64());
    let time = fixture.time(2.0);
    fixture.wait(time).await;

    let before = ended_at_limit(fixture);
    pooler.freeze()?;
    fixture.disturbed();
    fixture.wait(BEYOND_LIMIT).await;
    let (after, database) = (ended_at_limit(fixture), fixture.health("relay", "database")?);
    pooler.thaw()?;
    if after == before {
        fixture.violation(I9, "no call to the frozen pooler ended at its time limit");
    }
    if database.is_none() {
        fixture.violation(I9, "a service with a frozen pooler was healthy");
    }
    let answered = fixture.wait_for_success(ANSWERS_WITHIN).await?;
    fixture.fact("answered s", answered.as_secs_f64());
    fixture.wait_for_healthy("relay", "database", ANSWERS_WITHIN).await?;
    fixture.wait(time).await;
    Ok(())
}
