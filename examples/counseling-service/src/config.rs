//! What may be set, each with its default and its reason. Whatever is wrong is said all at once.
use crate::{OfflineResponder, Responder};
use clap::Parser;
use cqrs_kafka::KafkaConfig;
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

/// The longest that one question to a language model may take: all of a reply has 25 seconds.
const LONGEST_TIMEOUT: u64 = 25;

/// The counseling service: counsels over gRPC, on PostgreSQL and Kafka.
// Values are text here, so that `check` can report all that is wrong and not only the first.
#[derive(Parser)]
#[command(name = "counseling-service", version, about)]
pub struct Args {
    /// Where to listen: IP address and port. By default only this machine can ask: nothing here asks who it is.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50052", value_name = "ADDRESS")]
    listen: String,
    /// The database of this service alone: postgres://USER:PASSWORD@HOST:PORT/NAME.
    #[arg(long, env = "HEARLERS_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// The Kafka brokers: HOST:PORT, with commas between.
    #[arg(long, env = "HEARLERS_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// Where health and metrics can be asked for over HTTP: IP address and port. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<String>,
    /// A language model's API as OpenAI has it, such as `https://api.openai.com/v1`. Without one, replies come from a table.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", value_name = "URL")]
    responder_url: Option<String>,
    /// The key to that API.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// Which of its models.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
    /// How many seconds the model may take, each time it is asked: 12 unless set. It is asked twice at most, and 25 in all.
    #[arg(long, env = "HEARLERS_RESPONDER_TIMEOUT", value_name = "SECONDS")]
    responder_timeout: Option<String>,
}

/// What the service needs to know.
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where health and metrics can be asked for, if anywhere.
    pub operations: Option<SocketAddr>,
    /// Where everything is stored.
    pub database: DatabaseUrl,
    /// The brokers.
    pub kafka: KafkaConfig,
    /// Who composes replies.
    pub responder: Arc<dyn Responder>,
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
        let operations = given(&self.operations).map(str::parse).transpose();
        if operations.is_err() {
            wrong.push("HEARLERS_OPERATIONS (--operations): an IP address and a port, as in 127.0.0.1:9464".to_owned());
        }
        let database = self.database.as_deref().and_then(DatabaseUrl::parse);
        if database.is_none() {
            wrong
                .push("HEARLERS_DATABASE (--database): postgres://USER:PASSWORD@HOST:PORT/NAME; no default".to_owned());
        }
        let kafka = self.kafka.map(KafkaConfig::new).filter(|it| it.validate().is_ok());
        if kafka.is_none() {
            wrong.push("HEARLERS_KAFKA (--kafka): HOST:PORT, with commas between; no default".to_owned());
        }
        match (listen, operations, database, kafka, responder) {
            (Ok(listen), Ok(operations), Some(database), Some(kafka), Some(responder)) if wrong.is_empty() => {
                let kafka = KafkaConfig { client_id: crate::NAME.to_owned(), ..kafka };
                Ok(Config { listen, operations, database, kafka, responder })
            }
            _ => Err(Wrong(wrong)),
        }
    }

    fn responder(&self, wrong: &mut Vec<String>) -> Option<Arc<dyn Responder>> {
        let timeout = given(&self.responder_timeout).map_or(Ok(12), str::parse);
        let timeout = timeout.ok().filter(|it| (1..=LONGEST_TIMEOUT).contains(it)).map(Duration::from_secs);
        if timeout.is_none() {
            let accepted = format!("1 to {LONGEST_TIMEOUT} seconds");
            wrong.push(format!("HEARLERS_RESPONDER_TIMEOUT (--responder-timeout): {accepted}"));
        }
        let Some(url) = given(&self.responder_url) else {
            return Some(Arc::new(OfflineResponder));
        };
        let made = language_model(url, given(&self.responder_key), given(&self.responder_model), timeout?);
        made.map_err(|why| wrong.push(format!("HEARLERS_RESPONDER_URL (--responder-url): {why}"))).ok()
    }
}

/// A variable that is set to nothing is not set: compose files do that.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|it| !it.is_empty())
}

/// The one that asks.
#[cfg(feature = "openai")]
fn language_model(
    url: &str,
    key: Option<&str>,
    model: Option<&str>,
    timeout: Duration,
) -> Result<Arc<dyn Responder>, String> {
    use crate::{OpenAiConfig, OpenAiResponder, Secret};
    let mut config = OpenAiConfig { key: key.map(Secret::new), timeout, ..OpenAiConfig::new(url) };
    if let Some(model) = model {
        config.model = model.to_owned();
    }
    Ok(Arc::new(OpenAiResponder::new(config).map_err(|error| error.to_string())?))
}
#[cfg(not(feature = "openai"))]
fn language_model(_: &str, _: Option<&str>, _: Option<&str>, _: Duration) -> Result<Arc<dyn Responder>, String> {
    Err("nothing, for this program was built without the feature `openai`".to_owned())
}

/// What is wrong with the configuration, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(Vec<String>);

/// Where the database is and how to get in, so it does not show itself.
#[derive(Clone)]
pub struct DatabaseUrl(String);
impl DatabaseUrl {
    /// A PostgreSQL URL, or nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))?;
        (!rest.is_empty()).then(|| DatabaseUrl(text.to_owned()))
    }
    /// The URL itself, to connect with.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(..)")
    }
}

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
        for name in ["HEARLERS_LISTEN", "HEARLERS_DATABASE", "HEARLERS_KAFKA", "HEARLERS_RESPONDER_TIMEOUT"] {
            assert!(said.contains(name), "{name} in {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains("sk-1"), "{said}");
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        let flags = ["--database", "postgres://db/x", "--kafka", "kafka:9092", "--responder-url", ""];
        let args = Args::parse_from([&["counseling-service"], &flags[..]].concat());
        assert!(args.check().is_ok());
    }
}
