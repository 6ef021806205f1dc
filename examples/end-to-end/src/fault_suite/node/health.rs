//! The health of a node, for observers outside of its process.
use super::Config;
use cqrs_core::App;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// The interval between two reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// Writes the errors of the app's components to the node's file until the process ends, if the configuration says so.
pub(super) fn report(app: &App, config: &Config) {
    if !config.reports_health {
        return;
    }
    let (app, file) = (app.clone(), config.file("health"));
    tokio::spawn(async move {
        loop {
            let components = app.health().await.components;
            let errors: BTreeMap<_, _> =
                components.into_iter().filter_map(|component| Some((component.name, component.error?))).collect();
            if let Err(error) = replace(&file, &errors) {
                tracing::warn!(%error, "the health of the node cannot be written");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

/// Replaces the file as a whole, so that a reader never sees a part of it.
fn replace(file: &Path, errors: &BTreeMap<&str, String>) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, serde_json::to_vec(errors)?)?;
    Ok(fs::rename(new, file)?)
}
