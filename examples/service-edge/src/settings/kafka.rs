//! The settings of the Apache Kafka brokers.
use cqrs_kafka::{ClientCertificate, ConfigError, KafkaConfig, Password, Scram, Security};
use service_auth::secrets::{self, Name, given};
use std::{collections::BTreeSet, path::PathBuf};

const BROKERS: Name = Name { variable: "HEARLERS_KAFKA", flag: "--kafka" };
const PREFIX: Name = Name { variable: "HEARLERS_KAFKA_PREFIX", flag: "--kafka-prefix" };
const FOREIGN_TOPICS: Name = Name { variable: "HEARLERS_KAFKA_FOREIGN_TOPICS", flag: "--kafka-foreign-topics" };
const SECURITY: Name = Name { variable: "HEARLERS_KAFKA_SECURITY", flag: "--kafka-security" };
const CERTIFICATE: Name = Name { variable: "HEARLERS_KAFKA_CERTIFICATE", flag: "--kafka-certificate" };
const KEY_PASSWORD: Name = Name { variable: "HEARLERS_KAFKA_KEY_PASSWORD", flag: "--kafka-key-password" };
const USER: Name = Name { variable: "HEARLERS_KAFKA_USER", flag: "--kafka-user" };
const PASSWORD: Name = Name { variable: "HEARLERS_KAFKA_PASSWORD", flag: "--kafka-password" };

/// The settings of the brokers.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct KafkaArgs {
    /// Kafka brokers: HOST:PORT, separated by commas.
    #[arg(long, env = "HEARLERS_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// Prefix of all topics and groups on the brokers, such as staging., so that several deployments can share them. Every
    /// service of a deployment needs the same one. The default is none.
    #[arg(long, env = "HEARLERS_KAFKA_PREFIX", value_name = "PREFIX")]
    kafka_prefix: Option<String>,
    /// Topics of other deployments, by their exact names on the brokers, separated by commas: the prefix is not put before
    /// them. The default is none.
    #[arg(long, env = "HEARLERS_KAFKA_FOREIGN_TOPICS", value_name = "TOPICS")]
    kafka_foreign_topics: Option<String>,
    /// Security protocol: plaintext, tls, scram-sha-256 or scram-sha-512 (SCRAM uses TLS). The default is plaintext.
    #[arg(long, env = "HEARLERS_KAFKA_SECURITY", value_name = "HOW")]
    kafka_security: Option<String>,
    /// Certificate authority of the brokers, PEM. The default is those of the machine.
    #[arg(long, env = "HEARLERS_KAFKA_CA", value_name = "FILE")]
    kafka_ca: Option<String>,
    /// Client certificate for the brokers, PEM: only with tls.
    #[arg(long, env = "HEARLERS_KAFKA_CERTIFICATE", value_name = "FILE")]
    kafka_certificate: Option<String>,
    /// Private key of the client certificate, PEM.
    #[arg(long, env = "HEARLERS_KAFKA_KEY", value_name = "FILE")]
    kafka_key: Option<String>,
    /// Password of the private key, if it has one.
    #[arg(long, env = "HEARLERS_KAFKA_KEY_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    kafka_key_password: Option<String>,
    /// File that contains the key's password. It is read again when it changes, as the certificates are.
    #[arg(long, env = "HEARLERS_KAFKA_KEY_PASSWORD_FILE", value_name = "FILE")]
    kafka_key_password_file: Option<String>,
    /// User name: only with SCRAM.
    #[arg(long, env = "HEARLERS_KAFKA_USER", value_name = "NAME")]
    kafka_user: Option<String>,
    /// Password of the user.
    #[arg(long, env = "HEARLERS_KAFKA_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    kafka_password: Option<String>,
    /// File that contains the user's password. It is read again when it changes.
    #[arg(long, env = "HEARLERS_KAFKA_PASSWORD_FILE", value_name = "FILE")]
    kafka_password_file: Option<String>,
}

impl KafkaArgs {
    /// Validates the settings; `service` is the client id that the brokers show.
    pub fn check(&self, service: &str, wrong: &mut Vec<String>) -> Option<KafkaConfig> {
        let before = wrong.len();
        let security = self.security(wrong);
        let brokers = given(self.kafka.as_deref()).unwrap_or_default();
        let mut config = KafkaConfig::new(brokers);
        config.client_id = service.to_owned();
        // The addresses are checked even when the security settings are invalid, so that both errors are reported.
        if config.validate().is_err() {
            wrong.push(format!("{BROKERS}: HOST:PORT, separated by commas; no default"));
        }
        config.prefix = self.prefix(wrong);
        config.foreign_topics = self.foreign_topics(&config.prefix, wrong);
        config.security = security?;
        if wrong.len() == before
            && let Err(error) = config.validate()
        {
            wrong.push(line(&error));
        }
        (wrong.len() == before).then_some(config)
    }

    /// Returns the prefix of topics and groups. It is validated alone, so that the error names its setting.
    fn prefix(&self, wrong: &mut Vec<String>) -> String {
        let mut config = KafkaConfig::new("localhost:9092");
        config.prefix = given(self.kafka_prefix.as_deref()).unwrap_or_default().to_owned();
        if config.validate().is_err() {
            wrong.push(format!("{PREFIX}: at most 248 letters, digits, dots, dashes and underscores"));
        }
        config.prefix
    }

    /// Returns the topics of other deployments, validated with the prefix.
    fn foreign_topics(&self, prefix: &str, wrong: &mut Vec<String>) -> BTreeSet<String> {
        let given = given(self.kafka_foreign_topics.as_deref()).into_iter();
        let topics: BTreeSet<_> =
            given.flat_map(|topics| topics.split(',')).map(|topic| topic.trim().to_owned()).collect();
        let mut config = KafkaConfig::new("localhost:9092");
        (config.prefix, config.foreign_topics) = (prefix.to_owned(), topics.clone());
        if let Err(error @ ConfigError::ForeignTopic(_)) = config.validate() {
            wrong.push(format!("{FOREIGN_TOPICS}: {error}"));
        }
        topics
    }

    fn security(&self, wrong: &mut Vec<String>) -> Option<Security> {
        let key_password = password_of(KEY_PASSWORD, &self.kafka_key_password, &self.kafka_key_password_file, wrong);
        let password = password_of(PASSWORD, &self.kafka_password, &self.kafka_password_file, wrong);
        let ca: Option<PathBuf> = given(self.kafka_ca.as_deref()).map(Into::into);
        let client = match (given(self.kafka_certificate.as_deref()), given(self.kafka_key.as_deref())) {
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate { certificate: certificate.into(), key: key.into(), password: key_password })
            }
            (None, None) if key_password.is_none() => None,
            _ => {
                wrong.push(format!(
                    "{CERTIFICATE}: requires HEARLERS_KAFKA_KEY and the reverse; a key password requires both"
                ));
                return None;
            }
        };
        let scram = match given(self.kafka_security.as_deref()).unwrap_or("plaintext") {
            "plaintext" => return self.plaintext(ca.is_some() || client.is_some() || password.is_some(), wrong),
            "tls" if password.is_some() || given(self.kafka_user.as_deref()).is_some() => {
                wrong.push(format!("{SECURITY}: scram-sha-256 or scram-sha-512 when a user is set"));
                return None;
            }
            "tls" => return Some(Security::Tls { ca, client }),
            "scram-sha-256" => Scram::Sha256,
            "scram-sha-512" => Scram::Sha512,
            _ => {
                wrong.push(format!("{SECURITY}: plaintext, tls, scram-sha-256 or scram-sha-512"));
                return None;
            }
        };
        if client.is_some() {
            wrong.push(format!("{CERTIFICATE}: only with tls, not with a user"));
        }
        self.user(scram, password, ca, wrong)
    }

    /// Refuses plaintext when certificates or credentials are set, because they show that encryption is intended.
    fn plaintext(&self, credentials_set: bool, wrong: &mut Vec<String>) -> Option<Security> {
        if credentials_set || given(self.kafka_user.as_deref()).is_some() {
            wrong.push(format!("{SECURITY}: must not be plaintext when certificates or a user are set"));
            return None;
        }
        Some(Security::Plaintext)
    }

    fn user(
        &self,
        mechanism: Scram,
        password: Option<Password>,
        ca: Option<PathBuf>,
        wrong: &mut Vec<String>,
    ) -> Option<Security> {
        match (given(self.kafka_user.as_deref()), password) {
            (Some(user), Some(password)) => {
                Some(Security::SaslScram { mechanism, username: user.to_owned(), password, ca })
            }
            _ => {
                wrong.push(format!("{USER}: requires HEARLERS_KAFKA_PASSWORD, and the password requires the user"));
                None
            }
        }
    }
}

/// Returns a password, or its file once it has been read.
fn password_of(name: Name, value: &Option<String>, file: &Option<String>, wrong: &mut Vec<String>) -> Option<Password> {
    let read = secrets::read(name, value.as_deref(), file.as_deref(), wrong)?;
    Some(match given(file.as_deref()) {
        Some(file) => Password::File(file.into()),
        None => Password::Given(read),
    })
}

/// Describes an error with the name of its setting.
fn line(error: &ConfigError) -> String {
    match error {
        ConfigError::NoTls => {
            format!("{SECURITY}: only plaintext, because this program was built without the feature `kafka-tls`")
        }
        ConfigError::NoPassword => format!("{PASSWORD}: must not be empty"),
        error => format!("{SECURITY}: {error}"),
    }
}
