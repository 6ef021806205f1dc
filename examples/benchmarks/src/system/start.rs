//! The time from the start of a program until it is ready, with data that an earlier start has made, and the memory of
//! the idle all-in-one.
use super::{Binaries, Child, Server, child::free_address, deployed, embedded};
use crate::{header::Header, person::Api, statistics::Spread};
use anyhow::{Result, ensure};
use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};
use test_support::Kafka;

/// The time limit of one start.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two questions whether a program is ready, which is the error of a measurement.
const TICK: Duration = Duration::from_millis(1);
/// The time without requests before the memory is read: background work of the start has ended by then.
const IDLE: Duration = Duration::from_secs(20);

/// Measures the starts and the memory, and returns them as Markdown.
///
/// # Errors
/// Fails when a program does not become ready.
pub(crate) async fn measure(checkout: &Path, starts: u32) -> Result<String> {
    let binaries = Binaries::build(checkout)?;
    let (server, kafka) = (Server::start().await?, Kafka::start()?);
    let mut header = Header::of_machine(checkout);
    header.add("database", server.describe().await?);
    header.add("starts", format!("{starts} of each program, after one that migrates its database"));
    let mut table = String::from("| program | ready after, ms | memory when idle, MiB |\n|---|--:|--:|\n");
    for name in deployed::SERVICES {
        let folder = tempfile::tempdir()?;
        let (database, listen, operations) = (server.database(name)?, free_address()?, free_address()?);
        let settings = deployed::service(&listen, database.url(), kafka.bootstrap());
        let arguments = [&settings[..], &["--operations", &operations]].concat();
        let start = || Child::start(name, &binaries.path(name), &arguments, folder.path());
        let (times, mut child) = ready(start, &operations, starts).await?;
        row(&mut table, name, times, memory(&mut child).await?);
    }
    let folder = tempfile::tempdir()?;
    let (rest, grpc, operations) = (free_address()?, free_address()?, free_address()?);
    let data = folder.path().join("data").display().to_string();
    let arguments = ["--listen", &rest, "--grpc", &grpc, "--data", &data, "--operations", &operations];
    let start = || Child::start(embedded::PACKAGE, &binaries.path(embedded::PACKAGE), &arguments, folder.path());
    let (times, mut child) = ready(start, &operations, starts).await?;
    ensure!(Api::new(format!("http://{rest}"))?.is_ready().await, "the all-in-one does not serve a first visit");
    row(&mut table, embedded::PACKAGE, times, memory(&mut child).await?);
    Ok(format!("# Starts\n\n{}\n{table}", header.end().markdown()))
}

/// Starts the program once to prepare its data and then several times more, each time after the one before was killed.
/// Returns the times in milliseconds and the last process, which still runs.
async fn ready(start: impl Fn() -> Result<Child>, operations: &str, starts: u32) -> Result<(Spread, Child)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{operations}/health/ready");
    let (mut times, mut last) = (Vec::new(), None::<Child>);
    for number in 0..=starts {
        if let Some(child) = last.take() {
            child.kill().await?;
        }
        let began = Instant::now();
        let mut child = start()?;
        while !client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
            child.check()?;
            ensure!(began.elapsed() < PATIENCE, "not ready within {PATIENCE:?}\n{}", child.last_lines());
            tokio::time::sleep(TICK).await;
        }
        if number > 0 {
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        last = Some(child);
    }
    let (Some(times), Some(child)) = (Spread::of(times), last) else { anyhow::bail!("no start was measured") };
    Ok((times, child))
}

/// Reads the memory in MiB after the program was idle. The process must still run.
async fn memory(child: &mut Child) -> Result<Option<f64>> {
    tokio::time::sleep(IDLE).await;
    child.check()?;
    Ok(child.resident().map(|kibibytes| kibibytes as f64 / 1024.0))
}

fn row(table: &mut String, name: &str, times: Spread, memory: Option<f64>) {
    let Spread { median, min, max } = times;
    let memory = memory.map_or_else(|| "-".to_owned(), |memory| format!("{memory:.1}"));
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {name} | {median:.0} ({min:.0}..{max:.0}) | {memory} |");
}
