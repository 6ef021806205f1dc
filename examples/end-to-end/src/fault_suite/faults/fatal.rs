//! A message that ends the process of its handler.
use super::consumer::GENTLE;
use crate::fault_suite::{
    check::Invariant::I9,
    fixture::Fixture,
    mirror,
    node::{HandlerBehaviour, Role},
    probes::database,
};
use anyhow::{Result, ensure};
use cqrs_core::RetryPolicy;
use std::time::{Duration, Instant};

/// The account and number of the credit with which the handler aborts its process.
const FATAL: (&str, u64) = ("k7", 20);
/// The members of the group.
const MEMBERS: [&str; 2] = ["consumer-a", "consumer-b"];
/// The time in which the processes start and the message is parked.
const PARKED_WITHIN: Duration = Duration::from_secs(120);
/// The time in which the subscriber goes on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(45);

/// One message aborts each process that handles it, and a supervisor starts the processes again. After the declared number
/// of ends the message is parked with the later ones of its account, and the other accounts go on. Then the cause is removed
/// and the operator redelivers the messages.
///
/// The members have static names or not, as the seed says. Without one, the partition of the message goes to the other
/// member.
pub(in crate::fault_suite) async fn message(fixture: &mut Fixture) -> Result<()> {
    let declared = RetryPolicy::default().crashes + 1; // the first end is not attributed to the message
    let is_seeded = fixture.template.seeded_bug.is_some();
    let is_static = is_seeded || fixture.random.bool();
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    let fatal = Some((FATAL.0.to_owned(), FATAL.1));
    for name in MEMBERS {
        fixture.start_with(name, Role::Consumer, |config| {
            config.instance = is_static.then(|| name.to_owned());
            config.serves_operations = true;
            config.behaviour = HandlerBehaviour { fatal: fatal.clone(), work: 5, ..HandlerBehaviour::default() };
        })?;
    }
    fixture.operator(MEMBERS[0], PARKED_WITHIN).await?; // the tables exist now
    fixture.watch_parked(|key| key == FATAL.0).await?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;

    let (began, mut ends) = (Instant::now(), 0);
    let parked = loop {
        if let Some(parked) = database::parked(&fixture.effects_probe).await?.into_iter().next() {
            break Some(parked);
        }
        if ends > declared {
            break None;
        }
        ensure!(began.elapsed() < PARKED_WITHIN, "{ends} processes have ended, and no message is parked");
        for name in MEMBERS {
            if !fixture.node(name)?.runs() {
                fixture.wait_for_crash(name).await?;
                ends += 1;
                fixture.restart(name, None)?;
            }
        }
        fixture.wait(Duration::from_millis(50)).await;
    };
    fixture.fact("ends", f64::from(ends));
    match &parked {
        None => fixture.violation(I9, format!("a message has ended {ends} processes and is not parked")),
        Some(_) if ends != declared => {
            fixture.violation(I9, format!("a message was parked after {ends} ends of its process, not {declared}"));
        }
        Some(parked) => {
            let error = format!("{} still has {} parked: ", mirror::GROUP, FATAL.0);
            ensure!(parked.starts_with(&error) && parked.contains("the process ended"), "{parked}");
        }
    }
    if parked.is_some() {
        fixture.wait_for_effect(GOES_ON_WITHIN).await?;
        let time = fixture.time(3.0);
        fixture.wait(time).await;
    }

    for name in MEMBERS {
        if parked.is_some() {
            fixture.end(name).await?
        } else {
            fixture.kill(name).await?
        }
        fixture.restart_with(name, |config| config.behaviour.fatal = None)?;
    }
    if parked.is_some() {
        redeliver(fixture).await?;
    }
    Ok(())
}

/// Redelivers the messages of the account. Those that arrive meanwhile wait behind the others and are handled as well.
async fn redeliver(fixture: &mut Fixture) -> Result<()> {
    let operator = fixture.operator(MEMBERS[0], GOES_ON_WITHIN).await?;
    let account = [("reader", mirror::GROUP), ("key", FATAL.0)];
    let (began, mut count) = (Instant::now(), 0);
    while !database::parked(&fixture.effects_probe).await?.is_empty() {
        ensure!(began.elapsed() < GOES_ON_WITHIN, "messages are still parked after {count} were redelivered");
        let done = operator.post("/parked/redeliver", &account).await?;
        ensure!(done["stopped"].is_null(), "the redelivery has stopped: {}", done["stopped"]);
        count += done["count"].as_u64().unwrap_or_default();
    }
    ensure!(count > 0, "nothing was redelivered");
    fixture.fact("redelivered", count as f64);
    Ok(())
}
