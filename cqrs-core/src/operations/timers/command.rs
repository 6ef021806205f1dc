//! The subcommand `timers list | cancel | retry` for a service's own command line.
use super::{PAGE, place, state, timer};
use crate::{
    app::App,
    error::BoxError,
    metadata::Metadata,
    storage::{TimerPage, TimerState},
};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

/// Lists, cancels and retries timers: commands that are sent at a time.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving.
/// It may run while the service runs.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum TimersCommand {
    /// Lists timers in the order of their times, a page at a time.
    List {
        /// The timers to list: all, those whose time has passed, or those that wait for an operator.
        #[arg(long, default_value = "all")]
        state: ListedTimers,
        /// List only the timer of this name.
        #[arg(long)]
        name: Option<String>,
        /// List only the timers after this time and id: those of the last timer of the previous page.
        #[arg(long, num_args = 2, value_names = ["DUE", "ID"])]
        after: Vec<String>,
        /// The largest number of timers to list.
        #[arg(long, default_value_t = PAGE)]
        limit: usize,
    },
    /// Cancels a timer. Its command is never sent.
    Cancel {
        /// The timer's name, as `list` prints it.
        name: String,
        /// The reason, which is stored in the log.
        #[arg(long)]
        why: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Lets a timer that waits for an operator be fired again. The later timers of its key follow.
    Retry {
        /// The timer's name, as `list` prints it.
        name: String,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
}

/// The timers of a listing.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[non_exhaustive]
pub enum ListedTimers {
    /// All timers.
    All,
    /// Timers whose time has passed.
    Overdue,
    /// Timers whose command cannot be handled.
    Failed,
}
impl ListedTimers {
    fn state(self) -> TimerState {
        let name = match self {
            ListedTimers::All => "all",
            ListedTimers::Overdue => "overdue",
            ListedTimers::Failed => "failed",
        };
        state(name).unwrap_or_default()
    }
}

impl TimersCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when there was no such timer.
    ///
    /// # Errors
    /// Fails when the database fails, or when `after` is no time and id.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        let timers = app.timers();
        Ok(match self {
            TimersCommand::List { state, name, after, limit } => {
                let after = match &after[..] {
                    [due, id] => Some(place(due, id).ok_or("--after takes the time and the id of a timer")?),
                    _ => None,
                };
                let page = TimerPage { state: state.state(), name: name.as_deref(), after, limit: *limit };
                let found = timers.list(&page).await?;
                (found.iter().map(|found| timer(app.service(), found)).collect(), true)
            }
            TimersCommand::Cancel { name, why, by } => {
                let is_cancelled = timers.cancel(name, why, &Metadata::default().caller(by)).await?;
                (json!({ "cancelled": is_cancelled }), is_cancelled)
            }
            TimersCommand::Retry { name, by } => {
                let is_retried = timers.retry(name, &Metadata::default().caller(by)).await?;
                (json!({ "retried": is_retried }), is_retried)
            }
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
        println!("{output:#}");
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
        timers: TimersCommand,
    }
    #[test]
    fn a_cancellation_requires_a_reason() {
        CommandLine::command().debug_assert();
        let is_accepted = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).is_ok();
        assert!(is_accepted("timers cancel hold/kim --why support --by kim"));
        assert!(!is_accepted("timers cancel hold/kim --by kim"));
        assert!(is_accepted("timers list --state overdue") && !is_accepted("timers list --state late"));
    }
}
