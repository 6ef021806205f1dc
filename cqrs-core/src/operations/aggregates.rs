//! The subcommand `aggregates rebuild-rows | archive` for a service's own command line.
use super::signals;
use crate::{
    app::{App, RowRebuild},
    error::BoxError,
    metadata::Metadata,
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// Rebuilds stored rows from their events, and archives old events.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving. It may
/// run while the service runs, except on SQLite.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum AggregatesCommand {
    /// Compares the rows of state-stored aggregates with their events, and replaces those that differ or cannot be read. Try
    /// it with --dry-run first.
    RebuildRows {
        /// The name of the aggregate.
        aggregate: String,
        /// Change nothing, and count the rows that would be replaced.
        #[arg(long)]
        dry_run: bool,
        /// Begin after the aggregate with this id, where an earlier run has ended.
        #[arg(long)]
        after: Option<String>,
        /// The operator's name, which is stored in the log.
        #[arg(long, env = "USER")]
        by: String,
    },
    /// Moves old events that no command reads out of the log. Readers still find them. It needs the rights of the role that
    /// migrates. It ends early on SIGINT or SIGTERM; run it again to go on.
    Archive {
        /// The age of the events in days.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        older_than_days: u32,
    },
}

impl AggregatesCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when a row could not be rebuilt.
    ///
    /// # Errors
    /// Fails with a [`RowRebuildError`](crate::app::RowRebuildError) when there are no such rows, and when the database
    /// fails.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        self.run_until(app, std::future::pending()).await
    }
    async fn run_until(&self, app: &App, stop: impl Future<Output = ()>) -> Result<(Value, bool), BoxError> {
        match self {
            AggregatesCommand::RebuildRows { aggregate, dry_run, after, by } => {
                let mut options = RowRebuild::default();
                (options.dry_run, options.after) = (*dry_run, after.clone());
                let done = app.rebuild_rows(aggregate, &options, &Metadata::default().caller(by)).await?;
                let failures = done.failures.iter().map(|row| json!({ "stream": row.stream, "reason": row.reason }));
                let changed = if *dry_run { "would_change" } else { "changed" };
                let output = json!({
                    "checked": done.checked, changed: done.changed, "failed": done.failed,
                    "failures": failures.collect::<Vec<_>>(), "last": done.last,
                });
                Ok((output, done.failed == 0))
            }
            AggregatesCommand::Archive { older_than_days } => {
                let mut archive = app.archive(Duration::from_secs(u64::from(*older_than_days) * 24 * 3600)).await?;
                let mut stop = std::pin::pin!(stop);
                let is_finished = loop {
                    // A step that is under way is finished.
                    let more = archive.step().await?;
                    if !more {
                        break true;
                    }
                    if futures_util::FutureExt::now_or_never(stop.as_mut()).is_some() {
                        break false;
                    }
                };
                let output = json!({
                    "archived": archive.archived(), "position": archive.position().0, "finished": is_finished,
                });
                Ok((output, true))
            }
        }
    }
    /// Migrates the database, runs the subcommand and prints its output. The exit code is 0 when everything was done,
    /// and 1 when a row could not be rebuilt.
    ///
    /// # Errors
    /// Fails as [`run`](AggregatesCommand::run) does, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the
    /// source when the database belongs to another service. It has changed nothing then.
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        app.migrate_for_command().await?;
        let (output, done) = self.run_until(app, signals::of_command()).await?;
        println!("{output:#}");
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        aggregates: AggregatesCommand,
    }

    #[test]
    fn an_archive_requires_an_age_of_at_least_a_day() {
        CommandLine::command().debug_assert();
        let is_accepted = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).is_ok();
        assert!(is_accepted("p archive --older-than-days 90") && is_accepted("p rebuild-rows user --by kim --dry-run"));
        assert!(!is_accepted("p archive") && !is_accepted("p archive --older-than-days 0"));
    }
}
