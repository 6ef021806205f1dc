//! The subcommand `epoch renew` for a service's own command line.
use crate::{app::App, error::BoxError};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

/// Gives the service's database a new epoch after a backup was restored.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving. No
/// process of the service may run meanwhile: it would go on with the epoch from its start.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum EpochCommand {
    /// Begins a new epoch. Consistency tokens from before are refused from then on.
    Renew,
}

impl EpochCommand {
    /// Migrates the database, runs the subcommand and prints its output.
    ///
    /// # Errors
    /// Fails as [`App::renew_epoch`] does.
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        let EpochCommand::Renew = self;
        app.migrate_for_command().await?;
        let epoch = app.renew_epoch().await?;
        println!("{:#}", json!({ "service": app.service(), "epoch": epoch.to_string() }));
        Ok(ExitCode::SUCCESS)
    }
}
