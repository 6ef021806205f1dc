//! A handler is an async function: the message first, then what it needs.
//!
//! ```
//! # use cqrs_core::*;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
//! # #[aggregate(name = "user", event = UserEvent)]
//! # pub struct User { #[id] id: u64, nickname: String }
//! # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
//! # #[event(name = "user", version = 1)]
//! # pub enum UserEvent { Registered { id: u64 }, Renamed { nickname: String } }
//! # impl Evolve<UserEvent> for User {
//! #     fn create(event: &UserEvent) -> Option<Self> { None }
//! #     fn apply(&mut self, event: &UserEvent) {}
//! # }
//! # #[derive(Debug, thiserror::Error, DomainError)]
//! # pub enum UserError { #[error("the user is deactivated")] #[kind(precondition)] Deactivated }
//! # impl User { fn rename(&self, nickname: String) -> core::result::Result<UserEvent, UserError> { Ok(UserEvent::Renamed { nickname }) } }
//! #[derive(Clone, Serialize, Deserialize, Command)]
//! pub struct RenameUser { pub id: u64, pub nickname: String }
//!
//! #[handler]
//! pub async fn rename_user(command: RenameUser, users: Repo<User>) -> Result<(), UserError> {
//!     users.update(&command.id, |user| user.rename(command.nickname)).await?;
//!     Ok(())
//! }
//! ```
//!
//! That is a whole use case: loading, the rule, the version check, the events, the outbox and the commit are behind
//! `update`, and `app.send(RenameUser { .. })` returns this function's own type. A command without a handler does not
//! compile; what a handler needs and nobody provides is told at start-up, all at once.
//!
//! # The way of a request
//!
//! The modules follow it: [`send`](Running::send) runs the handler in a unit of work; aggregates decide with `&self` and return
//! events ([`Aggregate`]); what was staged becomes one [`batch`], which the [`storage`] takes whole or not at all; the [`log`]
//! is the outbox that a relay sends over a [`transport`]; subscribers and projections hear it; queries read [`Views`].
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `macros` (default) | the derives and attributes |
//! | `sqlite` | `storage::Sqlite`: one file, one process |
//! | `postgres` | `storage::Postgres`: one statement a commit, any number of processes |
//! | `postgres-tls` | the same over TLS |
//! | `tonic` | `grpc`: errors as status, metadata as headers |
//! | `operations` | `operations`: health, metrics for Prometheus, log and signals of a process |
//! | `otlp` | `trace`: traces of OpenTelemetry, exported by OTLP |
// So that the macros' `::cqrs_core` paths also work in here.
#[allow(unused_extern_crates, reason = "only some features use the macros inside")]
extern crate self as cqrs_core;

mod error;
pub use error::{BoxError, DomainError, Error, ErrorKind, Fault, Never, Outcome, Result};
mod message;
pub use message::{AsCommand, AsQuery, Contract, Event, Handled, Heard, Message, NeedsOf, Request, Source, Stored};
mod metadata;
pub use metadata::{BadToken, Metadata, PositionToken};
mod secret;
pub use secret::Secret;
mod recorded;
pub use recorded::Recorded;
mod context;
pub use context::{Context, Dep, FromContext, Missing, Needs};
mod clock;
pub use clock::Clock;
mod aggregate;
mod id;
pub use aggregate::{Aggregate, Evolve, IntoEvents, replay};
mod repo;
pub use repo::{Kept, Repo, Rows, Streams};
mod answer;
pub mod batch;
mod unit;
pub use batch::Position;
mod bus;
pub use bus::Dispatch;
mod middleware;
pub use middleware::{Call, Middleware, Next, Verdict};
mod index;
pub use index::IndexKey;
mod view;
pub use view::{BadCursor, Change, Cursor, PAGE_LIMIT, Page, Range, View, Views};
mod envelope;
mod inbox;
pub mod log;
pub mod metrics;
mod projection;
mod spans;
mod subscriber;
pub use subscriber::Bus;
pub mod app;
pub mod parking;
pub mod storage;
mod together;
pub mod topic;
pub mod transport;
pub use app::{App, BuildError, Running};
#[cfg(feature = "tonic")]
pub mod grpc;
#[cfg(feature = "operations")]
pub mod operations;
pub mod testing;
pub mod trace;
pub mod world;

#[cfg(feature = "macros")]
pub use cqrs_macros::{
    Aggregate, Command, DomainError, Event, Query, View, handler, projection, projector, publish, subscriber,
};

/// A moment, in UTC; stored with microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// What the macros write calls to. Not part of the API.
#[doc(hidden)]
pub mod __private;
