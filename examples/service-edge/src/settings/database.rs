//! The settings of the service's PostgreSQL database.
use super::{number, seconds};
use cqrs_core::{
    Fault,
    storage::postgres::{Config, ConfigError, Options, Postgres, Tls, TlsMode},
};
use service_auth::{
    secrets::{self, Name, given},
    settings,
};
use std::time::Duration;

const URL: Name = Name { variable: "HEARLERS_DATABASE", flag: "--database" };
const PASSWORD: Name = Name { variable: "HEARLERS_DATABASE_PASSWORD", flag: "--database-password" };
const TLS: Name = Name { variable: "HEARLERS_DATABASE_TLS", flag: "--database-tls" };
const CERTIFICATE: Name = Name { variable: "HEARLERS_DATABASE_CERTIFICATE", flag: "--database-certificate" };
const ALLOW_PLAINTEXT: Name =
    Name { variable: "HEARLERS_DATABASE_ALLOW_PLAINTEXT", flag: "--database-allow-plaintext" };
const POOLING: Name = Name { variable: "HEARLERS_DATABASE_POOLING", flag: "--database-pooling" };
const STATEMENT: Name = Name { variable: "HEARLERS_DATABASE_STATEMENT_TIMEOUT", flag: "--database-statement-timeout" };
const ACQUIRE: Name = Name { variable: "HEARLERS_DATABASE_ACQUIRE_TIMEOUT", flag: "--database-acquire-timeout" };
const START: Name = Name { variable: "HEARLERS_DATABASE_START_TIMEOUT", flag: "--database-start-timeout" };
const CONNECTIONS: Name = Name { variable: "HEARLERS_DATABASE_CONNECTIONS", flag: "--database-connections" };

/// The settings of the database.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// URL of this service's own database: postgres://USER:PASSWORD@HOST:PORT/NAME.
    #[arg(long, env = "HEARLERS_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Password of the database, when it is not in the URL.
    #[arg(long, env = "HEARLERS_DATABASE_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    database_password: Option<String>,
    /// File that contains the password. It is read again for each new connection.
    #[arg(long, env = "HEARLERS_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<String>,
    /// TLS mode: disable, require, verify-ca or verify-full, as in the URL's sslmode. The default is disable,
    /// which a database on another machine refuses.
    #[arg(long, env = "HEARLERS_DATABASE_TLS", value_name = "MODE")]
    database_tls: Option<String>,
    /// Certificate authority of the database, PEM, in addition to those of the machine.
    #[arg(long, env = "HEARLERS_DATABASE_CA", value_name = "FILE")]
    database_ca: Option<String>,
    /// Client certificate for the database, PEM.
    #[arg(long, env = "HEARLERS_DATABASE_CERTIFICATE", value_name = "FILE")]
    database_certificate: Option<String>,
    /// Private key of the client certificate, PEM.
    #[arg(long, env = "HEARLERS_DATABASE_KEY", value_name = "FILE")]
    database_key: Option<String>,
    /// Allow a connection without TLS to a database on another machine (true): who is on the way sees and changes everything.
    #[arg(long, env = "HEARLERS_DATABASE_ALLOW_PLAINTEXT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    database_allow_plaintext: Option<String>,
    /// Pooling mode: transaction behind a pooler such as PgBouncer with pool_mode = transaction, as in the URL's pooling.
    /// The default is session.
    #[arg(long, env = "HEARLERS_DATABASE_POOLING", value_name = "MODE")]
    database_pooling: Option<String>,
    /// Time limit of a statement in seconds; the default is 30.
    #[arg(long, env = "HEARLERS_DATABASE_STATEMENT_TIMEOUT", value_name = "SECONDS")]
    database_statement_timeout: Option<String>,
    /// Time limit of waiting for a connection in seconds; the default is 3.
    #[arg(long, env = "HEARLERS_DATABASE_ACQUIRE_TIMEOUT", value_name = "SECONDS")]
    database_acquire_timeout: Option<String>,
    /// Time in seconds in which the database must be reachable after the program has started; the default is 60.
    #[arg(long, env = "HEARLERS_DATABASE_START_TIMEOUT", value_name = "SECONDS")]
    database_start_timeout: Option<String>,
    /// Maximum number of connections; the default is 10.
    #[arg(long, env = "HEARLERS_DATABASE_CONNECTIONS", value_name = "NUMBER")]
    database_connections: Option<String>,
}

/// The validated settings. Their `Debug` output does not contain the password.
#[derive(Debug, Clone)]
pub struct Database {
    /// The address, the credentials and the TLS mode.
    pub config: Config,
    /// The maximum number of connections.
    pub connections: u32,
    /// The time limit of waiting for a connection.
    pub acquire_timeout: Duration,
    /// The time in which the database must be reachable after the program has started.
    pub start_timeout: Duration,
}
impl Database {
    /// Connects to the database.
    ///
    /// # Errors
    /// Fails when the database cannot be reached.
    pub async fn connect(&self) -> Result<Postgres, Fault> {
        Postgres::open(&self.config, self.options()).await
    }
    /// Opens the database, and connects at the first call.
    ///
    /// # Errors
    /// Fails when a file of the settings cannot be read.
    pub async fn open_later(&self) -> Result<Postgres, Fault> {
        Postgres::open_later(&self.config, self.options()).await
    }
    fn options(&self) -> Options {
        let mut options = Options::default();
        (options.max_connections, options.acquire_timeout) = (self.connections, self.acquire_timeout);
        options
    }
}

impl DatabaseArgs {
    /// Validates the settings; `service` is the application name that the database shows.
    pub fn check(&self, service: &str, wrong: &mut Vec<String>) -> Option<Database> {
        let before = wrong.len();
        let statement =
            seconds(STATEMENT, self.database_statement_timeout.as_deref(), 30, 3600, wrong).unwrap_or_default();
        let acquire_timeout =
            seconds(ACQUIRE, self.database_acquire_timeout.as_deref(), 3, 60, wrong).unwrap_or_default();
        let start_timeout = seconds(START, self.database_start_timeout.as_deref(), 60, 3600, wrong).unwrap_or_default();
        let connections = number(CONNECTIONS, self.database_connections.as_deref(), 10, 1000, "connections", wrong)?;
        let password = (self.database_password.as_deref(), self.database_password_file.as_deref());
        let password = secrets::read(PASSWORD, password.0, password.1, wrong);
        let mut config = match given(self.database.as_deref()).map(Config::parse) {
            Some(Ok(config)) => config,
            Some(Err(error)) => {
                wrong.push(line(&error));
                return None;
            }
            None => {
                wrong.push(line(&ConfigError::Url));
                return None;
            }
        };
        if let Err(error) = self.tls(&mut config.tls) {
            wrong.push(line(&error));
        }
        let allows_plaintext = settings::flag(ALLOW_PLAINTEXT, self.database_allow_plaintext.as_deref(), wrong);
        if config.tls.mode == TlsMode::Disable && !config.is_local() && !allows_plaintext {
            wrong.push(format!(
                "{TLS}: verify-full, verify-ca or require for a database on another machine, or {ALLOW_PLAINTEXT}: true"
            ));
        }
        match given(self.database_pooling.as_deref()).map(str::parse) {
            Some(Ok(pooling)) => config.pooling = pooling,
            Some(Err(error)) => wrong.push(line(&error)),
            None => {}
        }
        config.statement_timeout = statement;
        match given(self.database_password_file.as_deref()) {
            Some(file) => config.password_file = password.map(|_| file.into()),
            None => config.password = password,
        }
        config.application_name.get_or_insert_with(|| service.to_owned());
        if wrong.len() == before
            && let Err(error) = config.validate()
        {
            wrong.push(line(&error));
        }
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        (wrong.len() == before).then_some(Database { config, connections, acquire_timeout, start_timeout })
    }

    /// Applies the TLS flags, which take precedence over the URL.
    fn tls(&self, tls: &mut Tls) -> Result<(), ConfigError> {
        if let Some(mode) = given(self.database_tls.as_deref()) {
            tls.mode = mode.parse()?;
        }
        if let Some(ca) = given(self.database_ca.as_deref()) {
            tls.ca = Some(ca.into());
        }
        match (given(self.database_certificate.as_deref()), given(self.database_key.as_deref())) {
            (Some(certificate), Some(key)) => tls.client = Some((certificate.into(), key.into())),
            (None, None) => {}
            _ => return Err(ConfigError::Value("sslcert", "requires sslkey")),
        }
        Ok(())
    }
}

/// Describes an error with the name of its setting. It never contains the URL, which may have a password.
fn line(error: &ConfigError) -> String {
    match error {
        ConfigError::Url => format!("{URL}: postgres://USER:PASSWORD@HOST:PORT/NAME; no default"),
        ConfigError::TwoPasswords => format!("{PASSWORD}: the URL has one already"),
        ConfigError::Value("sslcert", _) => {
            format!("{CERTIFICATE}: requires HEARLERS_DATABASE_KEY, and the key requires the certificate")
        }
        ConfigError::Value("sslmode" | "sslrootcert", _) => format!("{TLS}: {error}"),
        ConfigError::File(..) => format!("{TLS}: {error}"),
        ConfigError::Value("pooling", _) => format!("{POOLING}: {error}"),
        error => format!("{URL}: {error}"),
    }
}
