//! Certificates and passwords of files, which are read again while the program runs.
//!
//! A changed password is handed to the running clients, which show it when they connect or authenticate the next time.
//! librdkafka reads certificates only when a client is created, so each client looks at the version of the credentials and
//! gives way to a new one.
#![allow(unsafe_code, reason = "the safe interface of the client library has no function for another password")]
use crate::{ConfigError, KafkaConfig, Security, blocking::drop_elsewhere, error};
use cqrs_core::Secret;
use rdkafka::{
    ClientConfig, ClientContext,
    bindings::{rd_kafka_error_destroy, rd_kafka_sasl_set_credentials},
    client::Client,
    producer::BaseProducer,
};
use std::{
    collections::hash_map::DefaultHasher,
    ffi::CString,
    fmt, fs,
    hash::{Hash, Hasher},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The longest time until a changed file is read again, while a consumer or publisher is in use.
const INTERVAL: Duration = Duration::from_secs(1);

/// The configuration with the credentials of its files, as they were when they could last be used.
pub(crate) struct Credentials {
    config: KafkaConfig,
    /// Whether any credential is in a file.
    has_files: bool,
    state: Mutex<State>,
}
struct State {
    read: Contents,
    version: Version,
    look_at: Instant,
    /// Set while the files cannot be used.
    failing: bool,
}

/// The contents of the files. Of certificates and keys only a hash is kept.
#[derive(PartialEq, Eq)]
struct Contents {
    certificates: u64,
    passwords: Passwords,
}
/// The passwords of the user and of the private key.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Passwords {
    pub(crate) user: Option<Secret>,
    pub(crate) key: Option<Secret>,
}

/// Counts the changes of the credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Each change needs new clients.
    pub(crate) certificates: u64,
    /// Each change needs a call of [`Credentials::hand_to`].
    pub(crate) password: u64,
}

impl Credentials {
    /// Reads the files of a valid configuration.
    ///
    /// # Errors
    /// Fails when a file cannot be read.
    pub(crate) fn read(config: KafkaConfig) -> Result<Self, ConfigError> {
        let read = Contents::read(&config.security)?;
        let look_at = Instant::now() + INTERVAL;
        let state = Mutex::new(State { read, version: Version::default(), look_at, failing: false });
        Ok(Credentials { has_files: config.security.has_files(), config, state })
    }
    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.config
    }
    /// Returns the settings that producers, consumers and the admin client share, and the version of their credentials.
    /// They may contain secrets: never log them.
    pub(crate) fn client(&self) -> (ClientConfig, Version) {
        let state = self.state();
        (self.config.client(&state.read.passwords), state.version)
    }
    /// Returns the version of the credentials.
    pub(crate) fn version(&self) -> Version {
        self.state().version
    }
    /// Returns whether the files have to be looked at.
    pub(crate) fn is_due(&self) -> bool {
        self.has_files && Instant::now() >= self.state().look_at
    }

    /// Reads the files if they are due, and returns the version. Blocks. Files that cannot be used change nothing.
    pub(crate) fn look(&self) -> Version {
        if !self.is_due() {
            return self.version();
        }
        self.state().look_at = Instant::now() + INTERVAL;
        let read = Contents::read(&self.config.security).and_then(|read| {
            let certificates = self.state().read.certificates;
            let has_other_key_password = self.state().read.passwords.key != read.passwords.key;
            if read.certificates != certificates || has_other_key_password {
                self.try_out(&read.passwords)?;
            }
            Ok(read)
        });
        let mut state = self.state();
        let was_failing = std::mem::replace(&mut state.failing, read.is_err());
        match read {
            Ok(read) => {
                let former = &state.read;
                let has_certificates =
                    read.certificates != former.certificates || read.passwords.key != former.passwords.key;
                let has_password = read.passwords.user != former.passwords.user;
                state.version.certificates += u64::from(has_certificates);
                state.version.password += u64::from(has_password);
                if has_certificates {
                    tracing::info!("the certificates for the Kafka brokers have changed; its clients are replaced");
                }
                if has_password {
                    tracing::info!("the password for the Kafka brokers has changed");
                }
                state.read = read;
            }
            Err(error) if !was_failing => {
                let message = "the credentials for the Kafka brokers cannot be read again; the former ones stay in use";
                tracing::error!(%error, "{message}");
            }
            Err(_) => {}
        }
        state.version
    }
    /// Creates a client with the files as they are, so that a certificate without its key replaces nothing.
    fn try_out(&self, passwords: &Passwords) -> Result<(), ConfigError> {
        let client: BaseProducer = self.config.client(passwords).create().map_err(error::from_client_creation)?;
        drop_elsewhere(client);
        Ok(())
    }

    /// Hands the current password to a running client. Its open connections stay as they are.
    pub(crate) fn hand_to<C: ClientContext>(&self, client: &Client<C>) {
        let Security::SaslScram { username, .. } = &self.config.security else { return };
        let password = self.state().read.passwords.user.clone();
        let texts = (CString::new(username.as_str()), CString::new(password.as_ref().map_or("", Secret::expose)));
        let (Ok(username), Ok(password)) = texts else { return }; // refused when it was read
        // SAFETY: the client outlives the call, which copies both texts. It returns null or an error that is owned here.
        unsafe {
            let error = rd_kafka_sasl_set_credentials(client.native_ptr(), username.as_ptr(), password.as_ptr());
            if !error.is_null() {
                rd_kafka_error_destroy(error);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// The credentials of one running client.
pub(crate) struct Held {
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) version: Version,
}
impl Held {
    /// Reads the files if they are due, and hands a changed password to the client. Blocks. Returns whether the client can
    /// go on: `false` after a change of its certificates.
    pub(crate) fn look<C: ClientContext>(&mut self, client: &Client<C>) -> bool {
        let version = self.credentials.look();
        if version.password != self.version.password {
            self.credentials.hand_to(client);
            self.version.password = version.password;
        }
        version.certificates == self.version.certificates
    }
}

impl Contents {
    fn read(security: &Security) -> Result<Self, ConfigError> {
        let mut hash = DefaultHasher::new();
        for file in security.certificate_files() {
            contents(file)?.hash(&mut hash);
        }
        Ok(Contents { certificates: hash.finish(), passwords: security.passwords()? })
    }
}

/// Returns the contents of a file.
pub(crate) fn contents(file: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(file).map_err(|error| ConfigError::File(file.to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Password, Scram};

    /// Looks at the files now, and returns the version.
    fn look(credentials: &Credentials) -> Version {
        credentials.state().look_at = Instant::now();
        credentials.look()
    }

    #[test]
    fn a_changed_password_is_a_new_version_and_a_file_without_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let password = |text: &str| fs::write(&file, text).unwrap();
        password("first\n");
        let mut config = KafkaConfig::new("localhost:9092");
        let (mechanism, username) = (Scram::Sha512, "kim".to_owned());
        config.security = Security::SaslScram { mechanism, username, password: Password::File(file.clone()), ca: None };
        let credentials = Credentials::read(config).unwrap();
        let held = || credentials.state().read.passwords.user.clone();
        assert_eq!(look(&credentials), Version::default());

        password("second");
        assert_eq!(look(&credentials), Version { certificates: 0, password: 1 });
        for unusable in ["", "\n", "a\0b"] {
            password(unusable);
            assert_eq!(look(&credentials), Version { certificates: 0, password: 1 }, "{unusable:?}");
            assert_eq!(held().unwrap().expose(), "second");
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(look(&credentials), Version { certificates: 0, password: 1 });

        password("third");
        assert_eq!(look(&credentials), Version { certificates: 0, password: 2 });
        assert_eq!(held().unwrap().expose(), "third");
    }
}
