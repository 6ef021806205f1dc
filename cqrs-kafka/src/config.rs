//! What may be set, each with its default. Nothing is passed through to librdkafka: some of its keys run commands or load code.
use crate::Secret;
use rdkafka::ClientConfig;
use std::{path::PathBuf, time::Duration};

/// How Kafka is reached and used.
///
/// ```
/// use cqrs_kafka::KafkaConfig;
/// let config = KafkaConfig { partitions: 6, ..KafkaConfig::new("kafka-1:9092,kafka-2:9092") };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port`, with commas between.
    pub brokers: String,
    /// What the brokers' logs call this service. Default: `cqrs`.
    pub client_id: String,
    /// Partitions of topics that are created; what exists must have as many. Default: 12, which many numbers of consumers divide.
    pub partitions: i32,
    /// Copies of topics that are created. Default: `None`, what the broker says. Losing no record takes 3 copies and
    /// `min.insync.replicas=2`, which is the broker's setting.
    pub replication: Option<i32>,
    /// Whether missing topics are created. Default: yes. If not, they must be there.
    pub create_topics: bool,
    /// A name for this process that outlives it, so that a restart does not move partitions (`group.instance.id`). Every
    /// process needs another. Default: none.
    pub instance: Option<String>,
    /// How long revoked partitions are waited for. Default: 5 s.
    pub drain: Duration,
    /// How long a consumer may be silent before its partitions go to others (`session.timeout.ms`). Default: 10 s.
    pub session: Duration,
    /// How long a publish waits for its next acknowledgement before it says so. Default: 10 s.
    pub patience: Duration,
    /// How the connection is protected. Default: not at all.
    pub security: Security,
}

/// How the connection is protected. A password never goes over a connection that is not encrypted: there is no such variant.
#[derive(Debug, Clone)]
pub enum Security {
    /// Not at all: for machines that nobody else reaches.
    Plaintext,
    /// TLS. Takes the feature `tls`.
    Tls {
        /// The authorities that are believed, PEM. `None`: the machine's own.
        ca: Option<PathBuf>,
        /// Who we are, where the broker asks.
        client: Option<ClientCertificate>,
    },
    /// A password over TLS, proven and not sent. Takes the feature `tls`.
    SaslScram {
        /// The hash that the user was set up with.
        mechanism: Scram,
        /// The user.
        username: String,
        /// The password.
        password: Secret,
        /// The authorities that are believed, PEM. `None`: the machine's own.
        ca: Option<PathBuf>,
    },
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The key's password, if it has one.
    pub password: Option<Secret>,
}

/// SCRAM's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scram {
    /// SCRAM-SHA-256
    Sha256,
    /// SCRAM-SHA-512
    Sha512,
}

/// Why a configuration was refused. Never says a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not `host:port`, with commas between.
    #[error("brokers: {0:?} is not host:port")]
    Broker(String),
    /// Empty, or characters that end up in logs and names.
    #[error("{field}: {value:?} may only have letters, digits, dot, dash and underscore, and must have one")]
    Name {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// Too small or too large.
    #[error("{field}: {value} is not between {least} and {most}")]
    Range {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may be.
        least: String,
        /// What it may be.
        most: String,
    },
    /// The feature is not compiled in.
    #[error("security: this takes the feature `tls` of cqrs-kafka")]
    NoTls,
    /// A file cannot be read.
    #[error("security: {0} cannot be read: {1}")]
    File(PathBuf, String),
    /// User or password is empty.
    #[error("security: user and password must not be empty")]
    NoPassword,
    /// librdkafka refused.
    #[error("librdkafka refuses {0}")]
    Refused(String),
}

impl KafkaConfig {
    /// These brokers and the defaults.
    pub fn new(brokers: impl Into<String>) -> Self {
        KafkaConfig {
            brokers: brokers.into(),
            client_id: "cqrs".into(),
            partitions: 12,
            replication: None,
            create_topics: true,
            instance: None,
            drain: Duration::from_secs(5),
            session: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            security: Security::Plaintext,
        }
    }

    /// Whether everything is in range and every file is there. [`Kafka::connect`](crate::Kafka::connect) asks as well.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(broker) = self.brokers.split(',').find(|broker| !is_address(broker)) {
            return Err(ConfigError::Broker(broker.to_owned()));
        }
        name("client_id", &self.client_id)?;
        self.instance.as_deref().map_or(Ok(()), |instance| name("instance", instance))?;
        range("partitions", self.partitions, 1, 10_000)?;
        range("replication", self.replication.unwrap_or(1), 1, 100)?;
        range("session", self.session, Duration::from_secs(1), Duration::from_secs(1800))?;
        range("drain", self.drain, Duration::ZERO, self.session * 10)?;
        range("patience", self.patience, Duration::from_millis(100), Duration::from_secs(300))?;
        self.security.validate()
    }

    /// What producers, consumers and the admin client have in common. The result may hold secrets: never log it.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false") // a misspelt topic is an error, not a topic
            .set("socket.keepalive.enable", "true") // a NAT's idle cut is noticed
            .set("socket.timeout.ms", "30000") // what nobody answers is asked again; a minute is long for a frozen broker
            .set("reconnect.backoff.max.ms", "1000"); // a broker that is back is found soon
        self.security.apply(&mut client);
        client
    }
}

impl Security {
    fn validate(&self) -> Result<(), ConfigError> {
        let files: Vec<&PathBuf> = match self {
            Security::Plaintext => return Ok(()),
            Security::Tls { ca, client } => {
                ca.iter().chain(client.iter().flat_map(|it| [&it.certificate, &it.key])).collect()
            }
            Security::SaslScram { username, password, ca, .. } => {
                if username.is_empty() || password.expose().is_empty() {
                    return Err(ConfigError::NoPassword);
                }
                ca.iter().collect()
            }
        };
        if !cfg!(feature = "tls") {
            return Err(ConfigError::NoTls);
        }
        for file in files {
            std::fs::File::open(file).map_err(|error| ConfigError::File(file.clone(), error.to_string()))?;
        }
        Ok(())
    }

    fn apply(&self, config: &mut ClientConfig) {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let authorities = |config: &mut ClientConfig, ca: &Option<PathBuf>| {
            if let Some(ca) = ca {
                config.set("ssl.ca.location", text(ca));
            }
        };
        match self {
            Security::Plaintext => {
                config.set("security.protocol", "plaintext");
            }
            Security::Tls { ca, client } => {
                config.set("security.protocol", "ssl");
                authorities(config, ca);
                if let Some(client) = client {
                    config.set("ssl.certificate.location", text(&client.certificate));
                    config.set("ssl.key.location", text(&client.key));
                    if let Some(password) = &client.password {
                        config.set("ssl.key.password", password.expose());
                    }
                }
            }
            Security::SaslScram { mechanism, username, password, ca } => {
                let mechanism = match mechanism {
                    Scram::Sha256 => "SCRAM-SHA-256",
                    Scram::Sha512 => "SCRAM-SHA-512",
                };
                config.set("security.protocol", "sasl_ssl").set("sasl.mechanism", mechanism);
                config.set("sasl.username", username).set("sasl.password", password.expose());
                authorities(config, ca);
            }
        }
    }
}

fn is_address(broker: &str) -> bool {
    let host_is_fine = |host: &str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
    };
    broker
        .rsplit_once(':')
        .is_some_and(|(host, port)| host_is_fine(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn name(field: &'static str, value: &str) -> Result<(), ConfigError> {
    let fine = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if fine { Ok(()) } else { Err(ConfigError::Name { field, value: value.to_owned() }) }
}

fn range<T: PartialOrd + std::fmt::Debug>(field: &'static str, value: T, least: T, most: T) -> Result<(), ConfigError> {
    if least <= value && value <= most {
        return Ok(());
    }
    let text = |value: T| format!("{value:?}");
    Err(ConfigError::Range { field, value: text(value), least: text(least), most: text(most) })
}

#[cfg(test)]
mod tests;
