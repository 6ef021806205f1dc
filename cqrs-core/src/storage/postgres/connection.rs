//! The use of a pooled connection: within a time limit, and closed as soon as it can no longer be trusted.
use super::{Inner, errors};
use crate::environment::{Environment, within};
use sqlx::{Connection, PgConnection, Postgres, Row, pool::PoolConnection};
use std::{
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The time that a statement has beyond the server's time-out before the server counts as gone.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// The longest test of a connection after another one was lost.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Selects whether an earlier statement has begun a transaction that is open.
const IS_OPEN: &str = "select transaction_timestamp() < statement_timestamp()";
/// Selects whether the session refuses writes: the server is a standby, or the session began while it was one.
const READ_ONLY: &str = "select pg_is_in_recovery() or current_setting('transaction_read_only')::bool";

/// A pooled connection. When it is dropped, it returns to the pool, or is closed if it does not respond in time.
pub(super) struct Pooled {
    connection: Option<PoolConnection<Postgres>>,
    environment: Arc<dyn Environment>,
    limit: Duration,
}
impl Pooled {
    /// Closes the connection after an error that says that it is lost, has not responded, or refuses writes.
    pub(super) fn close_if_lost(&mut self, error: &sqlx::Error) {
        if errors::is_lost(error) {
            // The server may be gone, so nothing is said to it.
            drop(self.connection.take().map(PoolConnection::detach));
        }
    }
}
impl Deref for Pooled {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        self.connection.as_deref().expect("only a lost connection is closed, and it is not used again")
    }
}
impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_deref_mut().expect("only a lost connection is closed, and it is not used again")
    }
}
impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // The pool reads the end of a cancelled call before it lends the connection again.
        let (returned, environment, limit) = (connection.return_to_pool(), self.environment.clone(), self.limit);
        self.environment.spawn(Box::pin(async move {
            let _ = within(&*environment, limit, returned).await;
        }));
    }
}

impl Inner {
    pub(super) async fn connection(&self) -> Result<Pooled, sqlx::Error> {
        let connection = self.acquire().await?;
        let environment = self.environment.clone();
        Ok(Pooled { connection: Some(connection), environment, limit: self.limit })
    }
    /// Runs the beginning of a transaction. If it is dropped before the server has answered, its connection is closed when
    /// it returns to the pool.
    pub(super) async fn answered<T>(&self, begin: impl Future<Output = T>) -> T {
        let unanswered = Unanswered::new(&self.unanswered);
        let begun = begin.await;
        unanswered.answered();
        begun
    }
    /// Runs a call to the server, within the limit. Beyond it, the outcome is unknown.
    pub(super) async fn limited<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        within(&*self.environment, self.limit, call).await.unwrap_or_else(|| Err(no_response()))
    }
}

/// Returns whether the connection works and accepts writes.
pub(super) async fn test(connection: &mut PgConnection, environment: &dyn Environment) -> Result<bool, sqlx::Error> {
    let read_only = async { sqlx::raw_sql(READ_ONLY).fetch_one(connection).await?.try_get::<bool, _>(0) };
    within(environment, TEST_TIMEOUT, read_only).await.unwrap_or_else(|| Err(no_response())).map(|read_only| !read_only)
}

/// Returns a connection to the pool within the limit, or reports that it has to be closed.
///
/// The driver owns the connection of a transaction and returns it by itself, after a round trip without a limit. So
/// the connections that may be without a server do a limited one before: those with a rollback that is not sent yet,
/// and, after a beginning without an answer, every one until the connection is found.
///
/// The driver does not know that a transaction has begun when its answer was not awaited. The next commit on that
/// connection would be a part of it, and would be undone. So the server says whether a transaction is open.
pub(super) async fn release(
    connection: &mut PgConnection,
    unanswered: &AtomicU32,
    environment: &dyn Environment,
    limit: Duration,
) -> Result<bool, sqlx::Error> {
    if unanswered.load(Ordering::SeqCst) == 0 {
        return match connection.should_flush() {
            false => Ok(true),
            true => {
                within(environment, limit, connection.ping()).await.unwrap_or_else(|| Err(no_response())).map(|()| true)
            }
        };
    }
    let is_open = async { sqlx::raw_sql(IS_OPEN).fetch_one(connection).await?.try_get::<bool, _>(0) };
    let is_open = within(environment, limit, is_open).await.unwrap_or_else(|| Err(no_response()));
    if !matches!(is_open, Ok(false)) {
        let _ = unanswered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    }
    is_open.map(|is_open| !is_open)
}

/// A beginning of a transaction on a connection, until the server has answered. When the caller goes away or the limit
/// passes before, the release of the connection finds it.
struct Unanswered<'a>(&'a AtomicU32);
impl<'a> Unanswered<'a> {
    fn new(unanswered: &'a AtomicU32) -> Self {
        unanswered.fetch_add(1, Ordering::SeqCst);
        Unanswered(unanswered)
    }
    /// The server has answered, so its connection needs no test.
    fn answered(self) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    }
}

fn no_response() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server did not respond within the time limit"))
}
