//! A rolling deploy under load: replicas of two programs run side by side, in both directions.
use crate::fault_suite::{
    deploy::{Program, new::has_bonuses, new_consumer::BONUSES},
    fixture::Fixture,
    node::Role,
    probes::database,
};
use anyhow::{Result, ensure};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Commands per second of each writer. A message that an old replica leaves to the new program takes two transactions
/// more, so this is less than in other scenarios.
const RATE: u64 = 6;
/// The default lease of the framework, in milliseconds.
const LEASE: u64 = 10_000;
const REPLICAS: [(&str, Role); 6] = [
    ("relay-a", Role::Relay),
    ("relay-b", Role::Relay),
    ("consumer-a", Role::Consumer),
    ("consumer-b", Role::Consumer),
    ("writer-a", Role::Writer),
    ("writer-b", Role::Writer),
];

/// Two replicas of each role are replaced one after the other: by the new program, by the old one, and by the new one
/// again. Only the new program knows the event of a bonus, on its own log and on the topic.
pub(in crate::fault_suite) async fn rolling(fixture: &mut Fixture) -> Result<()> {
    fixture.template.program = Some(Program::Before);
    // No process dies here, and one that ends releases its leases. A shorter lease than a service has would only end while a
    // slow machine holds up the renewal, and each end allows duplicates.
    fixture.template.lease = LEASE;
    for (name, role) in REPLICAS {
        fixture.start_with(name, role, |config| config.writing.rate = RATE)?;
    }
    super::relay::wait_for_leases(fixture).await?;
    wait_for_effects(fixture).await?;
    fixture.watch_parked(has_bonuses).await?;
    let time = fixture.time(2.0);
    fixture.wait(time).await;
    for program in [Program::After, Program::Before, Program::After] {
        for (name, _) in REPLICAS {
            fixture.end(name).await?;
            fixture.restart_with(name, |config| config.program = Some(program))?;
            let pause = Duration::from_millis(fixture.random.u64(200..800));
            fixture.wait(pause).await;
        }
        fixture.wait(time).await;
    }
    let mut left = 0;
    for probe in [&fixture.source_probe, &fixture.effects_probe] {
        left += database::were_parked(probe).await?.len();
    }
    fixture.fact("left to the new program", left as f64);
    let hidden = fixture.template.seeded_bug.is_some();
    ensure!(left > 0 || hidden, "no replica of the old program has left an event to the new one");
    for name in ["writer-a", "writer-b"] {
        fixture.end(name).await?;
    }
    if !hidden {
        bonuses(fixture).await?;
    }
    Ok(())
}

/// Waits until the view that only the new program has contains every bonus once, in order.
async fn bonuses(fixture: &Fixture) -> Result<()> {
    let began = Instant::now();
    loop {
        let found = database::bonuses(&fixture.effects_probe).await?;
        let booked = database::booked_bonuses(&fixture.source_probe).await?;
        ensure!(!booked.is_empty(), "the new program has booked no bonus");
        if found == booked {
            return Ok(());
        }
        let both = |of: &Vec<(String, u64)>| of.iter().cloned().collect::<BTreeSet<_>>().len();
        ensure!(
            began.elapsed() < fixture.patience,
            "the view {} has {} bonuses, {} of them different ones; the log has {}, or the order differs",
            BONUSES,
            found.len(),
            both(&found),
            booked.len()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the consumers' database has its tables.
pub(super) async fn wait_for_effects(fixture: &Fixture) -> Result<()> {
    let began = Instant::now();
    while database::count(&fixture.effects_probe).await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(60), "the consumers have created no tables in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
