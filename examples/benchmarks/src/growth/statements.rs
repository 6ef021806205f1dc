//! Statements and log bytes of one database within a time.
use crate::system::Server;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The statements a second and the log bytes a second.
pub(crate) struct Load {
    pub(crate) statements: f64,
    pub(crate) wal: f64,
}

/// Counts the statements of the clients of a database while this call waits.
pub(crate) async fn during(server: &Server, database: &str, time: Duration) -> Result<Load> {
    let before = (server.statements(database).await?, server.counters().await?.wal.unwrap_or_default());
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let after = (server.statements(database).await?, server.counters().await?.wal.unwrap_or_default());
    let seconds = begun.elapsed().as_secs_f64();
    let per_second = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    Ok(Load { statements: per_second(before.0, after.0), wal: per_second(before.1, after.1) })
}
