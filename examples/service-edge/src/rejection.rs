//! The refusal of a call before its command or query is sent.
use cqrs_core::{DomainError, grpc};
use tonic::Status;

/// A refused call. Every domain error becomes one with `?`, with its kind, its reason and its field.
#[derive(Debug)]
pub struct Rejection(Status);
impl Rejection {
    pub(crate) fn from_status(status: Status) -> Self {
        Rejection(status)
    }
}
impl<E: DomainError> From<E> for Rejection {
    fn from(error: E) -> Self {
        Rejection(grpc::status_of(&error))
    }
}
impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}
