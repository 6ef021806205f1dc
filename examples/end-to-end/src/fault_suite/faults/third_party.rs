//! A third party that the subscriber's handler calls is down.
use crate::fault_suite::{
    fixture::Fixture,
    node::{AGREES, HandlerBehaviour, Role},
    probes::database,
};
use anyhow::{Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use test_support::Proxy;
use tokio::{io::AsyncWriteExt, net::TcpListener};

/// Commands per second. They go on for a minute in which the subscriber handles next to nothing.
const SLOW: u64 = 2;
/// The time in which the circuit breaker opens.
const PAUSED_WITHIN: Duration = Duration::from_secs(20);
/// The time in which the subscriber goes on. Its longest wait between two attempts is 30 s.
const GOES_ON_WITHIN: Duration = Duration::from_secs(45);

/// A server that answers every connection, and then closes it.
async fn third_party() -> Result<(String, Arc<AtomicBool>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, is_busy) = (listener.local_addr()?.to_string(), Arc::new(AtomicBool::new(false)));
    let busy = is_busy.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = if busy.load(Ordering::SeqCst) { "busy" } else { AGREES };
            let _ = client.write_all(answer.as_bytes()).await; // the subscriber may have been stopped
        }
    });
    Ok((address, is_busy))
}

/// For half a minute the third party refuses connections, an error that is known to be transient: no message is parked.
/// For another half it answers that it is busy, which could as well be the fault of a message: the circuit breaker pauses
/// the subscriber, and in the end nothing stays parked.
pub(in crate::fault_suite) async fn outage(fixture: &mut Fixture) -> Result<()> {
    if fixture.template.seeded_bug.is_none() {
        fixture.patience = GOES_ON_WITHIN;
    }
    let (address, is_busy) = third_party().await?;
    let network = Proxy::to(address).await?;
    let third_party = Some(network.address().to_string());
    fixture.start("relay", Role::Relay)?;
    fixture.start_with("consumer", Role::Consumer, |config| {
        config.behaviour = HandlerBehaviour { third_party, ..HandlerBehaviour::default() };
        config.reports_health = true;
    })?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = SLOW)?;
    fixture.wait(Duration::from_secs(5)).await;
    fixture.wait_for_effect(GOES_ON_WITHIN).await?;
    database::record_parked(&fixture.effects_probe).await?;

    network.refuse(true).await?;
    network.cut().await;
    let time = fixture.time(30.0);
    fixture.wait(time).await;
    network.refuse(false).await?;
    fixture.wait_for_effect(GOES_ON_WITHIN).await?;
    let parked = database::were_parked(&fixture.effects_probe).await?;
    ensure!(
        parked.is_empty(),
        "{} messages were parked although nothing but a third party was down: {:?}",
        parked.len(),
        parked[0]
    );

    is_busy.store(true, Ordering::SeqCst);
    // With the bug the breaker does not open, and every account is parked in the end.
    if fixture.template.seeded_bug.is_none() {
        let error = fixture.wait_for_unhealthy("consumer", "circuit_breakers", "third party", PAUSED_WITHIN).await?;
        ensure!(error.contains("faults.mirror"), "the open circuit breaker is not that of the group: {error}");
    }
    fixture.wait(time).await;
    let parked = database::were_parked(&fixture.effects_probe).await?.len();
    fixture.fact("parked for a time", parked as f64);
    is_busy.store(false, Ordering::SeqCst);
    fixture.hold(network);
    if fixture.template.seeded_bug.is_none() {
        fixture.wait_for_healthy("consumer", "circuit_breakers", GOES_ON_WITHIN).await?;
        fixture.wait_for_effect(GOES_ON_WITHIN).await?;
    }
    Ok(())
}
