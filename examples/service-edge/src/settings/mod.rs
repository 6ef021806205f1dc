//! The settings that every service has, as flags and variables. All invalid settings are reported at once, by name and
//! without secrets.
//!
//! Nothing is passed through to a driver: every setting has a name here.
mod database;
mod kafka;
mod query;
mod task;
#[cfg(test)]
mod tests;

pub use database::{Database, DatabaseArgs};
pub use kafka::KafkaArgs;
pub use query::{Views, ViewsArgs};
pub use service_auth::settings::Wrong;
pub use task::{RunTask, Task};

use clap::Subcommand;
use cqrs_kafka::KafkaConfig;
use service_auth::{
    Proof,
    operators::Operators,
    secrets::{Name, given},
    settings::{self, OperationsArgs, ServiceArgs},
};
use std::{net::SocketAddr, time::Duration};

/// The flags and variables of every service; a service flattens them into its own.
///
/// A second service on the same machine needs another default address, so it sets one:
///
/// ```
/// use clap::Parser;
/// use service_edge::settings::EdgeArgs;
///
/// #[derive(Parser)]
/// #[command(mut_arg("listen", |listen| listen.default_value("127.0.0.1:50052")))]
/// struct Args {
///     #[command(flatten)]
///     service: EdgeArgs,
/// }
/// let args = Args::parse_from(["user-service", "--kafka", "localhost:9092"]);
/// let wrong = args.service.check("user-service").unwrap_err();
/// assert!(wrong.to_string().contains("HEARLERS_DATABASE"));
/// ```
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct EdgeArgs<T: Subcommand = Task> {
    /// A task to run instead of serving.
    #[command(subcommand)]
    task: Option<T>,
    /// Address of the gRPC server: IP address and port. By default only this machine can connect.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    listen: String,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    views: ViewsArgs,
    #[command(flatten)]
    service_auth: ServiceArgs,
    #[command(flatten)]
    operations: OperationsArgs,
}

/// The validated settings. Their `Debug` output does not contain secrets.
#[derive(Debug, Clone)]
pub struct Config<T = Task> {
    /// The task to run instead of serving.
    pub task: Option<T>,
    /// The address of the gRPC server.
    pub listen: SocketAddr,
    /// The address of the HTTP endpoints for health and metrics; they are disabled when absent.
    pub operations: Option<SocketAddr>,
    /// The time between the end of readiness and that of the server.
    pub shutdown_pause: Duration,
    pub database: Database,
    /// The brokers; absent in a process that serves only queries, which needs none.
    pub kafka: Option<KafkaConfig>,
    /// The store of the views of a process that serves only queries.
    pub views: Option<Views>,
    /// The way in which callers authenticate.
    pub proof: Proof,
    /// The people who may use the operator endpoints.
    pub operators: Operators,
}

impl<T: Subcommand + RunTask> EdgeArgs<T> {
    /// Validates the settings of a service that has no others; `service` is the program's name.
    ///
    /// # Errors
    /// Returns all invalid settings, each with its variable, its flag and the accepted values.
    pub fn check(self, service: &str) -> Result<Config<T>, Wrong> {
        settings::all(|wrong| self.read(service, wrong))
    }
    /// Validates the settings; returns `None` and adds a line for each that is invalid.
    pub fn read(self, service: &str, wrong: &mut Vec<String>) -> Option<Config<T>> {
        let listen = settings::address(settings::LISTEN, "127.0.0.1:50051", &self.listen, wrong);
        let operations = self.operations.check(wrong);
        let database = self.database.check(service, wrong);
        let (views, kafka) = match self.task.as_ref().is_some_and(RunTask::serves_queries) {
            true => (self.views.check(wrong), None),
            false => (None, self.kafka.check(service, wrong)),
        };
        let (proof, operators) = self.service_auth.check(listen, wrong)?;
        let (operations, shutdown_pause) = operations?;
        (views.is_some() || kafka.is_some()).then_some(())?;
        Some(Config {
            task: self.task,
            listen: listen?,
            operations,
            shutdown_pause,
            database: database?,
            kafka,
            views,
            proof,
            operators,
        })
    }
}

/// Parses a number of seconds from 1 to `most`, or returns the default when nothing is set.
pub fn seconds(name: Name, value: Option<&str>, default: u64, most: u64, wrong: &mut Vec<String>) -> Option<Duration> {
    number(name, value, default, most, "seconds", wrong).map(Duration::from_secs)
}

/// Parses a number from 1 to `most`, or returns the default when nothing is set.
fn number(
    name: Name,
    value: Option<&str>,
    default: u64,
    most: u64,
    unit: &str,
    wrong: &mut Vec<String>,
) -> Option<u64> {
    let read = given(value).map_or(Ok(default), str::parse).ok();
    let read = read.filter(|number| (1..=most).contains(number));
    if read.is_none() {
        wrong.push(format!("{name}: 1 to {most} {unit}"));
    }
    read
}
