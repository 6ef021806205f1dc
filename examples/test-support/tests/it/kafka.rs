//! Tests of the Kafka node: it is killed, frozen, stopped and reached through a proxy.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use test_support::{Kafka, Operation, Resource, Right, Trials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a broker responds with its address", answers)
        .test("a killed broker is down until it is started again", killed)
        .test("a frozen broker does not respond until it is resumed", frozen)
        .test("a broker stops in an orderly way even when frozen", stopped)
        .test("clients of the proxy always connect through it", proxy)
        .test("a broker that checks no rights refuses to change them", rights)
}

async fn answers(kafka: &'static Kafka) -> Result<()> {
    let port = kafka.bootstrap().rsplit_once(':').context("host:port")?.1;
    assert_eq!(advertised_port(kafka.bootstrap()).await?.to_string(), port);
    Ok(())
}

async fn killed(kafka: Kafka) -> Result<()> {
    kafka.kill()?;
    let gone = TcpStream::connect(kafka.bootstrap()).await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    assert!(kafka.freeze().is_err(), "a broker that is not running cannot be frozen");
    kafka.start_again()?;
    advertised_port(kafka.bootstrap()).await?;
    Ok(())
}

async fn frozen(kafka: Kafka) -> Result<()> {
    kafka.freeze()?;
    kafka.freeze()?; // freezing again changes nothing
    let mut waiting = Box::pin(advertised_port(kafka.bootstrap()));
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    kafka.thaw()?;
    waiting.await?;
    Ok(())
}

async fn stopped(kafka: Kafka) -> Result<()> {
    kafka.freeze()?;
    kafka.stop()?;
    assert!(TcpStream::connect(kafka.bootstrap()).await.is_err());
    kafka.start_again()
}

async fn proxy(kafka: Kafka) -> Result<()> {
    let network = kafka.proxy().await?;
    let address = network.address().to_string();
    assert_eq!(advertised_port(&address).await?, network.address().port());
    network.blackhole(true);
    assert!(timeout(Duration::from_secs(1), advertised_port(&address)).await.is_err());
    network.blackhole(false);
    advertised_port(&address).await?;
    Ok(())
}

async fn rights(kafka: &'static Kafka) -> Result<()> {
    let write = Right { resource: Resource::Topic("orders"), operation: Operation::Write };
    let refused = [kafka.grant(write), kafka.revoke(write)];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    Ok(())
}

/// Returns the port that the broker at this address advertises in its Metadata response.
async fn advertised_port(address: &str) -> Result<u16> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0]).await?;
    let mut answer = vec![0; connection.read_u32().await?.try_into()?];
    connection.read_exact(&mut answer).await?;
    // correlation id, number of brokers, node id, host, port
    let host = u16::from_be_bytes([answer[12], answer[13]]);
    let port = 14 + usize::from(host) + 2; // ports fit the lower half of their four bytes
    Ok(u16::from_be_bytes([answer[port], answer[port + 1]]))
}
