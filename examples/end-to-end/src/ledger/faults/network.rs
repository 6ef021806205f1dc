//! Faults of the network between nodes and servers: cut, refused, swallowed, slow; and answers that never arrive.
use crate::ledger::{node::Role, stage::Stage};
use anyhow::Result;
use std::time::{Duration, Instant};
use test_support::Proxy;

/// A network between nodes and PostgreSQL.
async fn to_postgres(stage: &Stage) -> Result<Proxy> {
    Ok(Proxy::to(stage.parts.postgres.address()).await?)
}
/// The same database by way of the network.
fn through(stage: &Stage, url: &str, network: &Proxy) -> String {
    url.replace(&stage.parts.postgres.address(), &network.address().to_string())
}

/// Both networks, one after the other: nothing gets through and nobody is told; then connections break; then none is taken; then all
/// of it is slow.
pub(in crate::ledger) async fn cut(stage: &mut Stage) -> Result<()> {
    let postgres = to_postgres(stage).await?;
    let kafka = stage.parts.kafka()?.proxy().await?;
    (stage.database, stage.effects) =
        (through(stage, &stage.database, &postgres), through(stage, &stage.effects, &postgres));
    stage.kafka = kafka.address().to_string();
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)] {
        stage.start(name, role)?;
    }
    stage.pass(Duration::from_secs(3)).await;
    for network in [&postgres, &kafka] {
        network.blackhole(true);
        let time = stage.time(2.0);
        stage.pass(time).await;
        network.cut().await;
        network.blackhole(false);
        stage.disturbed();
        stage.pass(Duration::from_secs(1)).await;
        network.refuse(true).await?;
        network.cut().await;
        stage.pass(Duration::from_secs(1)).await;
        network.refuse(false).await?;
        stage.disturbed();
        network.delay(Duration::from_millis(40));
        stage.pass(time).await;
        network.delay(Duration::ZERO);
        stage.pass(Duration::from_secs(1)).await;
    }
    // What goes on until everything has arrived goes on by this way.
    stage.hold(postgres);
    stage.hold(kafka);
    Ok(())
}

/// What the writers send arrives, COMMIT too, and the answer does not.
pub(in crate::ledger) async fn answers_lost(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        stage.start(name, role)?;
    }
    let network = to_postgres(stage).await?;
    let database = through(stage, &stage.database, &network);
    stage.start_with("writer", Role::Writer, |it| it.database = database)?;
    stage.pass(Duration::from_secs(2)).await;
    lose_answers(stage, &network, 13.0).await?;
    let asked = stage.said("writer").matches("asked again").count();
    stage.fact("asked again", asked as f64);
    stage.hold(network);
    Ok(())
}

/// What the relay publishes arrives, and the acknowledgement does not.
pub(in crate::ledger) async fn acknowledgements_lost(stage: &mut Stage) -> Result<()> {
    stage.start("projection", Role::Projection)?;
    let network = stage.parts.kafka()?.proxy().await?;
    let kafka = network.address().to_string();
    stage.start_with("relay", Role::Relay, |it| it.kafka = kafka)?;
    stage.start("writer", Role::Writer)?;
    stage.pass(Duration::from_secs(2)).await;
    lose_answers(stage, &network, 13.0).await?;
    stage.hold(network);
    Ok(())
}

async fn lose_answers(stage: &mut Stage, network: &Proxy, seconds: f64) -> Result<()> {
    let until = Instant::now() + stage.time(seconds);
    while Instant::now() < until {
        network.hold_answers(true);
        let held = Duration::from_millis(stage.chance.u64(10..120));
        stage.pass(held).await;
        network.cut().await;
        network.hold_answers(false);
        let calm = Duration::from_millis(stage.chance.u64(200..600));
        stage.pass(calm).await;
    }
    Ok(())
}
