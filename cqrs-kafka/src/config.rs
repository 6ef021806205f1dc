//! The settings and their defaults. Other settings of librdkafka cannot be set, because some run commands or load code.
use crate::{
    Secret,
    credentials::{self, Passwords},
    names::{self, Names},
};
use rdkafka::ClientConfig;
use std::{collections::BTreeSet, fs::File, path::PathBuf, time::Duration};

/// The connection to Kafka and its use.
///
/// ```
/// use cqrs_kafka::KafkaConfig;
/// let mut config = KafkaConfig::new("kafka-1:9092,kafka-2:9092");
/// config.partitions = 6;
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// Addresses of brokers as `host:port`, separated by commas.
    pub brokers: String,
    /// The name of this service in the brokers' logs. Default: `cqrs`.
    pub client_id: String,
    /// The prefix of all topics and groups on the brokers, such as `staging.`, with which several deployments share a
    /// cluster. Only the brokers and their permissions know it: the code, metrics, health and stored notes have the
    /// names without it. Another prefix means other topics, so choose it once. Default: none.
    pub prefix: String,
    /// Topics of other deployments that this one reads: their exact names on the brokers, which the code has as well. The
    /// prefix is put before the group, and not before these topics. This service cannot publish to them. Default: none.
    ///
    /// ```
    /// # use cqrs_kafka::KafkaConfig;
    /// let mut config = KafkaConfig::new("kafka:9092");
    /// config.prefix = "staging.".into();
    /// config.foreign_topics.insert("legacy.orders".into());
    /// assert!(config.validate().is_ok());
    /// config.foreign_topics.insert("staging.user.events.v1".into()); // a topic of this deployment
    /// assert!(config.validate().is_err());
    /// ```
    pub foreign_topics: BTreeSet<String>,
    /// Number of partitions of the topics that this service publishes to. An existing one must have the same number. A
    /// topic that it only subscribes to may have any. Default: 12, which many numbers of consumers divide evenly.
    pub partitions: i32,
    /// Replication factor of a created topic. Default: `None`, the default of the broker. To lose no record, use 3 and
    /// set `min.insync.replicas=2` on the broker.
    pub replication: Option<i32>,
    /// Creates missing topics that this service publishes to if `true`; otherwise such a topic is an error. Default:
    /// `true`.
    pub create_topics: bool,
    /// A name of this process that stays the same after a restart, so that a restart does not move partitions
    /// (`group.instance.id`). It must be different for each process. Default: none.
    pub instance: Option<String>,
    /// The time to finish and acknowledge the work on a revoked partition. Default: 5 s.
    pub drain: Duration,
    /// The time without a heartbeat after which the partitions of a consumer go to other members
    /// (`session.timeout.ms`). Default: 10 s.
    pub session: Duration,
    /// The time that a publish waits for its next acknowledgement before it returns an error. Default: 10 s.
    pub patience: Duration,
    /// The size of the records that the consumers of this process have read and not acknowledged, in bytes. The assigned
    /// partitions share it equally, and a partition is paused while it has more. Each holds at least one record, whatever
    /// its size. Every consumer fetches up to an eighth of it ahead. Default: 32 MiB.
    pub buffer_bytes: usize,
    /// Encryption and authentication of the connection. Default: [`Security::Plaintext`].
    pub security: Security,
}

/// Encryption and authentication of the connection. There is no variant that sends a password over an unencrypted
/// connection.
///
/// The files are read again within a second after they have changed, while the transport is in use. A changed password is
/// shown at the next connection. With changed certificates, the publisher goes on with a new client once every record that
/// is in flight was acknowledged, or was not for [`KafkaConfig::patience`], and the consumers leave their groups and join
/// them again. While the files cannot be used, for example because a key does not belong to its certificate, the former
/// credentials stay in use and an error is logged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Security {
    /// No encryption and no authentication, for a network that only trusted processes reach.
    Plaintext,
    /// TLS. Requires the feature `tls`.
    Tls {
        /// File with the trusted certificate authorities, PEM. `None`: those of the operating system.
        ca: Option<PathBuf>,
        /// The certificate of this client, for a broker that requires one.
        client: Option<ClientCertificate>,
    },
    /// SCRAM authentication over TLS, which proves the password without sending it. Requires the feature `tls`.
    SaslScram {
        /// The mechanism with which the user was created on the broker.
        mechanism: Scram,
        /// Name of the user on the broker.
        username: String,
        /// Password of the user.
        password: Password,
        /// File with the trusted certificate authorities, PEM. `None`: those of the operating system.
        ca: Option<PathBuf>,
    },
}

/// A client certificate and its private key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// File with the certificate, PEM.
    pub certificate: PathBuf,
    /// File with the private key, PEM.
    pub key: PathBuf,
    /// Password of the private key, if it is encrypted.
    pub password: Option<Password>,
}

/// A password: a given one, or one in a file that is read again while the program runs.
///
/// ```
/// use cqrs_kafka::{Password, Secret};
/// let given = Password::from(Secret::new("hunter2"));
/// assert!(!format!("{given:?}").contains("hunter2"));
/// let in_file = Password::File("/run/secrets/kafka-password".into());
/// # drop(in_file);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Password {
    /// The password itself, which stays the same.
    Given(Secret),
    /// The file with the password. Line breaks at its end are ignored.
    File(PathBuf),
}

/// A SCRAM mechanism, named after its hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scram {
    /// SCRAM-SHA-256
    Sha256,
    /// SCRAM-SHA-512
    Sha512,
}

/// An error in the configuration. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address in `brokers` is not `host:port`.
    #[error("brokers: {0:?} is not host:port")]
    Broker(String),
    /// A name is empty or has a character that is not allowed.
    #[error("{field}: {value:?} must be one or more letters, digits, dots, dashes and underscores")]
    Name {
        /// Name of the setting.
        field: &'static str,
        /// The refused value.
        value: String,
    },
    /// A value is too small or too large.
    #[error("{field}: {value} is not between {least} and {most}")]
    Range {
        /// Name of the setting.
        field: &'static str,
        /// The refused value.
        value: String,
        /// The smallest allowed value.
        least: String,
        /// The largest allowed value.
        most: String,
    },
    /// A topic, with its prefix, has a name that Kafka does not accept. It is the source of the error with which the app
    /// does not start.
    #[error(
        "topic {0:?}: with its prefix, a topic must be 1 to 249 letters, digits, dots, dashes and underscores, and not \
         only one or two dots"
    )]
    Topic(String),
    /// A foreign topic has a name that Kafka does not accept, or one that begins with the prefix of this deployment.
    #[error(
        "foreign topic {0:?}: must be the name of a topic on the brokers, and must not begin with the prefix of this \
         deployment"
    )]
    ForeignTopic(String),
    /// TLS is configured and the crate is built without the feature `tls`.
    #[error("security: TLS and SCRAM require the feature `tls` of cqrs-kafka")]
    NoTls,
    /// The file of a certificate, key or password cannot be read.
    #[error("security: {0} cannot be read: {1}")]
    File(PathBuf, String),
    /// The user name or the password is empty, or has a NUL.
    #[error("security: the user name and the password must not be empty, and must not have a NUL")]
    NoPassword,
    /// librdkafka refused a setting, or could not create a client for the given reason.
    #[error("librdkafka refuses the configuration: {0}")]
    Refused(String),
}

impl KafkaConfig {
    /// Returns a configuration with these brokers, and defaults for the rest.
    pub fn new(brokers: impl Into<String>) -> Self {
        KafkaConfig {
            brokers: brokers.into(),
            client_id: "cqrs".into(),
            prefix: String::new(),
            foreign_topics: BTreeSet::new(),
            partitions: 12,
            replication: None,
            create_topics: true,
            instance: None,
            drain: Duration::from_secs(5),
            session: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            buffer_bytes: 32 << 20,
            security: Security::Plaintext,
        }
    }

    /// Checks that every value is in range and every file is readable. Called by
    /// [`Kafka::connect`](crate::Kafka::connect).
    ///
    /// # Errors
    /// Returns the first invalid setting.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(broker) = self.brokers.split(',').find(|broker| !is_address(broker)) {
            return Err(ConfigError::Broker(broker.to_owned()));
        }
        name("client_id", &self.client_id)?;
        if !self.prefix.is_empty() {
            name("prefix", &self.prefix)?;
        }
        range("length of the prefix", self.prefix.len(), 0, names::LONGEST_TOPIC - 1)?;
        // A name that begins with the prefix would be the name of two topics in the code.
        let is_own = |topic: &str| !self.prefix.is_empty() && topic.starts_with(&self.prefix);
        if let Some(refused) = self.foreign_topics.iter().find(|topic| !names::is_topic(topic) || is_own(topic)) {
            return Err(ConfigError::ForeignTopic(refused.clone()));
        }
        self.instance.as_deref().map_or(Ok(()), |instance| name("instance", instance))?;
        range("partitions", self.partitions, 1, 10_000)?;
        range("replication", self.replication.unwrap_or(1), 1, 100)?;
        range("session", self.session, Duration::from_secs(1), Duration::from_secs(1800))?;
        range("drain", self.drain, Duration::ZERO, self.session * 10)?;
        range("patience", self.patience, Duration::from_millis(100), Duration::from_secs(300))?;
        range("buffer_bytes", self.buffer_bytes, 1 << 20, 16 << 30)?;
        self.security.validate()
    }

    /// Returns the translation of names.
    pub(crate) fn names(&self) -> Names {
        Names::new(&self.prefix, &self.foreign_topics)
    }

    /// Returns the settings that producers, consumers and the admin client share. They may contain secrets: never log
    /// them.
    pub(crate) fn client(&self, passwords: &Passwords) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false") // a misspelt topic is an error, and is not created
            .set("socket.nagle.disable", "true") // a small request is sent without delay
            .set("socket.keepalive.enable", "true") // detects a connection that a NAT has dropped because it was idle
            .set("socket.timeout.ms", "30000") // the default of 60 s is too long when a broker freezes
            .set("reconnect.backoff.max.ms", "1000"); // reconnects soon after a broker is back
        self.security.apply(passwords, &mut client);
        client
    }
}

impl Security {
    fn validate(&self) -> Result<(), ConfigError> {
        if matches!(self, Security::Plaintext) {
            return Ok(());
        }
        self.passwords()?;
        if !cfg!(feature = "tls") {
            return Err(ConfigError::NoTls);
        }
        for file in self.certificate_files() {
            File::open(file).map_err(|error| ConfigError::File(file.clone(), error.to_string()))?;
        }
        Ok(())
    }
    /// Returns the files with certificates and private keys.
    pub(crate) fn certificate_files(&self) -> Vec<&PathBuf> {
        match self {
            Security::Plaintext => Vec::new(),
            Security::Tls { ca, client } => {
                ca.iter().chain(client.iter().flat_map(|client| [&client.certificate, &client.key])).collect()
            }
            Security::SaslScram { ca, .. } => ca.iter().collect(),
        }
    }
    /// Returns whether any credential is in a file.
    pub(crate) fn has_files(&self) -> bool {
        let password = match self {
            Security::Plaintext => None,
            Security::Tls { client, .. } => client.as_ref().and_then(|client| client.password.as_ref()),
            Security::SaslScram { password, .. } => Some(password),
        };
        matches!(password, Some(Password::File(_))) || !self.certificate_files().is_empty()
    }
    /// Returns the passwords, as their files are now.
    ///
    /// # Errors
    /// Fails when a file cannot be read, or when the user has no name or no password.
    pub(crate) fn passwords(&self) -> Result<Passwords, ConfigError> {
        match self {
            Security::Plaintext => Ok(Passwords::default()),
            Security::Tls { client, .. } => {
                let key = client.as_ref().and_then(|client| client.password.as_ref());
                Ok(Passwords { key: key.map(Password::read).transpose()?, user: None })
            }
            Security::SaslScram { username, password, .. } => {
                let password = password.read()?;
                if [username, password.expose()].into_iter().any(|text| text.is_empty() || text.contains('\0')) {
                    return Err(ConfigError::NoPassword);
                }
                Ok(Passwords { user: Some(password), key: None })
            }
        }
    }

    fn apply(&self, passwords: &Passwords, config: &mut ClientConfig) {
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
                }
                if let Some(password) = &passwords.key {
                    config.set("ssl.key.password", password.expose());
                }
            }
            Security::SaslScram { mechanism, username, ca, .. } => {
                let mechanism = match mechanism {
                    Scram::Sha256 => "SCRAM-SHA-256",
                    Scram::Sha512 => "SCRAM-SHA-512",
                };
                config.set("security.protocol", "sasl_ssl").set("sasl.mechanism", mechanism);
                config.set("sasl.username", username);
                if let Some(password) = &passwords.user {
                    config.set("sasl.password", password.expose());
                }
                authorities(config, ca);
            }
        }
    }
}

impl Password {
    /// Returns the password, as its file is now.
    fn read(&self) -> Result<Secret, ConfigError> {
        let file = match self {
            Password::Given(password) => return Ok(password.clone()),
            Password::File(file) => file,
        };
        let text = String::from_utf8(credentials::contents(file)?);
        let text = text.map_err(|_| ConfigError::File(file.clone(), "it is not UTF-8".to_owned()))?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }
}
impl From<Secret> for Password {
    fn from(password: Secret) -> Self {
        Password::Given(password)
    }
}

fn is_address(broker: &str) -> bool {
    let is_host = |host: &str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
    };
    broker.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn name(field: &'static str, value: &str) -> Result<(), ConfigError> {
    let valid = !value.is_empty() && names::has_valid_characters(value);
    if valid { Ok(()) } else { Err(ConfigError::Name { field, value: value.to_owned() }) }
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
