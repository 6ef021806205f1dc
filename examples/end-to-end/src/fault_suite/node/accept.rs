//! The operator's command `topics accept`, as a process of its own beside the running nodes.
use super::{Config, app};
use anyhow::Result;
use std::process::ExitCode;

/// Accepts a topic as `cqrs_core::operations::TopicsCommand` does, without its command line.
pub(super) async fn run(config: Config, topic: &str) -> Result<ExitCode> {
    let app = app::app(&config).await?;
    app.storage().migrate().await.map_err(anyhow::Error::new)?;
    let accepted = app.accept_topic(topic).await.map_err(anyhow::Error::new)?;
    println!("{accepted:?}");
    Ok(if accepted.was_refused { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
