//! `parked list|show|replay|discard` for a service's own command line.
use super::{PAGE, key, message, replay};
use crate::{BoxError, Metadata, Running};
use clap::Subcommand;
use serde_json::{Value, json};

/// What could not be handled and waits aside, each message with those of its key behind it. Answers are JSON.
///
/// A program takes it as a subcommand, builds its app as ever, and runs this instead of serving. It may run beside the service.
#[derive(Debug, Clone, Subcommand)]
pub enum ParkedCommand {
    /// Every key with something parked.
    List,
    /// The messages of one key, in order, a page at a time.
    Show {
        /// Who could not handle the first of them, as `list` says.
        reader: String,
        /// The key, as `list` says.
        key: String,
        /// With the data, in base64.
        #[arg(long)]
        body: bool,
        /// Those after the message of this number: the last one of the page before.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many at most.
        #[arg(long, default_value_t = PAGE)]
        limit: usize,
    },
    /// Handles the messages of one key, in order, until one fails. Try it with --dry-run first.
    Replay {
        /// Who could not handle the first of them.
        reader: String,
        /// The key.
        key: String,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// Who does it: kept in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Takes one message away without handling it: for this reader it is lost.
    Discard {
        /// Who could not handle it.
        reader: String,
        /// Its key.
        key: String,
        /// Its number, as `show` says.
        number: u64,
        /// Why: kept in the log.
        #[arg(long)]
        why: String,
        /// Who does it: kept in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
}

impl ParkedCommand {
    /// Does it, and says what came of it. `false` when a replay stopped or there was nothing to discard.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, app: &Running) -> Result<(Value, bool), BoxError> {
        let parked = app.parked();
        Ok(match self {
            ParkedCommand::List => {
                let keys = parked.list().await?;
                (keys.iter().map(|it| key(app.service(), it)).collect(), true)
            }
            ParkedCommand::Show { reader, key, body, after, limit } => {
                let messages = parked.show(reader, key, *after, *limit).await?;
                (messages.iter().map(|it| message(it, *body)).collect(), true)
            }
            ParkedCommand::Replay { reader, key, dry_run, by } => {
                let done = match dry_run {
                    true => parked.rehearse(reader, key).await?,
                    false => parked.replay(reader, key, &Metadata::default().caller(by)).await?,
                };
                (replay(&done, *dry_run), done.stopped.is_none())
            }
            ParkedCommand::Discard { reader, key, number, why, by } => {
                let gone = parked.discard(reader, key, *number, why, &Metadata::default().caller(by)).await?;
                (json!({ "discarded": gone }), gone)
            }
        })
    }
    /// [`run`](ParkedCommand::run), printed; the exit code is 0 when all of it was done, else 1.
    ///
    /// # Errors
    /// As [`run`](ParkedCommand::run).
    pub async fn print(&self, app: &Running) -> Result<std::process::ExitCode, BoxError> {
        app.migrate().await?;
        let (said, done) = self.run(app).await?;
        println!("{said:#}");
        Ok(if done { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
    }
}
