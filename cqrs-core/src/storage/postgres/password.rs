//! The password of a file, which is read again whenever a connection is opened.
use super::{Inner, errors};
use crate::secret::Secret;
use sqlx::{ConnectOptions, PgConnection, Postgres, pool::PoolConnection};
use std::sync::{Mutex, PoisonError};

/// The password with which the pool opens connections, if it came from a file.
pub(super) struct FilePassword(Mutex<State>);
struct State {
    password: Option<Secret>,
    /// Set while the file cannot be read.
    failing: bool,
    /// The number of times that the password has changed.
    changes: u64,
}
impl FilePassword {
    pub(super) fn new(password: Option<Secret>) -> Self {
        FilePassword(Mutex::new(State { password, failing: false, changes: 0 }))
    }
}

impl Inner {
    /// Takes a connection from the pool.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.opening(|| self.pool.acquire()).await
    }
    /// Opens a connection that is not the pool's.
    pub(super) async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        self.read_password();
        self.pool.connect_options().connect().await
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
            self.read_password();
        }
        match open().await {
            // Another call may have read the new password meanwhile.
            Err(error) if errors::is_login_refused(&error) => {
                self.read_password();
                if self.password_changes() == before { Err(error) } else { open().await }
            }
            opened => opened,
        }
    }
    fn password_changes(&self) -> u64 {
        self.password.0.lock().unwrap_or_else(PoisonError::into_inner).changes
    }
    /// Reads the file with the password, if there is one, and uses it for new connections.
    fn read_password(&self) {
        let Some(file) = &self.config.password_file else { return };
        let mut state = self.password.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connect = self.config.password().and_then(|read| match read == state.password {
            true => Ok(None),
            false => Ok(Some((self.config.connect(read.as_ref())?, read))),
        });
        let failing = std::mem::replace(&mut state.failing, connect.is_err());
        match connect {
            Ok(Some((connect, read))) => {
                state.password = read;
                self.pool.set_connect_options(connect);
                state.changes += 1;
                tracing::info!(file = %file.display(), "the password of the database has changed");
            }
            Ok(None) => {}
            Err(error) => {
                if !failing {
                    let message = "the password of the database cannot be read again; the former one stays in use";
                    tracing::error!(file = %file.display(), %error, "{message}");
                }
            }
        }
    }
}
