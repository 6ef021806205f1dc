//! The database's own statistics, for metrics.
use std::time::Duration;

/// Statistics that a database reports about itself. Values that it does not have are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseStats {
    /// The writer of the log whose transaction has been open for longest. Readers of the log wait for it.
    pub oldest_writer: Option<OldestWriter>,
    /// The connections of this process to the database.
    pub connections: Option<Connections>,
}

/// A writer of the log whose transaction is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldestWriter {
    /// The process id on the server. `select pg_terminate_backend(pid)` ends it.
    pub pid: u32,
    /// The time for which its transaction has been open.
    pub held: Duration,
}

/// The connections of one process to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// The number of connections in use.
    pub used: u32,
    /// The number of open connections that are not in use.
    pub idle: u32,
    /// The maximum number of connections.
    pub limit: u32,
}
