//! What may be set, each with its default and its reason. Whatever is wrong is said all at once.
use clap::Parser;
use cqrs_kafka::KafkaConfig;
use std::{fmt, net::SocketAddr};

/// The user service: who somebody is, and how many messages they have left.
///
/// Values are text here, so that [`check`](Args::check) can report all that is wrong and not only the first.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
pub struct Args {
    /// Where to listen: IP address and port. By default only this machine can ask: nothing here asks who it is.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: String,
    /// The database of this service alone: postgres://USER:PASSWORD@HOST:PORT/NAME.
    #[arg(long, env = "HEARLERS_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// The Kafka brokers: HOST:PORT, with commas between.
    #[arg(long, env = "HEARLERS_KAFKA", value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Where health and metrics can be asked for over HTTP: IP address and port. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    pub operations: Option<String>,
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
            wrong.push("HEARLERS_LISTEN (--listen): an IP address and a port, as in 127.0.0.1:50051");
        }
        let operations =
            self.operations.as_deref().filter(|it| !it.is_empty()).map(str::parse::<SocketAddr>).transpose();
        if operations.is_err() {
            wrong.push("HEARLERS_OPERATIONS (--operations): an IP address and a port, as in 127.0.0.1:9464");
        }
        let database = self.database.as_deref().and_then(DatabaseUrl::parse);
        if database.is_none() {
            wrong.push("HEARLERS_DATABASE (--database): postgres://USER:PASSWORD@HOST:PORT/NAME; no default");
        }
        let kafka = self.kafka.map(|brokers| KafkaConfig { client_id: "user".into(), ..KafkaConfig::new(brokers) });
        let kafka = kafka.filter(|kafka| kafka.validate().is_ok());
        if kafka.is_none() {
            wrong.push("HEARLERS_KAFKA (--kafka): HOST:PORT, with commas between; no default");
        }
        match (listen, operations, database, kafka) {
            (Ok(listen), Ok(operations), Some(database), Some(kafka)) => {
                Ok(Config { listen, operations, database, kafka })
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
    pub database: DatabaseUrl,
    /// Over what it talks to other services.
    pub kafka: KafkaConfig,
}

/// What is wrong with the configuration, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(Vec<&'static str>);

/// Where the database is and how to get in, so it does not show itself.
///
/// ```
/// use user_service::config::DatabaseUrl;
///
/// let url = DatabaseUrl::parse("postgres://kim:secret@localhost/users").unwrap();
/// assert_eq!(format!("{url:?}"), "DatabaseUrl(..)");
/// assert!(DatabaseUrl::parse("mysql://localhost").is_none());
/// ```
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

    fn args(listen: &str, database: Option<&str>, kafka: Option<&str>) -> Args {
        Args {
            listen: listen.into(),
            database: database.map(Into::into),
            kafka: kafka.map(Into::into),
            operations: None,
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_no_secret_with_it() {
        let wrong = args("here", Some("kim:secret@host"), None).check().unwrap_err().to_string();
        for name in ["HEARLERS_LISTEN", "HEARLERS_DATABASE", "HEARLERS_KAFKA"] {
            assert!(wrong.contains(name), "{wrong}");
        }
        assert!(!wrong.contains("secret"));
    }
    #[test]
    fn what_is_right_is_taken_and_can_be_shown() {
        let config = args("127.0.0.1:0", Some("postgres://kim:secret@host/users"), Some("a:1,b:2")).check().unwrap();
        assert_eq!(config.kafka.brokers, "a:1,b:2");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
