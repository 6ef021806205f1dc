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
//! # pub enum UserEvent { Registered { id: u64 }, Renamed { nickname: String } }
//! # impl Evolve<UserEvent> for User {
//! #     fn create(event: &UserEvent) -> Option<Self> { None }
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
//! `app.send(RenameUser { .. })` is that of this function. A command without a handler does not compile. Missing
//! dependencies of handlers are reported when the app is built, all in one error.
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
//! | `sqlite` | `storage::Sqlite`: one file, one process |
//! | `postgres` | `storage::Postgres`: one statement per commit, any number of processes |
//! | `postgres-tls` | TLS for `storage::Postgres` |
//! | `tonic` | `grpc`: errors as gRPC statuses, metadata as gRPC headers |
//! | `operations` | `operations`: health, Prometheus metrics, logging and signals of a process |
//! | `testing` | `testing`: tests of aggregates and whole services, conformance suites; for `[dev-dependencies]` |
//! | `otlp` | `telemetry::trace`: OpenTelemetry traces, exported over OTLP |
#![warn(missing_docs)]

// The paths `::cqrs_core` that the macros write must also resolve inside this crate.
#[allow(unused_extern_crates, reason = "only some features use the macros inside")]
extern crate self as cqrs_core;

pub mod aggregate;
pub mod app;
pub mod command;
pub mod consumer;
pub mod context;
mod dependencies;
pub mod environment;
mod error;
pub mod event;
#[cfg(feature = "tonic")]
pub mod grpc;
mod id;
pub mod job;
mod message;
mod metadata;
mod middleware;
#[cfg(feature = "operations")]
pub mod net;
#[cfg(feature = "operations")]
pub mod operations;
pub mod policy;
mod position;
mod registry;
pub mod relay;
mod runtime;
mod secret;
pub mod storage;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
pub mod view;

pub use aggregate::{Aggregate, Decision, EventSourced, Evolve, IntoEvents, Persistence, Repo, StateStored, replay};
pub use app::{App, AppBuilder, BuildError, Committed};
pub use command::{Dispatch, Handled};
pub use consumer::{Bus, parking::permanent};
pub use context::{Clock, Context, Dep, FromContext, Needs, NeedsOf};
pub use error::{BoxError, DomainError, Error, ErrorKind, Fault, HandlerResult, HandlerReturn, Rejection};
pub use event::{Event, IntegrationEvent, Recorded, Source, Subscribable};
pub use message::{AsCommand, AsQuery, Message, Request, RequestKind, Stored};
pub use metadata::{ConsistencyToken, InvalidToken, Metadata};
pub use middleware::{Call, Middleware, Next, Outcome};
pub use policy::{Retention, RetryPolicy};
pub use position::Position;
pub use secret::Secret;
pub use std::convert::Infallible;
pub use view::{Change, Cursor, IndexKey, InvalidCursor, PAGE_LIMIT, Page, Range, View, Views};

#[cfg(feature = "macros")]
pub use cqrs_macros::{
    Aggregate, Command, DomainError, Event, FromContext, IntegrationEvent, Query, View, handler, projection, projector,
    publish, subscriber,
};

// The crates whose types are part of this API, so that a program uses the same versions.
pub use chrono;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sqlx;
#[cfg(feature = "tonic")]
pub use tonic;
pub use uuid;

/// A point in time, in UTC. It is stored with microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Functions and traits that the code written by the macros calls. It is not part of the public API.
#[doc(hidden)]
pub mod __private;

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
