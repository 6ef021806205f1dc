//! Relay, subscriber, projection, query server and the services with timers: runs the background jobs until SIGTERM.
use super::{Config, REFUSED, Role, ShutdownReport, app, health, operations, queries};
use crate::fault_suite::layers::SeededBug;
use anyhow::Result;
use cqrs_core::app::DRAIN;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

pub(super) async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let mut stop = std::pin::pin!(stop);
    let app = app::app(&config).await?;
    health::report(&app, &config);
    let program = operations::serve(&app, &config).await?;
    let background = loop {
        match app.start().await {
            Ok(background) => break background,
            Err(fault) if app::is_refusal(&fault) => {
                let fault = anyhow::Error::new(fault);
                eprintln!("the start was refused: {fault:#}");
                return Ok(ExitCode::from(REFUSED));
            }
            Err(fault) => tracing::warn!(%fault, "the background jobs could not start; trying again"),
        }
        tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    };
    program.iter().for_each(cqrs_core::operations::Program::mark_ready);
    let reading = (config.role == Role::Queries).then(|| tokio::spawn(queries::read(app.clone(), config.clone())));
    stop.await;
    if let Some(reading) = reading {
        reading.abort();
    }
    let began = Instant::now();
    let drained = match config.seeded_bug {
        Some(SeededBug::ExitAtOnce) => {
            drop(background);
            true
        }
        _ => background.stop(DRAIN).await,
    };
    config.write_report(&ShutdownReport { drained, milliseconds: began.elapsed().as_millis() as u64 })?;
    Ok(ExitCode::SUCCESS)
}
