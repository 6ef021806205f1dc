//! The subcommand `topics accept` for a service's own command line.
use crate::{app::App, error::BoxError};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

/// Accepts a topic that was created again, or the loss of records that the broker dropped before they were read.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving.
/// It may run while the service runs.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum TopicsCommand {
    /// Accepts the topic that exists now. Its readers begin at its first record if it is another one than before.
    Accept {
        /// The topic, as the health component `topics` names it.
        topic: String,
    },
}

impl TopicsCommand {
    /// Migrates the database, runs the subcommand and prints its output.
    ///
    /// # Errors
    /// Fails as [`App::accept_topic`] does, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the source when
    /// the database belongs to another service. It has changed nothing then.
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        let TopicsCommand::Accept { topic } = self;
        app.migrate_for_command().await?;
        let accepted = app.accept_topic(topic).await?;
        let output = json!({ "topic": topic, "was_refused": accepted.was_refused, "lost": accepted.lost });
        println!("{output:#}");
        Ok(ExitCode::SUCCESS)
    }
}
