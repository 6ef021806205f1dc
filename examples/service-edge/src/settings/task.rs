//! The tasks that a program runs instead of serving.
use clap::Subcommand;
use cqrs_core::{
    App, BoxError,
    operations::{
        AggregatesCommand, EpochCommand, ParkedCommand, PersonalCommand, ProcessesCommand, ProgramsCommand,
        TimersCommand, TopicsCommand, ViewsCommand,
    },
};
use std::process::ExitCode;

/// A task that a program runs instead of serving. A service with tasks of its own has an enum of them, with [`Task`]
/// flattened into it.
pub trait RunTask {
    /// Returns whether the task is to serve only queries.
    fn serves_queries(&self) -> bool {
        false
    }
    /// Runs the task and prints its output.
    ///
    /// # Errors
    /// Fails when the task fails.
    fn run(&self, app: &App) -> impl Future<Output = Result<ExitCode, BoxError>>;
}

/// The tasks of every service.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// List, show, redeliver or discard parked messages: messages that could not be handled.
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// List, cancel or retry timers: commands that are sent at a time.
    #[command(subcommand)]
    Timers(TimersCommand),
    /// List, show, retry or cancel the instances of process managers.
    #[command(subcommand)]
    Processes(ProcessesCommand),
    /// Accept a topic that was created again, or that records were lost.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Begin a new epoch of the database, after a backup was restored.
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// List the programs that have used the database, or withdraw one that does not come back after a rollback.
    #[command(subcommand)]
    Programs(ProgramsCommand),
    /// Rebuild the stored rows of aggregates from their events, or archive old events.
    #[command(subcommand)]
    Aggregates(AggregatesCommand),
    /// Rebuild a view beside the copy that serves, switch back, or list the copies of views.
    #[command(subcommand)]
    Views(ViewsCommand),
    /// Forget a subject of personal data, export its data, or rotate the master key.
    #[command(subcommand)]
    Personal(PersonalCommand),
    /// Serve only queries, from views in a store of their own, also while the service and its database are down. Any number of
    /// such processes may share a store.
    Query,
}
impl RunTask for Task {
    fn serves_queries(&self) -> bool {
        matches!(self, Task::Query)
    }
    async fn run(&self, app: &App) -> Result<ExitCode, BoxError> {
        match self {
            Task::Parked(command) => command.print(app).await,
            Task::Timers(command) => command.print(app).await,
            Task::Processes(command) => command.print(app).await,
            Task::Topics(command) => command.print(app).await,
            Task::Epoch(command) => command.print(app).await,
            Task::Programs(command) => command.print(app).await,
            Task::Aggregates(command) => command.print(app).await,
            Task::Views(command) => command.print(app).await,
            Task::Personal(command) => command.print(app).await,
            // The program serves queries before it would run a task.
            Task::Query => Ok(ExitCode::SUCCESS),
        }
    }
}
