//! The outside asks: a proto message becomes a command or query, and its answer a proto message.
mod call;
pub mod grpc;
mod mapping;
mod requests;

pub use requests::BadRequest;
