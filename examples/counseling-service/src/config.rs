//! The program's settings with their defaults. All invalid settings are reported at once.
use crate::{OfflineResponder, Responder};
use clap::{Parser, Subcommand};
use connection_settings::{Database, DatabaseArgs, KafkaArgs};
use cqrs_core::{Secret, operations::ParkedCommand};
use cqrs_kafka::KafkaConfig;
use service_auth::{
    COUNSELING_SERVICE as SERVICE, Proof,
    operators::Operators,
    secrets::{self, Name, given},
    settings::ServiceArgs,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// The longest accepted time limit of one call to a language model, in seconds: a reply has 25 seconds in all.
const LONGEST_TIMEOUT: u64 = 25;
const KEY: Name = Name { variable: "HEARLERS_RESPONDER_KEY", flag: "--responder-key" };

/// The counseling service: counsels over gRPC, on PostgreSQL and Kafka.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(Parser)]
#[command(name = "counseling-service", version, about)]
pub struct Args {
    /// A task to run instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Address of the gRPC server: IP address and port. By default only this machine can connect.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50052", value_name = "ADDRESS")]
    listen: String,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Address of the HTTP endpoints for health and metrics: IP address and port. They are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<String>,
    /// Base URL of an OpenAI-compatible API, such as `https://api.openai.com/v1`. Without it, replies come from a
    /// table.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", hide_env_values = true, value_name = "URL")]
    responder_url: Option<String>,
    /// API key of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// File that contains the API key.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY_FILE", value_name = "FILE")]
    responder_key_file: Option<String>,
    /// Name of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
    /// Time limit of one call to the model in seconds; the default is 12. A reply takes two calls and 25 seconds at
    /// most.
    #[arg(long, env = "HEARLERS_RESPONDER_TIMEOUT", value_name = "SECONDS")]
    responder_timeout: Option<String>,
    #[command(flatten)]
    service_auth: ServiceArgs,
}

/// The validated settings.
pub struct Config {
    /// The address of the gRPC server.
    pub listen: SocketAddr,
    /// The address of the HTTP endpoints for health and metrics; they are disabled when absent.
    pub operations: Option<SocketAddr>,
    pub database: Database,
    pub kafka: KafkaConfig,
    /// The responder that composes replies.
    pub responder: Arc<dyn Responder>,
    /// The way in which callers authenticate.
    pub proof: Proof,
    /// The people who may use the operator endpoints.
    pub operators: Operators,
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
        let responder = self.responder(&mut wrong);
        let listen = self.listen.parse();
        if listen.is_err() {
            wrong.push("HEARLERS_LISTEN (--listen): an IP address and a port, as in 127.0.0.1:50052".to_owned());
        }
        let operations = given(self.operations.as_deref()).map(str::parse).transpose();
        if operations.is_err() {
            wrong.push("HEARLERS_OPERATIONS (--operations): an IP address and a port, as in 127.0.0.1:9464".to_owned());
        }
        let database = self.database.check(SERVICE, &mut wrong);
        let kafka = self.kafka.check(SERVICE, &mut wrong);
        let service_auth = self.service_auth.check(&mut wrong);
        match (listen, operations, database, kafka, responder, service_auth) {
            (Ok(listen), Ok(operations), Some(database), Some(kafka), Some(responder), Some((proof, operators)))
                if wrong.is_empty() =>
            {
                Ok(Config { listen, operations, database, kafka, responder, proof, operators })
            }
            _ => Err(Wrong(wrong)),
        }
    }

    fn responder(&self, wrong: &mut Vec<String>) -> Option<Arc<dyn Responder>> {
        let timeout = given(self.responder_timeout.as_deref()).map_or(Ok(12), str::parse);
        let timeout = timeout.ok().filter(|seconds| (1..=LONGEST_TIMEOUT).contains(seconds)).map(Duration::from_secs);
        if timeout.is_none() {
            let accepted = format!("1 to {LONGEST_TIMEOUT} seconds");
            wrong.push(format!("HEARLERS_RESPONDER_TIMEOUT (--responder-timeout): {accepted}"));
        }
        let key = secrets::read(KEY, self.responder_key.as_deref(), self.responder_key_file.as_deref(), wrong);
        let Some(url) = given(self.responder_url.as_deref()) else {
            return Some(Arc::new(OfflineResponder));
        };
        let made = language_model(url, key, given(self.responder_model.as_deref()), timeout?);
        made.map_err(|error| wrong.push(format!("HEARLERS_RESPONDER_URL (--responder-url): {error}"))).ok()
    }
}

#[cfg(feature = "openai")]
fn language_model(
    url: &str,
    key: Option<Secret>,
    model: Option<&str>,
    timeout: Duration,
) -> Result<Arc<dyn Responder>, String> {
    use crate::{OpenAiConfig, OpenAiResponder};
    let mut config = OpenAiConfig { key, timeout, ..OpenAiConfig::new(url) };
    if let Some(model) = model {
        config.model = model.to_owned();
    }
    Ok(Arc::new(OpenAiResponder::new(config).map_err(|error| error.to_string())?))
}
#[cfg(not(feature = "openai"))]
fn language_model(_: &str, _: Option<Secret>, _: Option<&str>, _: Duration) -> Result<Arc<dyn Responder>, String> {
    Err("not supported, because this program was built without the feature `openai`".to_owned())
}

/// The invalid settings, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(Vec<String>);

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::Parser;

    fn wrong(flags: &[&str]) -> String {
        let args = Args::parse_from([&["counseling-service"], flags].concat());
        args.check().map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn all_invalid_settings_are_reported_at_once_without_secrets() {
        let flags = "--listen here --database mysql://kim:hunter2@db/x --kafka kafka --responder-url ftp://llm \
                     --responder-key sk-1 --responder-timeout 60";
        let said = wrong(&flags.split(' ').filter(|flag| !flag.is_empty()).collect::<Vec<_>>());
        for name in [
            "HEARLERS_LISTEN",
            "HEARLERS_DATABASE",
            "HEARLERS_KAFKA",
            "HEARLERS_RESPONDER_TIMEOUT",
            "HEARLERS_INTERNAL_SECRET",
        ] {
            assert!(said.contains(name), "{name} in {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains("sk-1"), "{said}");
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let flags = ["--database", "postgres://db/x", "--kafka", "kafka:9092", "--responder-url", ""];
        let secret = ["--internal-secret", "a secret for tests, 32 bytes long"];
        let args = Args::parse_from([&["counseling-service"], &flags[..], &secret[..]].concat());
        assert!(args.check().is_ok());
    }
}
