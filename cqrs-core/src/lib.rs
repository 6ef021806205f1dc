//! A framework for services with commands, queries, events and read models.
//!
//! It combines CQRS, aggregates (state-stored or event-sourced), a transactional outbox and projections.
//!
//! A handler is an async function. Its first parameter is the message, and the others are its dependencies:
//!
//! ```
//! # use cqrs_core::*;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
//! # #[aggregate(name = "user", event = UserEvent)]
//! # pub struct User { #[id] id: u64, nickname: String }
//! # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
//! # #[event(name = "user", version = 1)]
//! # pub enum UserEvent { Registered, Renamed { nickname: String } }
//! # impl Evolve<UserEvent> for User {
//! #     fn create(id: u64, event: &UserEvent) -> Option<Self> { None }
//! #     fn apply(&mut self, event: &UserEvent) {}
//! # }
//! # #[derive(Debug, thiserror::Error, DomainError)]
//! # pub enum UserError { #[error("the user is deactivated")] #[kind(precondition)] Deactivated }
//! # impl User {
//! #     fn rename(&self, nickname: String) -> Result<UserEvent, UserError> { Ok(UserEvent::Renamed { nickname }) }
//! # }
//! #[derive(Clone, Serialize, Deserialize, Command)]
//! pub struct RenameUser { pub id: u64, pub nickname: String }
//!
//! #[handler]
//! pub async fn rename_user(command: RenameUser, users: Repo<User>) -> HandlerResult<(), UserError> {
//!     users.update(&command.id, |user| user.rename(command.nickname)).await?;
//!     Ok(())
//! }
//! ```
//!
//! This is a whole use case. `update` loads the aggregate, applies the rule and stages the events. The commit then
//! checks the version (optimistic concurrency) and writes state, events and outbox together. The return type of
//! `app.send(RenameUser { .. })` is that of this function. Sending a command without a handler, or with two,
//! does not compile.
//! Missing dependencies of handlers, and functions that were not discovered, are reported when the app is built, all in
//! one error.
//!
//! # The path of a request
//!
//! The modules follow the path of a request:
//!
//! 1. [`send`](App::send) runs the handler in a unit of work ([`command`]).
//! 2. Aggregates decide with `&self` and return events ([`aggregate`], [`event`]).
//! 3. The staged changes become one [`Batch`](storage::Batch), which the [`storage`] commits whole or not at all.
//! 4. The event log is also the outbox. The [`relay`] sends its integration events over a [`transport`].
//! 5. Subscribers and projections handle the events ([`consumer`]).
//! 6. Queries read [`Views`] ([`view`]).
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `macros` (default) | the derives and attributes |
//! | `runtime` (with every other feature but `build`) | everything except for macros, databases and the features below |
//! | `build` | `build`: integration events from protobuf contracts, for build scripts |
//! | `sqlite` | `storage::Sqlite`: one file, one process |
//! | `postgres` | `storage::Postgres`: one statement per commit, any number of processes |
//! | `postgres-tls` | TLS for `storage::Postgres` |
//! | `redis` | `storage::Redis`: the views of a query side (without TLS) |
//! | `tonic` | `grpc`: errors as gRPC statuses, metadata as gRPC headers |
//! | `operations` | `operations`: health, Prometheus metrics, logging and signals of a process; `net`: TCP connections |
//! | `calendar` | `schedule::Calendar`: timers that recur by a cron pattern in a time zone |
//! | `testing` | `testing`: tests of aggregates and whole services, conformance suites; for `[dev-dependencies]` |
//! | `otlp` | `telemetry::trace`: OpenTelemetry traces, exported over OTLP |
#![warn(missing_docs)]

// The paths `::cqrs_core` that the macros write must also resolve inside this crate.
#[allow(unused_extern_crates, reason = "only some features use the macros inside")]
extern crate self as cqrs_core;

#[cfg(feature = "runtime")]
pub mod aggregate;
#[cfg(feature = "runtime")]
pub mod app;
#[cfg(feature = "runtime")]
mod breaker;
#[cfg(feature = "build")]
pub mod build;
#[cfg(feature = "runtime")]
mod catalogue;
#[cfg(feature = "runtime")]
mod codec;
#[cfg(feature = "runtime")]
pub mod command;
#[cfg(feature = "runtime")]
pub mod consumer;
#[cfg(feature = "runtime")]
pub mod context;
#[cfg(feature = "runtime")]
mod dependencies;
#[cfg(feature = "runtime")]
pub mod environment;
#[cfg(feature = "runtime")]
mod error;
#[cfg(feature = "runtime")]
pub mod event;
#[cfg(feature = "tonic")]
pub mod grpc;
#[cfg(feature = "runtime")]
mod id;
#[cfg(feature = "runtime")]
pub mod job;
#[cfg(feature = "runtime")]
mod limit;
#[cfg(feature = "runtime")]
mod message;
#[cfg(feature = "runtime")]
mod metadata;
#[cfg(feature = "runtime")]
mod middleware;
#[cfg(feature = "operations")]
pub mod net;
#[cfg(feature = "operations")]
pub mod operations;
#[cfg(feature = "runtime")]
pub mod personal;
#[cfg(feature = "runtime")]
pub mod policy;
#[cfg(feature = "runtime")]
mod position;
#[cfg(feature = "runtime")]
pub mod process;
#[cfg(feature = "runtime")]
mod registry;
#[cfg(feature = "runtime")]
pub mod relay;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
pub mod schedule;
#[cfg(feature = "runtime")]
mod secret;
#[cfg(feature = "runtime")]
pub mod storage;
#[cfg(feature = "runtime")]
mod stored_form;
#[cfg(feature = "runtime")]
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "runtime")]
pub mod transport;
#[cfg(feature = "runtime")]
mod turn;
#[cfg(feature = "runtime")]
pub mod view;

#[cfg(feature = "runtime")]
pub use aggregate::{
    Aggregate, Decision, EventSourced, Evolve, Foreign, ForeignTable, History, HistoryEntry, IntoEvents, Mapped,
    Mapping, Persistence, Repo, RowLock, StateStored, replay,
};
#[cfg(feature = "runtime")]
pub use app::{App, AppBuilder, BuildError, Committed};
#[cfg(feature = "runtime")]
pub use command::{Dispatch, Handled, Remote};
#[cfg(feature = "runtime")]
pub use consumer::{
    Bus,
    parking::{permanent, transient},
};
#[cfg(feature = "runtime")]
pub use context::{Clock, Context, Dep, FromContext, Needs, NeedsOf};
#[cfg(feature = "runtime")]
pub use error::{
    BoxError, DomainError, Error, ErrorKind, Fault, HandlerResult, HandlerReturn, Rejection, VersionConflict,
};
#[cfg(feature = "runtime")]
pub use event::{AggregateEvent, Event, IntegrationEvent, Recorded, RemoteCommand, Source, Subscribable};
#[cfg(feature = "runtime")]
pub use id::AggregateId;
#[cfg(feature = "runtime")]
pub use limit::Limit;
#[cfg(feature = "runtime")]
pub use message::{AsCommand, AsQuery, Message, Request, RequestKind, Stored};
#[cfg(feature = "runtime")]
pub use metadata::{ConsistencyToken, FiredTimer, InvalidToken, Metadata};
#[cfg(feature = "runtime")]
pub use middleware::{Call, Middleware, Next, Outcome};
#[cfg(feature = "runtime")]
pub use policy::{ByteBudget, CircuitBreaker, Retention, RetryPolicy};
#[cfg(feature = "runtime")]
pub use position::{Epoch, InvalidEpoch, Position};
#[cfg(feature = "runtime")]
pub use process::{Process, Reaction};
#[cfg(feature = "runtime")]
pub use schedule::Schedule;
#[cfg(feature = "runtime")]
pub use secret::Secret;
#[cfg(feature = "runtime")]
pub use std::convert::Infallible;
#[cfg(feature = "runtime")]
pub use view::{
    Answers, Change, Cursor, IndexKey, InvalidCursor, InvalidResumeToken, Live, LivePage, PAGE_LIMIT, Page, Range,
    ResumeToken, Update, View, Views,
};

#[cfg(feature = "macros")]
pub use cqrs_macros::{
    Aggregate, Command, DomainError, Event, FromContext, IndexKey, IntegrationEvent, Process, Query, RemoteCommand,
    View, handler, process, projection, projector, publish, receive, subscriber,
};

// The crates whose types are part of this API, so that a program uses the same versions.
#[cfg(feature = "runtime")]
pub use chrono;
#[cfg(feature = "runtime")]
pub use serde_json;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sqlx;
#[cfg(feature = "tonic")]
pub use tonic;
#[cfg(feature = "runtime")]
pub use uuid;

/// A point in time, in UTC. It is stored with microseconds.
#[cfg(feature = "runtime")]
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Functions and traits that the code written by the macros calls. It is not part of the public API.
#[cfg(feature = "runtime")]
#[doc(hidden)]
pub mod __private;

/// The README's example, as a test.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../README.md")]
struct Readme;
