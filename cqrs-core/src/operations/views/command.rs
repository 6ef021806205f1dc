//! The subcommand `views list | rebuild | switch-back | drop-old` for a service's own command line.
use super::{is_done, list, report};
use crate::{
    app::{App, RebuildProgress},
    error::BoxError,
    operations::signals,
};
use clap::Subcommand;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Rebuilds views beside the copies that serve, and shows their copies.
///
/// The output is JSON, and the progress is written to standard error. A program takes it as a subcommand, builds its app as usual,
/// and runs this instead of serving. It may run while the service runs, except on SQLite.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum ViewsCommand {
    /// Shows the copies of each view, and how far they are.
    List,
    /// Fills a second copy of a view from the beginning of the log, compares it with the copy that serves, and switches to it. It
    /// does not switch if an event could not be applied. It stops on SIGINT or SIGTERM; run it again to go on.
    Rebuild {
        /// The name of the view.
        view: String,
        /// The largest number of events a second.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        throttle: Option<u32>,
        /// Make no pauses while commands run.
        #[arg(long, conflicts_with = "throttle")]
        full_speed: bool,
        /// Fill and compare only. The next run without it switches.
        #[arg(long, visible_alias = "dry-run")]
        compare_only: bool,
        /// Switch although the copy lacks events: some could not be applied and are parked, or the broker no longer has them.
        #[arg(long)]
        accept_incomplete: bool,
        /// Drop a copy whose rebuild has not ended, and begin anew.
        #[arg(long)]
        restart: bool,
    },
    /// Lets the former copy of a view catch up and serve again.
    SwitchBack {
        /// The name of the view.
        view: String,
    },
    /// Removes the copy of a view that does not serve: the former one, or one whose rebuild has not ended.
    DropOld {
        /// The name of the view.
        view: String,
    },
}

impl ViewsCommand {
    /// Runs the subcommand and returns its output. The flag is `false` when the rebuild was stopped, or has not switched because
    /// the copy lacks events.
    ///
    /// # Errors
    /// Fails with a [`RebuildError`](crate::app::RebuildError) when the view cannot be rebuilt now, and when the database fails.
    pub async fn run(&self, app: &App) -> Result<(Value, bool), BoxError> {
        self.run_until(app, std::future::pending().boxed().shared()).await
    }
    async fn run_until(&self, app: &App, stop: Shared<BoxFuture<'static, ()>>) -> Result<(Value, bool), BoxError> {
        match self {
            ViewsCommand::List => Ok((list(app).await?, true)),
            ViewsCommand::Rebuild { view, throttle, full_speed, compare_only, accept_incomplete, restart } => {
                let mut rebuild = app.rebuild(view).until(stop).on_progress(show);
                if let Some(throttle) = throttle {
                    rebuild = rebuild.throttle(*throttle);
                }
                if *full_speed {
                    rebuild = rebuild.at_full_speed();
                }
                if *compare_only {
                    rebuild = rebuild.compare_only();
                }
                if *accept_incomplete {
                    rebuild = rebuild.accept_incomplete();
                }
                if *restart {
                    rebuild = rebuild.restart();
                }
                let done = rebuild.run().await?;
                Ok((report(view, &done), is_done(&done)))
            }
            ViewsCommand::SwitchBack { view } => {
                let done = app.rebuild(view).back().until(stop).on_progress(show).run().await?;
                Ok((report(view, &done), is_done(&done)))
            }
            ViewsCommand::DropOld { view } => {
                let removed = app.drop_other_copy(view).await?;
                Ok((json!({ "view": view, "removed": removed }), true))
            }
        }
    }
    /// Runs the subcommand and prints its output. The exit code is 0 when everything was done, and 1 when it was stopped or
    /// has not switched because the copy lacks events.
    ///
    /// # Errors
    /// Fails as [`run`](ViewsCommand::run) does, and with a [`ForeignDatabase`](crate::app::ForeignDatabase) as the source when
    /// the database belongs to another service. It has changed nothing then.
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        app.migrate_for_command().await?;
        let (output, done) = self.run_until(app, signals::of_command().boxed().shared()).await?;
        println!("{output:#}");
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn show(progress: &RebuildProgress) {
    let RebuildProgress { view, events, rate, position, end, left, .. } = progress;
    let position = position.map_or_else(|| "of topics".to_owned(), |position| format!("{} of {}", position.0, end.0));
    let left = left.map_or_else(|| "unknown".to_owned(), |left| format!("{} s", left.as_secs()));
    eprintln!("{view}: {events} events read, {rate:.0} a second, position {position}, time left {left}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        views: ViewsCommand,
    }

    #[test]
    fn a_rebuild_names_its_view_and_a_throttle_is_at_least_one() {
        CommandLine::command().debug_assert();
        let is_accepted = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).is_ok();
        assert!(is_accepted("p list") && is_accepted("p rebuild profile --throttle 100 --accept-incomplete"));
        assert!(is_accepted("p switch-back profile") && is_accepted("p drop-old profile"));
        assert!(!is_accepted("p rebuild") && !is_accepted("p rebuild profile --throttle 0"));
        assert!(is_accepted("p rebuild profile --full-speed"));
        assert!(!is_accepted("p rebuild profile --full-speed --throttle 100"));
    }
}
