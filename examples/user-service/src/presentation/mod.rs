//! The presentation layer: proto messages become commands and queries, and outputs become proto messages.
mod call;
pub mod grpc;
mod mapping;
mod requests;

pub use requests::BadRequest;
