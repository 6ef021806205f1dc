//! Reads the log beside the writers, from horizon to horizon, and notes what it saw.
use super::{Config, Goodbye, app};
use crate::ledger::account::Credited;
use anyhow::{Context, Result};
use cqrs_core::{Fault, Position, Running};
use std::{
    fs::File,
    io::{BufWriter, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

const AT_ONCE: usize = 500;
/// It does not wait to be told: the more often it looks, the more there is to miss.
const LOOK: Duration = Duration::from_millis(5);

pub(super) async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let mut stop = std::pin::pin!(stop);
    let app = app::app(&config).await?;
    let mut seen = BufWriter::new(File::create(config.file("feed"))?);
    let (mut at, mut asked) = (Position(0), None);
    loop {
        match read(&app, at, &mut seen).await {
            Ok(upto) if upto == at && asked.is_some() => break,
            Ok(upto) => at = upto,
            Err(error) => tracing::warn!(%error, "the feed cannot be read now"),
        }
        tokio::select! {
            () = &mut stop, if asked.is_none() => asked = Some(Instant::now()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    seen.flush()?;
    let milliseconds = asked.map_or(0, |it: Instant| it.elapsed().as_millis() as u64);
    config.say(&Goodbye { drained: true, milliseconds })?;
    Ok(ExitCode::SUCCESS)
}

/// What is new, and where it ends.
async fn read(app: &Running, after: Position, seen: &mut impl Write) -> Result<Position> {
    let fault = |fault: Fault| anyhow::Error::new(fault);
    let upto = app.storage().horizon().await.map_err(fault)?;
    let entries = app.storage().log(after, upto, AT_ONCE).await.map_err(fault)?;
    let to = if entries.len() < AT_ONCE { upto } else { entries.last().map_or(upto, |it| it.position) };
    for entry in entries {
        let credited: Credited = serde_json::from_slice(&entry.payload).context("not a credit")?;
        serde_json::to_writer(&mut *seen, &credited.posting(entry.position.0))?;
        seen.write_all(b"\n")?;
    }
    Ok(to)
}
