//! Requests with their one handler.
use crate::{
    context::Context,
    error::{DomainError, Error},
    message::Request,
    registry::Registration,
};

/// A request with exactly one handler.
///
/// `#[handler]` writes this implementation with the call of the function, so that `send` is a static call. A second
/// handler, or none, does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler",
    note = "write `#[handler] async fn name(request: {Self}, ...) -> cqrs_core::HandlerResult<Output, Error>`"
)]
pub trait Handled: Request {
    /// The output of the handler.
    type Output: Send + 'static;
    /// The handler's domain error.
    type Error: DomainError;
    /// Returns the registration of the handler.
    fn registration() -> &'static Registration;
    /// Calls the handler with its parameters, taken from `context`.
    fn handle(self, context: &Context) -> impl Future<Output = Result<Self::Output, Error<Self::Error>>> + Send;
}
