//! The reads of a query server. Each has the token of a committed position, and is recorded with its answer.
use super::Config;
use crate::fault_suite::{
    check::Answer,
    deploy::{Ledger, query::FindLedger},
};
use anyhow::Result;
use cqrs_core::{App, Metadata};
use std::{fs::File, io::Write, time::Duration};

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads one account after the other until the task is aborted.
pub(super) async fn read(app: App, config: Config) {
    if let Err(error) = record(&app, &config).await {
        tracing::error!(%error, "the answers of the query server cannot be recorded");
    }
}

/// Records every answer. A read that is refused for a time has none.
async fn record(app: &App, config: &Config) -> Result<()> {
    let mut file = File::create(config.file("answers"))?;
    let mut random = fastrand::Rng::with_seed(config.seed ^ (config.start << 16));
    loop {
        tokio::time::sleep(PAUSE).await;
        let Ok(position) = app.storage().high_water_mark().await else { continue };
        let key = format!("k{}", random.u64(0..config.writing.keys));
        let metadata = Metadata::default().token(app.token(position));
        match app.with(metadata).send(FindLedger(key.clone())).await {
            Ok(found) => {
                let answer = Answer { key, at: position.0, tally: found.map(|Ledger(tally)| tally) };
                file.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes())?;
            }
            Err(error) => tracing::debug!(key, %error, "a read was refused"),
        }
    }
}
