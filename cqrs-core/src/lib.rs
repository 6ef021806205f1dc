//! A handler is an async function: the message first, then what it needs.
mod error;
pub use error::{BoxError, DomainError, Error, ErrorKind, Fault, Never, Outcome, Result};
mod message;
pub use message::{AsCommand, AsQuery, Contract, Event, Handled, Heard, Message, NeedsOf, Request, Source};
mod metadata;
pub use metadata::{BadToken, Metadata, PositionToken};
mod recorded;
pub use recorded::Recorded;
mod context;
pub use context::{Context, Dep, FromContext, Missing, Needs};
mod aggregate;
pub use aggregate::{Aggregate, Evolve, IntoEvents, replay};
pub mod batch;
mod unit;
pub use batch::Position;
pub mod app;
pub mod log;
pub mod storage;
pub mod testing;
pub mod transport;
pub mod world;

/// A moment, in UTC; stored with microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
