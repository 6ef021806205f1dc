//! Connection settings of a PostgreSQL database, parsed from a URL with a fixed list of parameters.
use crate::secret::Secret;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    fmt,
    fs::{self, File},
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};
use url::Url;

/// The connection settings of a PostgreSQL database. `Debug` does not show the password.
///
/// ```
/// use cqrs_core::storage::postgres::{Config, ConfigError, TlsMode};
///
/// let config = Config::parse("postgres://kim:hunter2@db:5432/users?application_name=user").unwrap();
/// assert_eq!(config.tls.mode, TlsMode::Disable); // unless the URL says otherwise
/// assert!(!format!("{config:?}").contains("hunter2"));
/// let refused = Config::parse("postgres://db/users?options=-c%20fsync%3Doff").unwrap_err();
/// assert_eq!(refused, ConfigError::Unknown("options".to_owned()));
/// ```
#[derive(Clone)]
pub struct Config {
    /// The given URL, without its parameters.
    url: Url,
    /// The password, if the URL does not contain it.
    pub password: Option<Secret>,
    /// The file with the password, if it is given neither in the URL nor above. It is read again for each new connection, so
    /// that the password can be changed while the program runs. Line breaks at its end are ignored.
    pub password_file: Option<PathBuf>,
    /// The encryption of the connection.
    pub tls: Tls,
    /// The name of this program in the server's own views.
    pub application_name: Option<String>,
    /// The time after which the server ends a statement. Default: 30 s. Migrations run without a time-out.
    pub statement_timeout: Duration,
    /// The pooler between this program and the server. Default: none, or one that keeps sessions.
    pub pooling: Pooling,
}

/// The meaning of a connection for the server: a session of its own, or a session for the length of a transaction.
///
/// ```
/// use cqrs_core::storage::postgres::{Config, Pooling};
///
/// let config = Config::parse("postgres://kim@pooler:6432/users?pooling=transaction").unwrap();
/// assert_eq!(config.pooling, Pooling::Transaction);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// `session`: the connection is a session on the server. Its settings are sent at its start, and its prepared
    /// statements stay.
    #[default]
    Session,
    /// `transaction`: a pooler such as PgBouncer lends a session for one transaction (`pool_mode = transaction`).
    ///
    /// Nothing is sent at the start of a connection, and nothing is expected to stay after a transaction: each statement
    /// runs in a transaction that begins with its settings, and is prepared anew. A statement takes four round trips
    /// instead of one. The pooler needs no settings of its own. SQL of projectors may rely on transactions only, too.
    Transaction,
}
impl FromStr for Pooling {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "session" => Ok(Pooling::Session),
            "transaction" => Ok(Pooling::Transaction),
            _ => Err(ConfigError::Value("pooling", "session or transaction")),
        }
    }
}

/// The encryption of a connection. Every mode but [`TlsMode::Disable`] requires the feature `postgres-tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The mode. Default: no encryption.
    pub mode: TlsMode,
    /// A PEM file with authorities to trust in addition to the system's own.
    pub ca: Option<PathBuf>,
    /// PEM files with the client's certificate and key, for servers that ask for them.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// PostgreSQL's `sslmode`, without the two modes that fall back to an unencrypted connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// `disable`: not encrypted, for networks that are not shared.
    #[default]
    Disable,
    /// `require`: encrypted, without verifying the server.
    Require,
    /// `verify-ca`: encrypted, and the server's certificate is from a trusted authority.
    VerifyCa,
    /// `verify-full`: as `verify-ca`, and the certificate has the server's name.
    VerifyFull,
}
impl FromStr for TlsMode {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(match text {
            "disable" => TlsMode::Disable,
            "require" => TlsMode::Require,
            "verify-ca" => TlsMode::VerifyCa,
            "verify-full" => TlsMode::VerifyFull,
            _ => return Err(ConfigError::Value("sslmode", "disable, require, verify-ca or verify-full")),
        })
    }
}

/// The reason why connection settings were refused. It never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not the URL of a PostgreSQL database.
    #[error("not a URL of the form postgres://USER:PASSWORD@HOST:PORT/NAME")]
    Url,
    /// The URL has an unknown parameter.
    #[error("unknown parameter {0:?}; use {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// The URL has the same parameter twice.
    #[error("the parameter {0:?} appears twice")]
    Twice(String),
    /// A setting has a value that is not allowed: the setting, and the allowed values.
    #[error("{0}: {1}")]
    Value(&'static str, &'static str),
    /// The password is given twice: in the URL, separately, or in a file.
    #[error("the password is given twice, in the URL, separately or in a file: remove one")]
    TwoPasswords,
    /// TLS is not compiled in.
    #[error("sslmode: enable the feature `postgres-tls` of cqrs-core")]
    NoTls,
    /// A file cannot be read: its path, and the error.
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, String),
}

const KNOWN: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "pooling"];
/// The maximum length of `application_name`.
const LONGEST_NAME: usize = 63;

impl Config {
    /// Parses a URL.
    ///
    /// # Errors
    /// Returns an error if the text is not a PostgreSQL URL, or if a parameter is unknown, repeated or invalid.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut url = Url::parse(text).map_err(|_| ConfigError::Url)?;
        let named = url.path().len() > 1 && url.has_host() && url.fragment().is_none();
        if !matches!(url.scheme(), "postgres" | "postgresql") || !named {
            return Err(ConfigError::Url);
        }
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        // The driver also checks that percent-encoded parts are text.
        PgConnectOptions::from_url(&url).map_err(|_| ConfigError::Url)?;
        let mut config = Config {
            url,
            password: None,
            password_file: None,
            tls: Tls::default(),
            application_name: None,
            statement_timeout: Duration::from_secs(30),
            pooling: Pooling::default(),
        };
        let (mut certificate, mut key) = (None, None);
        for (at, (name, value)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(before, _)| before == name) {
                return Err(ConfigError::Twice(name.clone()));
            }
            match name.as_str() {
                "sslmode" => config.tls.mode = value.parse()?,
                "sslrootcert" => config.tls.ca = Some(value.into()),
                "sslcert" => certificate = Some(value.into()),
                "sslkey" => key = Some(value.into()),
                "application_name" => config.application_name = Some(value.clone()),
                "pooling" => config.pooling = value.parse()?,
                _ => return Err(ConfigError::Unknown(name.clone())),
            }
        }
        config.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(ConfigError::Value("sslcert", "must be given together with sslkey")),
        };
        Ok(config)
    }

    /// Checks that the settings agree with each other and that every file can be opened. Connecting checks this as
    /// well.
    ///
    /// # Errors
    /// Returns the first problem found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let given = [self.url.password().is_some(), self.password.is_some(), self.password_file.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(ConfigError::TwoPasswords);
        }
        self.password()?;
        let name = self.application_name.as_deref().unwrap_or("-");
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::Value("application_name", "1 to 63 visible ASCII characters"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&self.statement_timeout) {
            return Err(ConfigError::Value("statement_timeout", "1 ms to a day"));
        }
        let Tls { mode, ca, client } = &self.tls;
        match mode {
            TlsMode::Disable if ca.is_some() || client.is_some() => {
                return Err(ConfigError::Value("sslmode", "must not be disable when certificates are given"));
            }
            // An authority would suggest that the server is verified, which this mode does not do.
            TlsMode::Require if ca.is_some() => {
                return Err(ConfigError::Value("sslrootcert", "requires sslmode=verify-ca or verify-full"));
            }
            TlsMode::Disable => return Ok(()),
            _ if !cfg!(feature = "postgres-tls") => return Err(ConfigError::NoTls),
            _ => {}
        }
        for file in ca.iter().chain(client.iter().flat_map(|(certificate, key)| [certificate, key])) {
            File::open(file).map_err(|error| ConfigError::File(file.clone(), error.to_string()))?;
        }
        Ok(())
    }

    /// Returns whether the server is on this machine: on loopback, or behind a Unix socket.
    ///
    /// ```
    /// use cqrs_core::storage::postgres::Config;
    ///
    /// let is_local = |url| Config::parse(url).unwrap().is_local();
    /// assert!(is_local("postgres://localhost/users") && is_local("postgres://[::1]/users"));
    /// assert!(!is_local("postgres://db.example/users") && !is_local("postgres://10.0.0.1/users"));
    /// ```
    pub fn is_local(&self) -> bool {
        self.url.host_str().is_some_and(|host| host.starts_with("%2F") || host.starts_with("%2f") || is_loopback(host))
    }

    /// Returns the password that is given separately or in the file, as the file is now.
    pub(super) fn password(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(file) = &self.password_file else { return Ok(self.password.clone()) };
        let text = fs::read_to_string(file).map_err(|error| ConfigError::File(file.clone(), error.to_string()))?;
        Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
    }

    /// Returns the driver's options with this password. They contain it: never log them.
    pub(super) fn connect(&self, password: Option<&Secret>) -> Result<PgConnectOptions, ConfigError> {
        self.validate()?;
        let mut connect = PgConnectOptions::from_url(&self.url).map_err(|_| ConfigError::Url)?;
        // Set in any case; otherwise the driver would take it from an environment variable.
        connect = connect.ssl_mode(match self.tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        });
        if let Some(password) = password {
            connect = connect.password(password.expose());
        }
        if let Some(ca) = &self.tls.ca {
            connect = connect.ssl_root_cert(ca);
        }
        if let Some((certificate, key)) = &self.tls.client {
            connect = connect.ssl_client_cert(certificate).ssl_client_key(key);
        }
        if let Some(name) = &self.application_name {
            connect = connect.application_name(name);
        }
        Ok(match self.pooling {
            Pooling::Session => connect.options(self.settings()),
            // The driver's own start-up parameter is refused as well; numbers are read in binary form. A statement of
            // the caller that the driver has kept would be in another session.
            Pooling::Transaction => connect.extra_float_digits(None).statement_cache_capacity(0),
        })
    }
    /// Returns the settings of every connection, or of every transaction behind a pooler.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let timeout = ("statement_timeout", self.statement_timeout.as_millis().to_string());
        super::SETTINGS.into_iter().map(|(name, value)| (name, value.to_owned())).chain([timeout])
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Config");
        shown.field("host", &self.url.host_str()).field("port", &self.url.port()).field("database", &self.url.path());
        shown.field("tls", &self.tls).field("statement_timeout", &self.statement_timeout);
        shown.field("pooling", &self.pooling).finish_non_exhaustive()
    }
}

/// Returns whether the host of a URL is this machine by its name or address.
fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
