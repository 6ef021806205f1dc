//! Reads the log while the writers append to it, up to each high-water mark, and records the entries.
use super::{Config, ShutdownReport, app};
use crate::fault_suite::account::{Credited, account_of};
use anyhow::{Context, Result};
use cqrs_core::{App, Fault, Position};
use std::{
    fs::File,
    io::{BufWriter, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

const PAGE: usize = 500;
/// The interval of polling. It is short, so that the reader often meets a commit in progress.
const INTERVAL: Duration = Duration::from_millis(5);

pub(super) async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let mut stop = std::pin::pin!(stop);
    let app = app::app(&config).await?;
    let mut seen = BufWriter::new(File::create(config.file("read"))?);
    let (mut checkpoint, mut stopping_since) = (Position(0), None);
    loop {
        match read(&app, checkpoint, &mut seen).await {
            Ok(upto) if upto == checkpoint && stopping_since.is_some() => break,
            Ok(upto) => checkpoint = upto,
            Err(error) => tracing::warn!(%error, "the log could not be read; trying again"),
        }
        tokio::select! {
            () = &mut stop, if stopping_since.is_none() => stopping_since = Some(Instant::now()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
    seen.flush()?;
    let milliseconds = stopping_since.map_or(0, |since: Instant| since.elapsed().as_millis() as u64);
    config.write_report(&ShutdownReport { drained: true, milliseconds })?;
    Ok(ExitCode::SUCCESS)
}

/// Appends the entries after a position to the file and returns the position up to which it has read.
async fn read(app: &App, after: Position, seen: &mut impl Write) -> Result<Position> {
    let fault = |fault: Fault| anyhow::Error::new(fault);
    let upto = app.storage().high_water_mark().await.map_err(fault)?;
    let entries = app.storage().log(after, upto, cqrs_core::storage::ReadLimit::entries(PAGE)).await.map_err(fault)?;
    let to = if entries.len() < PAGE { upto } else { entries.last().map_or(upto, |entry| entry.position) };
    for entry in entries {
        let credited: Credited = serde_json::from_slice(&entry.payload).context("not a credit")?;
        serde_json::to_writer(&mut *seen, &credited.posting(account_of(&entry.stream)?, entry.position.0))?;
        seen.write_all(b"\n")?;
    }
    Ok(to)
}
