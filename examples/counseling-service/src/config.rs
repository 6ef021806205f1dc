//! What may be set, each with its default and its reason. Whatever is wrong is said all at once.
use crate::{OfflineResponder, Responder};
use backends::{Database, DatabaseArgs, KafkaArgs};
use clap::{Parser, Subcommand};
use cqrs_core::{Secret, operations::ParkedCommand};
use cqrs_kafka::KafkaConfig;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use trust::{
    COUNSELING_SERVICE as SERVICE, Proof,
    operators::Operators,
    secrets::{self, Name, given},
    settings::ServiceArgs,
};

/// The longest that one question to a language model may take: all of a reply has 25 seconds.
const LONGEST_TIMEOUT: u64 = 25;
const KEY: Name = Name { variable: "HEARLERS_RESPONDER_KEY", flag: "--responder-key" };

/// The counseling service: counsels over gRPC, on PostgreSQL and Kafka.
// Values are text here, so that `check` can report all that is wrong and not only the first.
#[derive(Parser)]
#[command(name = "counseling-service", version, about)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Where to listen: IP address and port. By default only this machine can ask.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50052", value_name = "ADDRESS")]
    listen: String,
    /// Where its database is.
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where the brokers are.
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Where health and metrics can be asked for over HTTP: IP address and port. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<String>,
    /// A language model's API as OpenAI has it, such as `https://api.openai.com/v1`. Without one, replies come from a table.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", hide_env_values = true, value_name = "URL")]
    responder_url: Option<String>,
    /// The key to that API.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// A file with that key.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY_FILE", value_name = "FILE")]
    responder_key_file: Option<String>,
    /// Which of its models.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
    /// How many seconds the model may take, each time it is asked: 12 unless set. It is asked twice at most, and 25 in all.
    #[arg(long, env = "HEARLERS_RESPONDER_TIMEOUT", value_name = "SECONDS")]
    responder_timeout: Option<String>,
    /// Whom it believes.
    #[command(flatten)]
    trust: ServiceArgs,
}

/// What the service needs to know.
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where health and metrics can be asked for, if anywhere.
    pub operations: Option<SocketAddr>,
    /// Where everything is stored.
    pub database: Database,
    /// The brokers.
    pub kafka: KafkaConfig,
    /// Who composes replies.
    pub responder: Arc<dyn Responder>,
    /// How callers prove who they are.
    pub proof: Proof,
    /// Who may look into what got stuck.
    pub operators: Operators,
}

/// What the program does instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// What could not be handled and waits aside: see it, handle it, or throw it away.
    #[command(subcommand)]
    Parked(ParkedCommand),
}

impl Args {
    /// The configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with the names of its variable and flag and with what is accepted.
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
        let trust = self.trust.check(&mut wrong);
        match (listen, operations, database, kafka, responder, trust) {
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
        let timeout = timeout.ok().filter(|it| (1..=LONGEST_TIMEOUT).contains(it)).map(Duration::from_secs);
        if timeout.is_none() {
            let accepted = format!("1 to {LONGEST_TIMEOUT} seconds");
            wrong.push(format!("HEARLERS_RESPONDER_TIMEOUT (--responder-timeout): {accepted}"));
        }
        let key = secrets::read(KEY, self.responder_key.as_deref(), self.responder_key_file.as_deref(), wrong);
        let Some(url) = given(self.responder_url.as_deref()) else {
            return Some(Arc::new(OfflineResponder));
        };
        let made = language_model(url, key, given(self.responder_model.as_deref()), timeout?);
        made.map_err(|why| wrong.push(format!("HEARLERS_RESPONDER_URL (--responder-url): {why}"))).ok()
    }
}

/// The one that asks.
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
    Err("nothing, for this program was built without the feature `openai`".to_owned())
}

/// What is wrong with the configuration, one line each.
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
    fn all_that_is_wrong_is_said_at_once_and_no_secret() {
        let flags = "--listen here --database mysql://kim:hunter2@db/x --kafka kafka --responder-url ftp://llm \
                     --responder-key sk-1 --responder-timeout 60";
        let said = wrong(&flags.split(' ').filter(|it| !it.is_empty()).collect::<Vec<_>>());
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
    fn a_variable_set_to_nothing_is_not_set() {
        let flags = ["--database", "postgres://db/x", "--kafka", "kafka:9092", "--responder-url", ""];
        let secret = ["--internal-secret", "a secret for tests, 32 bytes long"];
        let args = Args::parse_from([&["counseling-service"], &flags[..], &secret[..]].concat());
        assert!(args.check().is_ok());
    }
}
