//! Middleware: an application's own layers around every request.
//!
//! They run outside the layers of the framework (span, deadline, idempotency key, retry).
use crate::{
    error::{Error, ErrorKind, Fault},
    message::RequestKind,
    metadata::Metadata,
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;

/// A layer around every command and query: rate limits, audit, metrics. The first one added is the outermost.
///
/// ```
/// use cqrs_core::{Call, Fault, Middleware, Next, Outcome};
///
/// struct Count(std::sync::atomic::AtomicU64);
/// #[async_trait::async_trait]
/// impl Middleware for Count {
///     async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Outcome, Fault> {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         next.run().await
///     }
/// }
/// ```
#[async_trait]
pub trait Middleware: Send + Sync + 'static {
    /// Runs the rest of the request with `next.run()`, once, or refuses the request with a fault.
    ///
    /// # Errors
    /// Returns a [`Fault`] when this or an inner middleware refuses. A failure of the request itself is an [`Outcome`],
    /// not an error.
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Outcome, Fault>;
}

/// The request that passes through a middleware.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The request's name.
    pub name: &'static str,
    /// The kind of the request: command or query.
    pub kind: RequestKind,
    /// Caller, correlation, idempotency key and deadline of the request.
    pub metadata: &'a Metadata,
}

/// The outcome of a request, without its typed result: the result bypasses the middlewares on its way to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler succeeded.
    Done,
    /// A rule of the domain or the framework refused the request.
    Rejected,
    /// The request failed with a fault of this kind.
    Failed(ErrorKind),
}
impl Outcome {
    pub(crate) fn of<T, E>(result: &Result<T, Error<E>>) -> Outcome {
        match result {
            Ok(_) => Outcome::Done,
            Err(Error::Fault(fault) | Error::OutcomeUnknown(fault)) => Outcome::Failed(fault.kind()),
            Err(_) => Outcome::Rejected,
        }
    }
}

/// The remaining middlewares and the handler.
#[must_use = "the request is not carried out unless `run` is called"]
pub struct Next<'a>(pub(crate) BoxFuture<'a, Result<Outcome, Fault>>);
impl Next<'_> {
    /// Runs the remaining middlewares and the handler.
    ///
    /// # Errors
    /// Returns the refusal of an inner middleware.
    pub async fn run(self) -> Result<Outcome, Fault> {
        self.0.await
    }
}
impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}
