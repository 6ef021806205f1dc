//! The subcommand `personal forget | export | admit-again | rotate` for a service's own command line.
use crate::{app::App, error::BoxError, metadata::Metadata};
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Forgets subjects of personal data, exports their data, and rotates the master key.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving.
/// It may run while the service runs, except on SQLite.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum PersonalCommand {
    /// Forgets a subject: removes its keys, so that its personal values are unreadable. It cannot be undone. The
    /// running service publishes the event. Run it again if it is interrupted.
    Forget {
        /// The subject, such as the id of a user.
        subject: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Prints the personal data of a subject. The output is as confidential as the data.
    Export {
        /// The subject, such as the id of a user.
        subject: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Lets a subject that was forgotten have new personal values. Its former values stay erased.
    AdmitAgain {
        /// The subject, such as the id of a user.
        subject: String,
    },
    /// Wraps the keys of all subjects with the current master key, which is the first one in the settings.
    Rotate,
}

impl PersonalCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when a view could not be written again.
    ///
    /// # Errors
    /// Fails with a [`PersonalError`](crate::app::PersonalError).
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        Ok(match self {
            PersonalCommand::Forget { subject, by } => {
                let forgotten = app.forget(subject, &Metadata::default().caller(by)).await?;
                let is_complete = forgotten.failures.is_empty();
                (serde_json::to_value(forgotten)?, is_complete)
            }
            PersonalCommand::Export { subject, by } => {
                (serde_json::to_value(app.export(subject, &Metadata::default().caller(by)).await?)?, true)
            }
            PersonalCommand::AdmitAgain { subject } => {
                app.admit_again(subject).await?;
                (json!({ "subject": subject, "admitted": true }), true)
            }
            PersonalCommand::Rotate => (json!({ "rotated": app.rotate_master_key().await? }), true),
        })
    }
    /// Migrates the database, runs the subcommand and prints its output. The exit code is 0 when everything was done,
    /// and 1 when a view could not be written again.
    ///
    /// # Errors
    /// Fails as [`run`](PersonalCommand::run) does, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the
    /// source when the database belongs to another service, or with a
    /// [`MissingMasterKey`](crate::personal::MissingMasterKey).
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        app.migrate_for_command().await?;
        let (output, is_complete) = self.run(app).await?;
        println!("{output:#}");
        Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        personal: PersonalCommand,
    }

    #[test]
    fn a_subject_is_required_and_the_operator_is_named() {
        CommandLine::command().debug_assert();
        let is_accepted = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).is_ok();
        assert!(
            ["p forget u1 --by kim", "p export u1 --by kim", "p admit-again u1", "p rotate"]
                .into_iter()
                .all(is_accepted)
        );
        assert!(!is_accepted("p forget") && !is_accepted("p export") && !is_accepted("p rotate u1"));
    }
}
