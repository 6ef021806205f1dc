//! Types for the programs that have used a database, and for what it holds.

/// A program that has started with this database, as it declared itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProgram {
    /// The number of the program. A later one has a higher number.
    pub number: u64,
    /// The declaration, as JSON.
    pub declaration: String,
}

/// A kind of stored data. A start asks for it when a program differs from those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredData {
    /// Aggregates of this name, as rows or as streams.
    Aggregate(String),
    /// Events of this name in the log.
    Event(String),
    /// Values of the view of this name.
    View(String),
}
