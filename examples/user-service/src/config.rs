//! What may be set, each with its default and its reason. Whatever is wrong is said all at once.
use backends::{Database, DatabaseArgs, KafkaArgs};
use clap::{Parser, Subcommand};
use cqrs_core::operations::ParkedCommand;
use cqrs_kafka::KafkaConfig;
use std::net::SocketAddr;
use trust::{Proof, USER_SERVICE as SERVICE, operators::Operators, secrets::given, settings::ServiceArgs};

/// The user service: who somebody is, and how many messages they have left.
///
/// Values are text here, so that [`check`](Args::check) can report all that is wrong and not only the first.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Where to listen: IP address and port. By default only this machine can ask.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: String,
    /// Where its database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where the brokers are.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Whom it believes.
    #[command(flatten)]
    pub trust: ServiceArgs,
    /// Where health and metrics can be asked for over HTTP: IP address and port. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    pub operations: Option<String>,
}

/// What the program does instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// What could not be handled and waits aside: see it, handle it, or throw it away.
    #[command(subcommand)]
    Parked(ParkedCommand),
}

impl Args {
    /// What the program runs with.
    ///
    /// # Errors
    /// Everything that is wrong, each with the names of its variable and flag and with what is accepted.
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
        let trust = self.trust.check(&mut wrong);
        match (listen, operations, database, kafka, trust) {
            (Ok(listen), Ok(operations), Some(database), Some(kafka), Some((proof, operators))) if wrong.is_empty() => {
                Ok(Config { listen, operations, database, kafka, proof, operators })
            }
            _ => Err(Wrong(wrong)),
        }
    }
}

/// What the program runs with. It can be shown: it does not show secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where health and metrics can be asked for, if anywhere.
    pub operations: Option<SocketAddr>,
    /// Where everything is stored.
    pub database: Database,
    /// Over what it talks to other services.
    pub kafka: KafkaConfig,
    /// How callers prove who they are.
    pub proof: Proof,
    /// Who may look into what got stuck.
    pub operators: Operators,
}

/// What is wrong with the configuration, one line each.
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
    fn everything_wrong_is_said_at_once_and_no_secret_with_it() {
        let wrong =
            args("--listen here --database kim:secret@host --internal-secret hunter2").check().unwrap_err().to_string();
        for name in ["HEARLERS_LISTEN", "HEARLERS_DATABASE", "HEARLERS_KAFKA", "HEARLERS_INTERNAL_SECRET"] {
            assert!(wrong.contains(name), "{wrong}");
        }
        assert!(!wrong.contains("kim:") && !wrong.contains("hunter2"), "{wrong}");
    }
    #[test]
    fn what_is_right_is_taken_and_can_be_shown() {
        let flags = "--database postgres://kim:hunter2@host/users --kafka a:1,b:2 \
                     --internal-secret hunter2-hunter2-hunter2-hunter2-hunter2";
        let config = args(flags).check().unwrap();
        assert_eq!(config.kafka.brokers, "a:1,b:2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
