//! The brokers: Apache Kafka.
use cqrs_core::Secret;
use cqrs_kafka::{ClientCertificate, ConfigError, KafkaConfig, Scram, Security};
use std::path::PathBuf;
use trust::secrets::{self, Name, given};

const BROKERS: Name = Name { variable: "HEARLERS_KAFKA", flag: "--kafka" };
const SECURITY: Name = Name { variable: "HEARLERS_KAFKA_SECURITY", flag: "--kafka-security" };
const CERTIFICATE: Name = Name { variable: "HEARLERS_KAFKA_CERTIFICATE", flag: "--kafka-certificate" };
const KEY_PASSWORD: Name = Name { variable: "HEARLERS_KAFKA_KEY_PASSWORD", flag: "--kafka-key-password" };
const USER: Name = Name { variable: "HEARLERS_KAFKA_USER", flag: "--kafka-user" };
const PASSWORD: Name = Name { variable: "HEARLERS_KAFKA_PASSWORD", flag: "--kafka-password" };

/// Where the brokers are.
// Values are text here, so that `check` can report all that is wrong and not only the first.
#[derive(clap::Args)]
pub struct KafkaArgs {
    /// The Kafka brokers: HOST:PORT, with commas between.
    #[arg(long, env = "HEARLERS_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// How the connection is protected: plaintext, tls, scram-sha-256 or scram-sha-512, which are over TLS. Plaintext unless set.
    #[arg(long, env = "HEARLERS_KAFKA_SECURITY", value_name = "HOW")]
    kafka_security: Option<String>,
    /// The authority of the brokers' certificates, PEM. The machine's own unless set.
    #[arg(long, env = "HEARLERS_KAFKA_CA", value_name = "FILE")]
    kafka_ca: Option<String>,
    /// A certificate to show to the brokers, PEM: with tls.
    #[arg(long, env = "HEARLERS_KAFKA_CERTIFICATE", value_name = "FILE")]
    kafka_certificate: Option<String>,
    /// Its key, PEM.
    #[arg(long, env = "HEARLERS_KAFKA_KEY", value_name = "FILE")]
    kafka_key: Option<String>,
    /// The key's password, if it has one.
    #[arg(long, env = "HEARLERS_KAFKA_KEY_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    kafka_key_password: Option<String>,
    /// A file with the key's password.
    #[arg(long, env = "HEARLERS_KAFKA_KEY_PASSWORD_FILE", value_name = "FILE")]
    kafka_key_password_file: Option<String>,
    /// The user: with scram.
    #[arg(long, env = "HEARLERS_KAFKA_USER", value_name = "NAME")]
    kafka_user: Option<String>,
    /// The user's password.
    #[arg(long, env = "HEARLERS_KAFKA_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    kafka_password: Option<String>,
    /// A file with the user's password.
    #[arg(long, env = "HEARLERS_KAFKA_PASSWORD_FILE", value_name = "FILE")]
    kafka_password_file: Option<String>,
}

impl KafkaArgs {
    /// The brokers; `service` is what they will call this program.
    pub fn check(&self, service: &str, wrong: &mut Vec<String>) -> Option<KafkaConfig> {
        let before = wrong.len();
        let security = self.security(wrong);
        let brokers = given(self.kafka.as_deref()).unwrap_or_default();
        let config = KafkaConfig { client_id: service.to_owned(), ..KafkaConfig::new(brokers) };
        // Where they are is looked at even if how is wrong, so that both are said.
        if config.validate().is_err() {
            wrong.push(format!("{BROKERS}: HOST:PORT, with commas between; no default"));
        }
        let config = KafkaConfig { security: security?, ..config };
        if wrong.len() == before
            && let Err(error) = config.validate()
        {
            wrong.push(line(&error));
        }
        (wrong.len() == before).then_some(config)
    }

    fn security(&self, wrong: &mut Vec<String>) -> Option<Security> {
        let secret = |name, value: &Option<String>, file: &Option<String>, wrong: &mut Vec<String>| {
            secrets::read(name, value.as_deref(), file.as_deref(), wrong)
        };
        let key_password = secret(KEY_PASSWORD, &self.kafka_key_password, &self.kafka_key_password_file, wrong);
        let password = secret(PASSWORD, &self.kafka_password, &self.kafka_password_file, wrong);
        let ca: Option<PathBuf> = given(self.kafka_ca.as_deref()).map(Into::into);
        let client = match (given(self.kafka_certificate.as_deref()), given(self.kafka_key.as_deref())) {
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate { certificate: certificate.into(), key: key.into(), password: key_password })
            }
            (None, None) if key_password.is_none() => None,
            _ => {
                wrong.push(format!("{CERTIFICATE}: goes with HEARLERS_KAFKA_KEY, and a key's password with both"));
                return None;
            }
        };
        let scram = match given(self.kafka_security.as_deref()).unwrap_or("plaintext") {
            "plaintext" => return self.plaintext(ca.is_some() || client.is_some() || password.is_some(), wrong),
            "tls" if password.is_some() || given(self.kafka_user.as_deref()).is_some() => {
                wrong.push(format!("{SECURITY}: scram-sha-256 or scram-sha-512 where there is a user"));
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
            wrong.push(format!("{CERTIFICATE}: goes with tls, not with a user"));
        }
        self.user(scram, password, ca, wrong)
    }

    /// Who set up certificates or a password does not want to send everything in the open.
    fn plaintext(&self, meant_otherwise: bool, wrong: &mut Vec<String>) -> Option<Security> {
        if meant_otherwise || given(self.kafka_user.as_deref()).is_some() {
            wrong.push(format!("{SECURITY}: must not be plaintext where there are certificates or a user"));
            return None;
        }
        Some(Security::Plaintext)
    }

    fn user(
        &self,
        mechanism: Scram,
        password: Option<Secret>,
        ca: Option<PathBuf>,
        wrong: &mut Vec<String>,
    ) -> Option<Security> {
        match (given(self.kafka_user.as_deref()), password) {
            (Some(user), Some(password)) => {
                Some(Security::SaslScram { mechanism, username: user.to_owned(), password, ca })
            }
            _ => {
                wrong.push(format!("{USER}: goes with HEARLERS_KAFKA_PASSWORD"));
                None
            }
        }
    }
}

/// What is wrong, by the name under which it was set.
fn line(error: &ConfigError) -> String {
    match error {
        ConfigError::NoTls => {
            format!("{SECURITY}: plaintext, for this program was built without the feature `kafka-tls`")
        }
        ConfigError::NoPassword => format!("{PASSWORD}: must not be empty"),
        error => format!("{SECURITY}: {error}"),
    }
}
