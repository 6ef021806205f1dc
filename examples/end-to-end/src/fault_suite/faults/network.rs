//! Faults of the network between nodes and servers: cut, refused, dropped or slow, and responses that never arrive.
use crate::fault_suite::{fixture::Fixture, node::Role};
use anyhow::Result;
use std::time::{Duration, Instant};
use test_support::Proxy;

/// Starts a proxy between nodes and PostgreSQL.
pub(super) async fn to_postgres(fixture: &Fixture) -> Result<Proxy> {
    Ok(Proxy::to(fixture.servers.postgres.address()).await?)
}
/// Returns the URL of a database through the proxy.
pub(super) fn through(fixture: &Fixture, url: &str, network: &Proxy) -> String {
    url.replace(&fixture.servers.postgres.address(), &network.address().to_string())
}

/// For both networks, one after the other: packets are dropped silently, then connections are cut, then refused, then
/// slow.
pub(in crate::fault_suite) async fn cut(fixture: &mut Fixture) -> Result<()> {
    let postgres = to_postgres(fixture).await?;
    let kafka = fixture.servers.kafka()?.proxy().await?;
    (fixture.database, fixture.effects) =
        (through(fixture, &fixture.database, &postgres), through(fixture, &fixture.effects, &postgres));
    fixture.kafka = kafka.address().to_string();
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)] {
        fixture.start(name, role)?;
    }
    fixture.wait(Duration::from_secs(3)).await;
    for network in [&postgres, &kafka] {
        network.blackhole(true);
        let time = fixture.time(2.0);
        fixture.wait(time).await;
        network.cut().await;
        network.blackhole(false);
        fixture.disturbed();
        fixture.wait(Duration::from_secs(1)).await;
        network.refuse(true).await?;
        network.cut().await;
        fixture.wait(Duration::from_secs(1)).await;
        network.refuse(false).await?;
        fixture.disturbed();
        network.delay(Duration::from_millis(40));
        fixture.wait(time).await;
        network.delay(Duration::ZERO);
        fixture.wait(Duration::from_secs(1)).await;
    }
    // The nodes use the proxies until everything has arrived.
    fixture.hold(postgres);
    fixture.hold(kafka);
    Ok(())
}

/// Statements of the writers arrive, COMMIT included, and the responses do not.
pub(in crate::fault_suite) async fn responses_lost(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    let network = to_postgres(fixture).await?;
    let database = through(fixture, &fixture.database, &network);
    fixture.start_with("writer", Role::Writer, |config| config.database = database)?;
    fixture.wait(Duration::from_secs(2)).await;
    lose_responses(fixture, &network, 13.0).await?;
    let repeated = fixture.log_of("writer").matches("sending the command again").count();
    fixture.fact("sent again", repeated as f64);
    fixture.hold(network);
    Ok(())
}

/// Records of the relay arrive, and the acknowledgements do not.
pub(in crate::fault_suite) async fn acknowledgements_lost(fixture: &mut Fixture) -> Result<()> {
    fixture.start("projection", Role::Projection)?;
    let network = fixture.servers.kafka()?.proxy().await?;
    let kafka = network.address().to_string();
    fixture.start_with("relay", Role::Relay, |config| config.kafka = kafka)?;
    fixture.start("writer", Role::Writer)?;
    fixture.wait(Duration::from_secs(2)).await;
    lose_responses(fixture, &network, 13.0).await?;
    fixture.hold(network);
    Ok(())
}

async fn lose_responses(fixture: &mut Fixture, network: &Proxy, seconds: f64) -> Result<()> {
    let until = Instant::now() + fixture.time(seconds);
    while Instant::now() < until {
        network.hold_answers(true);
        let held = Duration::from_millis(fixture.random.u64(10..120));
        fixture.wait(held).await;
        network.cut().await;
        network.hold_answers(false);
        let pause = Duration::from_millis(fixture.random.u64(200..600));
        fixture.wait(pause).await;
    }
    Ok(())
}
