//! The program's settings with their defaults. All invalid settings are reported at once.
use clap::{Parser, Subcommand};
use connection_settings::{Database, DatabaseArgs, KafkaArgs};
use cqrs_core::operations::ParkedCommand;
use cqrs_kafka::KafkaConfig;
use service_auth::{Proof, USER_SERVICE as SERVICE, operators::Operators, secrets::given, settings::ServiceArgs};
use std::net::SocketAddr;

/// The user service: user profiles and message tokens, over gRPC, on PostgreSQL and Kafka.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
pub struct Args {
    /// A task to run instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Address of the gRPC server: IP address and port. By default only this machine can connect.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub service_auth: ServiceArgs,
    /// Address of the HTTP endpoints for health and metrics: IP address and port. They are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    pub operations: Option<String>,
}

/// A task that the program runs instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// List, show, redeliver or discard parked messages: messages that could not be handled.
    #[command(subcommand)]
    Parked(ParkedCommand),
}

impl Args {
    /// Validates the settings.
    ///
    /// # Errors
    /// Returns all invalid settings, each with its variable, its flag and the accepted values.
    pub fn check(self) -> Result<Config, Wrong> {
        let mut wrong = Vec::new();
        let listen = self.listen.parse::<SocketAddr>();
        if listen.is_err() {
            wrong.push("HEARLERS_LISTEN (--listen): an IP address and a port, as in 127.0.0.1:50051".to_owned());
        }
        let operations = given(self.operations.as_deref()).map(str::parse::<SocketAddr>).transpose();
        if operations.is_err() {
            wrong.push("HEARLERS_OPERATIONS (--operations): an IP address and a port, as in 127.0.0.1:9464".to_owned());
        }
        let database = self.database.check(SERVICE, &mut wrong);
        let kafka = self.kafka.check(SERVICE, &mut wrong);
        let service_auth = self.service_auth.check(&mut wrong);
        match (listen, operations, database, kafka, service_auth) {
            (Ok(listen), Ok(operations), Some(database), Some(kafka), Some((proof, operators))) if wrong.is_empty() => {
                Ok(Config { listen, operations, database, kafka, proof, operators })
            }
            _ => Err(Wrong(wrong)),
        }
    }
}

/// The validated settings. Their `Debug` output does not contain secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address of the gRPC server.
    pub listen: SocketAddr,
    /// The address of the HTTP endpoints for health and metrics; they are disabled when absent.
    pub operations: Option<SocketAddr>,
    pub database: Database,
    pub kafka: KafkaConfig,
    /// The way in which callers authenticate.
    pub proof: Proof,
    /// The people who may use the operator endpoints.
    pub operators: Operators,
}

/// The invalid settings, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(Vec<String>);

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::Parser;

    fn args(flags: &str) -> Args {
        Args::parse_from(["user-service"].into_iter().chain(flags.split_whitespace()))
    }

    #[test]
    fn all_invalid_settings_are_reported_at_once_without_secrets() {
        let wrong =
            args("--listen here --database kim:secret@host --internal-secret hunter2").check().unwrap_err().to_string();
        for name in ["HEARLERS_LISTEN", "HEARLERS_DATABASE", "HEARLERS_KAFKA", "HEARLERS_INTERNAL_SECRET"] {
            assert!(wrong.contains(name), "{wrong}");
        }
        assert!(!wrong.contains("kim:") && !wrong.contains("hunter2"), "{wrong}");
    }
    #[test]
    fn valid_settings_are_accepted_and_print_no_secret() {
        let flags = "--database postgres://kim:hunter2@host/users --kafka a:1,b:2 \
                     --internal-secret hunter2-hunter2-hunter2-hunter2-hunter2";
        let config = args(flags).check().unwrap();
        assert_eq!(config.kafka.brokers, "a:1,b:2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
