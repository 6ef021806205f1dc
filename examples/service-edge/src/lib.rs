//! The edge of every Hearlers service, written once: between its app and its operators, callers and tests.
//!
//! | part | |
//! |---|---|
//! | [`Service`] | a service's names and routes; with feature `deployed`, its `main` |
//! | [`Endpoint`], [`Call`], [`RpcResult`] | reads a gRPC call, sends its command or query, and responds with the consistency token |
//! | [`parse`] | ids, enums and pages of request messages, with errors that name the field |
//! | `settings` (feature `deployed`) | flags and variables, validated all at once |
//! | `testing` (feature `testing`) | the service with its database, its port and its clock, for tests |
//!
//! Authentication is a crate of its own, `service-auth`, because the gateway needs it too.
mod call;
mod endpoint;
pub mod parse;
mod rejection;
mod service;
#[cfg(feature = "deployed")]
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use call::{Call, run_to_completion};
pub use endpoint::{Endpoint, RpcResult};
pub use rejection::Rejection;
pub use service::Service;
