//! What only the database knows of itself, for metrics.
use std::time::Duration;

/// What a database tells of itself; what it does not know, or has not, is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// Who writes the log for longest: readers wait for it.
    pub holder: Option<Holder>,
    /// The connections of this process.
    pub connections: Option<Connections>,
}

/// A writer of the log whose transaction is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The server's process: `select pg_terminate_backend(pid)` ends it.
    pub pid: u32,
    /// For how long its transaction has been open.
    pub held: Duration,
}

/// Connections of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// In use now.
    pub used: u32,
    /// Open and free.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}
