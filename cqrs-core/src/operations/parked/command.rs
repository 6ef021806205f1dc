//! The subcommand `parked list | show | redeliver | discard` for a service's own command line.
use super::{KEYS_PAGE, PAGE, REPORT, key, message, progress, redelivery, selected};
use crate::{
    app::{App, BulkRedelivery, ParkedSelection},
    environment::{Environment, SystemEnvironment},
    error::BoxError,
    metadata::Metadata,
    operations::signals,
    storage::ParkedPage,
};
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
    /// Lists the keys with parked messages, a page at a time.
    List {
        /// List only the keys of this reader.
        #[arg(long)]
        reader: Option<String>,
        /// List only the keys after this reader and key: those of the last key of the previous page.
        #[arg(long, num_args = 2, value_names = ["READER", "KEY"])]
        after: Vec<String>,
        /// The largest number of keys to list.
        #[arg(long, default_value_t = KEYS_PAGE)]
        limit: usize,
    },
    /// Shows the parked messages of one key in order, a page at a time.
    Show {
        /// The reader that could not handle the first of them, as `list` prints it.
        reader: String,
        /// The key, as `list` prints it.
        key: String,
        /// Include the data, in base64. Each look is an event in the log.
        #[arg(long, requires_all = ["why", "by"])]
        body: bool,
        /// The reason for a look at the data, which is stored in the log.
        #[arg(long)]
        why: Option<String>,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: Option<String>,
        /// Show only the messages after this number: the last number of the previous page.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// The largest number of messages to show.
        #[arg(long, default_value_t = PAGE)]
        limit: usize,
    },
    /// Handles parked messages again: those of one key, of one reader, of one error, or all. The messages of a key are
    /// handled in order until one fails. Try it with --dry-run first.
    ///
    /// With a reader and a key it lists the handled messages. Otherwise it prints its progress to standard error each
    /// second, and stops after the current message on SIGINT or SIGTERM. Handled messages are not parked any more; run it
    /// again to go on.
    Redeliver {
        /// The reader that could not handle the messages, as `list` prints it. Without a key, all keys of the reader.
        reader: Option<String>,
        /// The key, as `list` prints it.
        key: Option<String>,
        /// Redeliver the keys whose error contains this text.
        #[arg(long, conflicts_with_all = ["key", "class"])]
        error: Option<String>,
        /// Redeliver the keys whose error is of this class, as --dry-run prints it.
        #[arg(long, conflicts_with = "key")]
        class: Option<String>,
        /// Redeliver all parked messages.
        #[arg(long, conflicts_with_all = ["reader", "key", "error", "class"])]
        all: bool,
        /// Redeliver only the keys after this reader and key, where an earlier run has ended.
        #[arg(long, num_args = 2, value_names = ["READER", "KEY"], conflicts_with = "key")]
        after: Vec<String>,
        /// The largest number of messages per second.
        #[arg(long, conflicts_with = "key", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// Change nothing: list the messages of the key, or count the messages by reader and class of error.
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
    /// Runs the subcommand and returns its output. The flag is `false` when a redelivery has left selected messages
    /// parked, or there was no message to discard.
    ///
    /// # Errors
    /// Fails with a [`SelectionError`](crate::app::SelectionError) when a redelivery cannot select its messages or the
    /// service has no such reader, and when the database fails.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        self.run_until(app, std::future::pending(), |_| ()).await
    }
    /// Returns the reader of a subcommand about the messages of one key.
    fn reader_of_key(&self) -> Option<&str> {
        match self {
            ParkedCommand::Show { reader, .. } | ParkedCommand::Discard { reader, .. } => Some(reader),
            ParkedCommand::Redeliver { reader, key: Some(_), .. } => reader.as_deref(),
            ParkedCommand::Redeliver { .. } | ParkedCommand::List { .. } => None,
        }
    }
    /// Does the same as [`run`](ParkedCommand::run). A redelivery of many messages ends early when `stop` completes, and
    /// reports its progress.
    async fn run_until(
        &self,
        app: &App,
        stop: impl Future<Output = ()>,
        report: impl FnMut(&BulkRedelivery),
    ) -> Result<(Value, bool), BoxError> {
        let parked = app.parked();
        if let Some(reader) = self.reader_of_key() {
            parked.require_reader(reader).await?;
        }
        Ok(match self {
            ParkedCommand::List { reader, after, limit } => {
                let after = after_key(after);
                let after = after.as_ref().map(|(reader, key)| (&**reader, &**key));
                let page = ParkedPage { reader: reader.as_deref(), after, limit: *limit, ..ParkedPage::default() };
                let keys = parked.list(&page).await?;
                (keys.iter().map(|parked| key(app.service(), parked)).collect(), true)
            }
            ParkedCommand::Show { reader, key, body, why, by, after, limit } => {
                let messages = match body {
                    true => {
                        let by = Metadata::default().caller(by.as_deref().unwrap_or_default());
                        parked.show_data(reader, key, *after, *limit, why.as_deref().unwrap_or_default(), &by).await?
                    }
                    false => parked.show(reader, key, *after, *limit).await?,
                };
                (messages.iter().map(|parked| message(parked, *body)).collect(), true)
            }
            ParkedCommand::Redeliver { reader: Some(reader), key: Some(key), dry_run, by, .. } => {
                let done = match dry_run {
                    true => parked.dry_run(reader, key).await?,
                    false => parked.redeliver(reader, key, &Metadata::default().caller(by)).await?,
                };
                (redelivery(&done, *dry_run), done.stopped.is_none())
            }
            ParkedCommand::Redeliver { reader, error, class, all, after, rate, dry_run, by, .. } => {
                let mut selection = ParkedSelection::default();
                (selection.reader, selection.error) = (reader.clone(), error.clone());
                (selection.class, selection.after) = (class.clone(), after_key(after));
                let selection = selected(selection, *all)?;
                if *dry_run {
                    return Ok((super::dry_run(&parked.count(&selection).await?), true));
                }
                let by = Metadata::default().caller(by);
                let mut redelivery = parked.redeliver_selected(selection, *rate, &by).await?;
                let done = redelivery.run_until(stop, report).await?;
                (progress(&done), done.is_finished && done.failed_keys == 0)
            }
            ParkedCommand::Discard { reader, key, number, why, by } => {
                let gone = parked.discard(reader, key, *number, why, &Metadata::default().caller(by)).await?;
                (json!({ "discarded": gone }), gone)
            }
        })
    }
    /// Migrates the database, runs the subcommand and prints its output. The exit code is 0 when everything was done,
    /// and 1 otherwise. A redelivery of many messages prints its progress to standard error and ends early on SIGINT or
    /// SIGTERM.
    ///
    /// # Errors
    /// Fails when the database fails, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the source when the
    /// database belongs to another service. It has changed nothing then.
    pub async fn print(&self, app: &App) -> Result<std::process::ExitCode, BoxError> {
        app.migrate_for_command().await?;
        let mut next_report = SystemEnvironment.uptime() + REPORT;
        let report = |redelivery: &BulkRedelivery| {
            if SystemEnvironment.uptime() >= next_report {
                next_report = SystemEnvironment.uptime() + REPORT;
                eprintln!("{}", progress(&redelivery.progress()));
            }
        };
        let (output, done) = self.run_until(app, signals::of_command(), report).await?;
        println!("{output:#}");
        Ok(if done { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
    }
}

/// Returns the reader and key of an argument with two values.
fn after_key(values: &[String]) -> Option<(String, String)> {
    if let [reader, key] = values { Some((reader.clone(), key.clone())) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        parked: ParkedCommand,
    }
    fn is_accepted(arguments: &str) -> bool {
        let arguments = format!("parked {arguments} --by kim");
        CommandLine::try_parse_from(arguments.split(' ')).is_ok()
    }

    #[test]
    fn arguments_that_exclude_each_other_are_refused() {
        CommandLine::command().debug_assert();
        for arguments in ["reader", "reader key", "--all", "reader --error down --rate 5", "reader --after reader key"]
        {
            assert!(is_accepted(&format!("redeliver {arguments}")), "{arguments}");
        }
        let refused =
            ["--all --error down", "--all reader", "--error a --class b", "reader key --rate 5", "--all --rate 0"];
        for arguments in refused {
            assert!(!is_accepted(&format!("redeliver {arguments}")), "{arguments}");
        }
    }
    #[test]
    fn a_look_at_the_data_requires_a_reason() {
        assert!(is_accepted("show reader key") && is_accepted("show reader key --body --why support"));
        assert!(!is_accepted("show reader key --body"));
    }
    #[test]
    fn a_redelivery_of_many_messages_requires_a_selection_or_all() {
        let of_reader = ParkedSelection { reader: Some("bank.mail".to_owned()), ..ParkedSelection::default() };
        assert!(selected(of_reader.clone(), false).is_ok() && selected(ParkedSelection::default(), true).is_ok());
        assert!(selected(of_reader, true).is_err() && selected(ParkedSelection::default(), false).is_err());
    }
}
