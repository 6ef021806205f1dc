//! The subcommand `parked list | show | redeliver | discard` for a service's own command line.
use super::{PAGE, key, message, redelivery};
use crate::{app::App, error::BoxError, metadata::Metadata};
use clap::Subcommand;
use serde_json::{Value, json};

/// Lists, shows, redelivers and discards parked messages: those that could not be handled, and the later ones of their
/// keys.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving.
/// It may run while the service runs.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum ParkedCommand {
    /// Lists every key with parked messages.
    List,
    /// Shows the parked messages of one key in order, a page at a time.
    Show {
        /// The reader that could not handle the first of them, as `list` prints it.
        reader: String,
        /// The key, as `list` prints it.
        key: String,
        /// Include the data, in base64.
        #[arg(long)]
        body: bool,
        /// Show only the messages after this number: the last number of the previous page.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// The largest number of messages to show.
        #[arg(long, default_value_t = PAGE)]
        limit: usize,
    },
    /// Handles the parked messages of one key again, in order, until one fails. Try it with --dry-run first.
    Redeliver {
        /// The reader that could not handle the first of them, as `list` prints it.
        reader: String,
        /// The key, as `list` prints it.
        key: String,
        /// Only print which messages would be redelivered.
        #[arg(long)]
        dry_run: bool,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Removes one parked message without handling it. This reader never handles it.
    Discard {
        /// The reader that could not handle it, as `list` prints it.
        reader: String,
        /// The key, as `list` prints it.
        key: String,
        /// The message's number, as `show` prints it.
        number: u64,
        /// The reason, which is stored in the log.
        #[arg(long)]
        why: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
}

impl ParkedCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when a redelivery stopped or there was no
    /// message to discard.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        let parked = app.parked();
        Ok(match self {
            ParkedCommand::List => {
                let keys = parked.list().await?;
                (keys.iter().map(|parked| key(app.service(), parked)).collect(), true)
            }
            ParkedCommand::Show { reader, key, body, after, limit } => {
                let messages = parked.show(reader, key, *after, *limit).await?;
                (messages.iter().map(|parked| message(parked, *body)).collect(), true)
            }
            ParkedCommand::Redeliver { reader, key, dry_run, by } => {
                let done = match dry_run {
                    true => parked.dry_run(reader, key).await?,
                    false => parked.redeliver(reader, key, &Metadata::default().caller(by)).await?,
                };
                (redelivery(&done, *dry_run), done.stopped.is_none())
            }
            ParkedCommand::Discard { reader, key, number, why, by } => {
                let gone = parked.discard(reader, key, *number, why, &Metadata::default().caller(by)).await?;
                (json!({ "discarded": gone }), gone)
            }
        })
    }
    /// Migrates the database, runs the subcommand and prints its output. The exit code is 0 when everything was done,
    /// and 1 otherwise.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn print(&self, app: &App) -> Result<std::process::ExitCode, BoxError> {
        // Without the declaration of this program, which does not run.
        app.storage().migrate().await?;
        let (output, done) = self.run(app).await?;
        println!("{output:#}");
        Ok(if done { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
    }
}
