//! The operator's command `views rebuild`, as a process of its own beside the running nodes.
use super::{Config, app};
use crate::fault_suite::deploy::LEDGER;
use anyhow::Result;
use cqrs_core::{
    App,
    app::{CopyUse, RebuildEnd, RebuildError, Rebuilt},
};
use serde::{Deserialize, Serialize};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// The time in which the lease of a killed rebuild expires.
const PATIENCE: Duration = Duration::from_secs(60);
/// The wait for the lease of another process.
const INTERVAL: Duration = Duration::from_millis(100);

/// The report of a rebuild that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyReport {
    /// The number of the rebuilt copy.
    pub copy: u64,
    /// The number of events that this run has read.
    pub events: u64,
    /// The number of keys under which the rebuilt copy and the one that served had different values at one position.
    pub different: u64,
}

/// Drops the former copy, if there is one, then rebuilds the view and switches.
pub(super) async fn run(config: Config) -> Result<ExitCode> {
    let app = app::app(&config).await?;
    app.storage().migrate().await.map_err(anyhow::Error::new)?;
    let began = Instant::now();
    let rebuilt = loop {
        match rebuilt(&app).await {
            Err(RebuildError::Busy) if began.elapsed() < PATIENCE => tokio::time::sleep(INTERVAL).await,
            ended => break ended?,
        }
    };
    println!("{rebuilt:?}");
    let Rebuilt { copy, end, events, different, .. } = rebuilt;
    std::fs::write(config.file("rebuilt"), serde_json::to_vec(&CopyReport { copy, events, different })?)?;
    Ok(if end == RebuildEnd::Switched { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn rebuilt(app: &App) -> Result<Rebuilt, RebuildError> {
    // A run that was killed after its switch has left the former copy.
    let is_left = |of| matches!(of, CopyUse::Former | CopyUse::Dropping);
    let copies = app.view_copies().await?;
    if copies.iter().any(|copies| copies.view == LEDGER && copies.other.is_some_and(|(_, of)| is_left(of))) {
        app.drop_other_copy(LEDGER).await?;
    }
    app.rebuild(LEDGER).run().await
}
