//! The subcommand `processes list | show | retry | cancel | picture` for a service's own command line.
use super::{HISTORY, PAGE, instance, shown};
use crate::{app::App, error::BoxError, metadata::Metadata};
use clap::Subcommand;
use serde_json::{Value, json};

/// Lists, shows, retries and cancels the instances of process managers.
///
/// The output is JSON, and text for a picture. A program takes it as a subcommand, builds its app as usual, and runs this instead of
/// serving. It may run while the service runs.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum ProcessesCommand {
    /// Lists the processes, or the instances of one in the order of their keys, a page at a time. Ended ones are included.
    List {
        /// The process whose instances to list. Without it, the names of the processes.
        process: Option<String>,
        /// List only the instances after this key: that of the last instance of the previous page.
        #[arg(long)]
        after: Option<String>,
        /// The largest number of instances to list.
        #[arg(long, default_value_t = PAGE)]
        limit: usize,
    },
    /// Shows an instance with its last changes, and with its commands that cannot be handled.
    Show {
        /// The process.
        process: String,
        /// The key of the instance, as `list` prints it.
        key: String,
    },
    /// Lets the commands of an instance that could not be handled be tried again.
    Retry {
        /// The process.
        process: String,
        /// The key of the instance, as `list` prints it.
        key: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Ends an instance. Later events for it change nothing.
    Cancel {
        /// The process.
        process: String,
        /// The key of the instance, as `list` prints it.
        key: String,
        /// Undo the steps so far, the last one first.
        #[arg(long)]
        compensate: bool,
        /// The reason, which is stored in the log.
        #[arg(long)]
        why: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Prints the state diagram of a process, as Mermaid text.
    Picture {
        /// The process.
        process: String,
    },
}

impl ProcessesCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when there was no such instance or process, or nothing to
    /// retry.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        let (processes, service) = (app.processes(), app.service());
        Ok(match self {
            ProcessesCommand::List { process: None, .. } => (json!(processes.names()), true),
            ProcessesCommand::List { process: Some(process), after, limit } => {
                let found = processes.list(process, after.as_deref(), *limit).await?;
                (found.iter().map(|found| instance(service, found)).collect(), true)
            }
            ProcessesCommand::Show { process, key } => match processes.show(process, key, HISTORY).await? {
                Some(found) => (shown(service, &found), true),
                None => (Value::Null, false),
            },
            ProcessesCommand::Retry { process, key, by } => {
                let retried = processes.retry(process, key, &Metadata::default().caller(by)).await?;
                (json!({ "retried": retried }), retried > 0)
            }
            ProcessesCommand::Cancel { process, key, compensate, why, by } => {
                let by = Metadata::default().caller(by);
                let is_cancelled = processes.cancel(process, key, *compensate, why, &by).await?;
                (json!({ "cancelled": is_cancelled }), is_cancelled)
            }
            ProcessesCommand::Picture { process } => match processes.picture(process) {
                Some(picture) => (Value::String(picture), true),
                None => (Value::Null, false),
            },
        })
    }
    /// Migrates the database, runs the subcommand and prints its output. The exit code is 0 when everything was done,
    /// and 1 otherwise.
    ///
    /// # Errors
    /// Fails when the database fails, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the source when the
    /// database belongs to another service. It has changed nothing then.
    pub async fn print(&self, app: &App) -> Result<std::process::ExitCode, BoxError> {
        app.migrate_for_command().await?;
        let (output, done) = self.run(app).await?;
        match &output {
            Value::String(text) => print!("{text}"),
            output => println!("{output:#}"),
        }
        Ok(if done { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        processes: ProcessesCommand,
    }
    #[test]
    fn a_cancellation_requires_a_reason() {
        CommandLine::command().debug_assert();
        let is_accepted = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).is_ok();
        assert!(is_accepted("processes cancel shop.purchase 7 --compensate --why support --by kim"));
        assert!(!is_accepted("processes cancel shop.purchase 7 --by kim"));
        assert!(is_accepted("processes list") && is_accepted("processes list shop.purchase --after 7"));
    }
}
