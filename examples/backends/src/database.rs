//! The database: PostgreSQL, this service's alone.
use cqrs_core::{
    Fault,
    storage::postgres::{Config, ConfigError, Options, Postgres, Tls},
};
use trust::secrets::{self, Name, given};

const URL: Name = Name { variable: "HEARLERS_DATABASE", flag: "--database" };
const PASSWORD: Name = Name { variable: "HEARLERS_DATABASE_PASSWORD", flag: "--database-password" };
const TLS: Name = Name { variable: "HEARLERS_DATABASE_TLS", flag: "--database-tls" };
const CERTIFICATE: Name = Name { variable: "HEARLERS_DATABASE_CERTIFICATE", flag: "--database-certificate" };
const STATEMENT: Name = Name { variable: "HEARLERS_DATABASE_STATEMENT_TIMEOUT", flag: "--database-statement-timeout" };
const ACQUIRE: Name = Name { variable: "HEARLERS_DATABASE_ACQUIRE_TIMEOUT", flag: "--database-acquire-timeout" };
const CONNECTIONS: Name = Name { variable: "HEARLERS_DATABASE_CONNECTIONS", flag: "--database-connections" };

/// Where the database is.
// Values are text here, so that `check` can report all that is wrong and not only the first.
#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// The database of this service alone: postgres://USER:PASSWORD@HOST:PORT/NAME.
    #[arg(long, env = "HEARLERS_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Its password, where it does not stand in the URL.
    #[arg(long, env = "HEARLERS_DATABASE_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    database_password: Option<String>,
    /// A file with the password.
    #[arg(long, env = "HEARLERS_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<String>,
    /// How the connection is encrypted: disable, require, verify-ca or verify-full. As in the URL's sslmode; disable unless set.
    #[arg(long, env = "HEARLERS_DATABASE_TLS", value_name = "MODE")]
    database_tls: Option<String>,
    /// The authority of the database's certificate, PEM, besides the machine's own.
    #[arg(long, env = "HEARLERS_DATABASE_CA", value_name = "FILE")]
    database_ca: Option<String>,
    /// A certificate to show to the database, PEM.
    #[arg(long, env = "HEARLERS_DATABASE_CERTIFICATE", value_name = "FILE")]
    database_certificate: Option<String>,
    /// Its key, PEM.
    #[arg(long, env = "HEARLERS_DATABASE_KEY", value_name = "FILE")]
    database_key: Option<String>,
    /// After how many seconds the database ends a statement: 30 unless set.
    #[arg(long, env = "HEARLERS_DATABASE_STATEMENT_TIMEOUT", value_name = "SECONDS")]
    database_statement_timeout: Option<String>,
    /// How many seconds a call waits for a connection: 3 unless set.
    #[arg(long, env = "HEARLERS_DATABASE_ACQUIRE_TIMEOUT", value_name = "SECONDS")]
    database_acquire_timeout: Option<String>,
    /// Connections at most: 10 unless set.
    #[arg(long, env = "HEARLERS_DATABASE_CONNECTIONS", value_name = "NUMBER")]
    database_connections: Option<String>,
}

/// A database to connect to. It can be shown: it does not show the password.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is, and how it is reached.
    pub config: Config,
    /// Connections at most.
    pub connections: u32,
    /// How long a call waits for one.
    pub acquire_timeout: std::time::Duration,
}
impl Database {
    /// Connects.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(&self) -> Result<Postgres, Fault> {
        let (max_connections, acquire_timeout) = (self.connections, self.acquire_timeout);
        Postgres::open(&self.config, Options { max_connections, acquire_timeout, ..Options::default() }).await
    }
}

impl DatabaseArgs {
    /// The database; `service` is what it will call this program.
    pub fn check(&self, service: &str, wrong: &mut Vec<String>) -> Option<Database> {
        let before = wrong.len();
        let statement =
            seconds(STATEMENT, self.database_statement_timeout.as_deref(), 30, 3600, wrong).unwrap_or_default();
        let acquire_timeout =
            seconds(ACQUIRE, self.database_acquire_timeout.as_deref(), 3, 60, wrong).unwrap_or_default();
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
        config.statement_timeout = statement;
        config.password = password;
        config.application_name.get_or_insert_with(|| service.to_owned());
        if wrong.len() == before
            && let Err(error) = config.validate()
        {
            wrong.push(line(&error));
        }
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        (wrong.len() == before).then_some(Database { config, connections, acquire_timeout })
    }

    /// Flags go over what stands in the URL.
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
            _ => return Err(ConfigError::Value("sslcert", "goes with sslkey")),
        }
        Ok(())
    }
}

/// What is wrong, by the name under which it was set. Never the URL: it has a password.
fn line(error: &ConfigError) -> String {
    match error {
        ConfigError::Url => format!("{URL}: postgres://USER:PASSWORD@HOST:PORT/NAME; no default"),
        ConfigError::TwoPasswords => format!("{PASSWORD}: the URL has one already"),
        ConfigError::Value("sslcert", _) => format!("{CERTIFICATE}: goes with HEARLERS_DATABASE_KEY"),
        ConfigError::Value("sslmode" | "sslrootcert", _) => format!("{TLS}: {error}"),
        ConfigError::File(..) => format!("{TLS}: {error}"),
        error => format!("{URL}: {error}"),
    }
}

use super::{number, seconds};
