//! Credentials of files for new connections: the password, which is read here, and certificates, which the driver reads.
use super::{Inner, config::Config, errors};
use crate::secret::Secret;
use sqlx::{ConnectOptions, PgConnection, Postgres, pool::PoolConnection, postgres::PgConnectOptions};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::sync::Mutex;

/// The time for which a password that was read is used without another look at its file, unless the server refuses it.
const FRESH: Duration = Duration::from_secs(1);
/// The number of attempts to open a connection while a certificate and its key do not belong together, and the time
/// between two of them: the files are replaced one after the other.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// The password with which the pool opens connections, if it came from a file.
pub(super) struct FilePassword {
    /// Held while the file is read, so that an older password never replaces a newer one.
    state: Mutex<State>,
    /// The number of times that the password has changed.
    changes: AtomicU64,
}
struct State {
    password: Option<Secret>,
    /// The uptime of the last look at the file.
    read_at: Option<Duration>,
    /// Set while the file cannot be read.
    failing: bool,
}
impl FilePassword {
    pub(super) fn new(password: Option<Secret>) -> Self {
        let state = State { password, read_at: None, failing: false };
        FilePassword { state: Mutex::new(state), changes: AtomicU64::new(0) }
    }
}

impl Inner {
    /// Takes a connection from the pool.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.opening(|| self.pool.acquire()).await
    }
    /// Opens a connection that is not the pool's.
    pub(super) async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        self.read_password(false).await;
        self.with_certificates(|| async { self.pool.connect_options().connect().await }).await
    }
    /// Makes a call that opens a connection if the pool has no free one. When the server refuses the login and the file
    /// has another password by then, the call is made once more.
    pub(super) async fn opening<T, F>(&self, open: impl Fn() -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let before = self.password_changes();
        let opens = self.pool.num_idle() == 0 && self.pool.size() < self.pool.options().get_max_connections();
        if opens {
            self.read_password(false).await;
        }
        match self.with_certificates(&open).await {
            // Another call may have read the new password meanwhile.
            Err(error) if errors::is_login_refused(&error) => {
                self.read_password(true).await;
                if self.password_changes() == before { Err(error) } else { open().await }
            }
            opened => opened,
        }
    }
    /// Makes a call that may open a connection again for a second while the files of the certificates are being replaced.
    /// The driver reads them for each connection.
    async fn with_certificates<T, F>(&self, open: impl Fn() -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let mut attempts = 1;
        loop {
            match open().await {
                Err(error) if attempts < ATTEMPTS && self.config.tls.client.is_some() && is_unusable(&error) => {
                    tracing::debug!(%error, "the certificate for the database cannot be used yet");
                    self.environment.sleep(BETWEEN_ATTEMPTS).await;
                    attempts += 1;
                }
                opened => return opened,
            }
        }
    }
    fn password_changes(&self) -> u64 {
        self.password.changes.load(Ordering::SeqCst)
    }
    /// Reads the file with the password, if there is one, and uses it for new connections. It was read a short time ago
    /// already unless `again`.
    async fn read_password(&self, again: bool) {
        let Some(file) = &self.config.password_file else { return };
        let mut state = self.password.state.lock().await;
        let now = self.environment.uptime();
        if !again && state.read_at.is_some_and(|read_at| now < read_at + FRESH) {
            return;
        }
        state.read_at = Some(now);
        let (config, known) = (self.config.clone(), state.password.clone());
        let read = tokio::task::spawn_blocking(move || read(&config, known.as_ref())).await;
        let read = read.unwrap_or_else(|error| Err(error.to_string()));
        let failing = std::mem::replace(&mut state.failing, read.is_err());
        match read {
            Ok(Some((connect, password))) => {
                state.password = password;
                self.pool.set_connect_options(connect);
                self.password.changes.fetch_add(1, Ordering::SeqCst);
                tracing::info!(file = %file.display(), "the password of the database has changed");
            }
            Ok(None) => {}
            Err(error) => {
                if !failing {
                    let message = "the password of the database cannot be read again; the former one stays in use";
                    tracing::error!(file = %file.display(), error, "{message}");
                }
            }
        }
    }
}

/// Returns whether a certificate and its key could not be read or do not belong together.
fn is_unusable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Reads the file, and returns the driver's options if it has another password than the known one.
fn read(config: &Config, known: Option<&Secret>) -> Result<Option<(PgConnectOptions, Option<Secret>)>, String> {
    let read = config.password().map_err(|error| error.to_string())?;
    if read.as_ref() == known {
        return Ok(None);
    }
    let connect = config.connect(read.as_ref()).map_err(|error| error.to_string())?;
    Ok(Some((connect, read)))
}
