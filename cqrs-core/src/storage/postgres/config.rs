//! Where a database is and how it is reached. An URL's parameters are known by name; what is not known is refused.
use crate::Secret;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{fmt, fs::File, path::PathBuf, str::FromStr, time::Duration};
use url::Url;

/// Where a database is and how it is reached. It can be shown: it does not show the password.
///
/// ```
/// use cqrs_core::storage::postgres::{Config, ConfigError, TlsMode};
///
/// let config = Config::parse("postgres://kim:hunter2@db:5432/users?application_name=user").unwrap();
/// assert_eq!(config.tls.mode, TlsMode::Disable); // what nobody asked for, nobody has
/// assert!(!format!("{config:?}").contains("hunter2"));
/// let refused = Config::parse("postgres://db/users?options=-c%20fsync%3Doff").unwrap_err();
/// assert_eq!(refused, ConfigError::Unknown("options".to_owned()));
/// ```
#[derive(Clone)]
pub struct Config {
    /// As it was given, without parameters.
    url: Url,
    /// The password, where it does not stand in the URL.
    pub password: Option<Secret>,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// What the server's own views call this program.
    pub application_name: Option<String>,
    /// How long a statement may take before the server ends it. Default: 30 s. Migrations take what they take.
    pub statement_timeout: Duration,
}

/// Whether and how the connection is encrypted. All but [`TlsMode::Disable`] takes the feature `postgres-tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Default: not at all.
    pub mode: TlsMode,
    /// The authorities that are believed besides the machine's own, PEM.
    pub ca: Option<PathBuf>,
    /// Certificate and key to show, PEM, where the server asks.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// `sslmode`, as PostgreSQL calls it, without the two that encrypt only if nobody minds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// `disable`: for machines that nobody else reaches.
    #[default]
    Disable,
    /// `require`: encrypted, but with whom is not looked at.
    Require,
    /// `verify-ca`: the server's certificate is of an authority that is believed.
    VerifyCa,
    /// `verify-full`: and it has the server's name.
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

/// Why a configuration was refused. It never says a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not the URL of a PostgreSQL database.
    #[error("not postgres://USER:PASSWORD@HOST:PORT/NAME")]
    Url,
    /// A parameter that is not on the list.
    #[error("the parameter {0:?} is not known; known are {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// A parameter twice.
    #[error("the parameter {0:?} is there twice")]
    Twice(String),
    /// A value that is none of those there are.
    #[error("{0}: {1}")]
    Value(&'static str, &'static str),
    /// A password in the URL and another beside it.
    #[error("the password stands in the URL and beside it")]
    TwoPasswords,
    /// The feature is not compiled in.
    #[error("sslmode: this takes the feature `postgres-tls` of cqrs-core")]
    NoTls,
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, String),
}

const KNOWN: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"];
/// A name for people: short, and nothing that a log would trip over.
const LONGEST_NAME: usize = 63;

impl Config {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none, or has a parameter that is not known or that cannot be.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut url = Url::parse(text).map_err(|_| ConfigError::Url)?;
        let named = url.path().len() > 1 && url.has_host() && url.fragment().is_none();
        if !matches!(url.scheme(), "postgres" | "postgresql") || !named {
            return Err(ConfigError::Url);
        }
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        // What is percent-encoded must be text.
        PgConnectOptions::from_url(&url).map_err(|_| ConfigError::Url)?;
        let mut config = Config {
            url,
            password: None,
            tls: Tls::default(),
            application_name: None,
            statement_timeout: Duration::from_secs(30),
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
                _ => return Err(ConfigError::Unknown(name.clone())),
            }
        }
        config.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(ConfigError::Value("sslcert", "goes with sslkey")),
        };
        Ok(config)
    }

    /// Whether it all goes together and every file is there. Connecting asks as well.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.password.is_some() && self.url.password().is_some() {
            return Err(ConfigError::TwoPasswords);
        }
        let name = self.application_name.as_deref().unwrap_or("-");
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(ConfigError::Value("application_name", "1 to 63 visible ASCII characters"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&self.statement_timeout) {
            return Err(ConfigError::Value("statement_timeout", "1 ms to a day"));
        }
        let Tls { mode, ca, client } = &self.tls;
        match mode {
            TlsMode::Disable if ca.is_some() || client.is_some() => {
                return Err(ConfigError::Value("sslmode", "must not be disable where there are certificates"));
            }
            // It would look as if somebody was verified.
            TlsMode::Require if ca.is_some() => {
                return Err(ConfigError::Value("sslrootcert", "goes with verify-ca or verify-full"));
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

    /// For the driver. The result holds the password: never log it.
    pub(super) fn connect(&self) -> Result<PgConnectOptions, ConfigError> {
        self.validate()?;
        let mut connect = PgConnectOptions::from_url(&self.url).map_err(|_| ConfigError::Url)?;
        // Said in any case, or a variable of the environment would say it.
        connect = connect.ssl_mode(match self.tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        });
        if let Some(password) = &self.password {
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
        Ok(connect.options([("statement_timeout", self.statement_timeout.as_millis().to_string())]))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Config");
        shown.field("host", &self.url.host_str()).field("port", &self.url.port()).field("database", &self.url.path());
        shown.field("tls", &self.tls).field("statement_timeout", &self.statement_timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
