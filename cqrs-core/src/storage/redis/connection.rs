//! The connection to Redis: one for all calls, and another one after it was lost.
use crate::error::Fault;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection, cmd};
use std::time::Duration;
use tokio::sync::Mutex;

/// The longest wait for a connection, and for the answer to a call.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Connection {
    client: Client,
    current: Mutex<Option<MultiplexedConnection>>,
}
impl Connection {
    pub(super) fn new(url: &str) -> Result<Self, Fault> {
        // The error has no part of the URL, which may contain a password.
        let client = Client::open(url)
            .map_err(|_| Fault::invalid("not the URL of a Redis without TLS: redis://HOST:PORT/DATABASE"))?;
        Ok(Connection { client, current: Mutex::new(None) })
    }
    /// Returns the connection, and makes one if there is none.
    pub(super) async fn get(&self) -> Result<MultiplexedConnection, Fault> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current {
            return Ok(connection.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        let mut made = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(fault)?;
        // After a loss it may be another server, or the same one with another configuration.
        check_policy(&mut made).await?;
        Ok(current.insert(made).clone())
    }
    /// Returns the answer to a call. After the loss of the connection the next call makes another one. The call is not repeated,
    /// since a batch may have been applied.
    pub(super) async fn checked<T>(&self, answer: Result<T, RedisError>) -> Result<T, Fault> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if error.is_unrecoverable_error() || error.is_timeout() || error.is_io_error() {
                    *self.current.lock().await = None;
                }
                Err(fault(error))
            }
        }
    }
}

/// Refuses a server that removes keys by itself.
async fn check_policy(connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    let text: String = cmd("INFO").arg("memory").query_async(connection).await.map_err(fault)?;
    let policy = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).unwrap_or("unknown").trim();
    if policy == "noeviction" {
        return Ok(());
    }
    Err(Fault::internal(format!(
        "Redis removes keys when it is full (maxmemory-policy {policy}), which would lose parts of views: set it to noeviction"
    )))
}

/// Maps an error of the driver. Every one may pass by itself but that of a wrong command, which is a bug.
fn fault(error: RedisError) -> Fault {
    // Earlier servers report the code of a command of a script in the text.
    if error.code() == Some("OOM") || error.to_string().contains("OOM command not allowed") {
        return Fault::unavailable("Redis is full; the projections wait until it has room").because(error);
    }
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) {
        return Fault::internal("Redis refuses the user or the password").because(error);
    }
    match error.code() {
        Some("ERR" | "WRONGTYPE" | "NOPERM") => Fault::internal("Redis refused a command").because(error),
        _ => Fault::unavailable("Redis cannot be reached").because(error),
    }
}
