//! What runs around every request: a team's own layers, outside the framework's (span, deadline, key, retry).
use crate::{Error, ErrorKind, Fault, Metadata, app::Kind};
use async_trait::async_trait;
use futures_util::future::BoxFuture;

/// A layer around every command and query: rate limits, audit, metrics. The first one added is the outermost.
///
/// ```
/// use cqrs_core::{Call, Fault, Middleware, Next, Verdict};
///
/// struct Count(std::sync::atomic::AtomicU64);
/// #[async_trait::async_trait]
/// impl Middleware for Count {
///     async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Verdict, Fault> {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         next.run().await
///     }
/// }
/// ```
#[async_trait]
pub trait Middleware: Send + Sync + 'static {
    /// Runs the rest with `next.run()`, once, or refuses with a fault and does not.
    ///
    /// # Errors
    /// Its own refusal; `next`'s outcome is a [`Verdict`], never an error.
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Verdict, Fault>;
}

/// What is being sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The request's name.
    pub name: &'static str,
    /// Command or query.
    pub kind: Kind,
    /// Who asks, why, until when.
    pub metadata: &'a Metadata,
}

/// How a request ended; the typed result goes to the caller past the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Done,
    /// A rule, or the framework, said no.
    Rejected,
    /// It failed, with this kind of fault.
    Failed(ErrorKind),
}
impl Verdict {
    pub(crate) fn of<T, E>(result: &Result<T, Error<E>>) -> Verdict {
        match result {
            Ok(_) => Verdict::Done,
            Err(Error::Fault(fault)) => Verdict::Failed(fault.kind()),
            Err(_) => Verdict::Rejected,
        }
    }
}

/// The rest of the way.
pub struct Next<'a>(pub(crate) BoxFuture<'a, Result<Verdict, Fault>>);
impl Next<'_> {
    /// Goes it.
    ///
    /// # Errors
    /// An inner layer's refusal.
    pub async fn run(self) -> Result<Verdict, Fault> {
        self.0.await
    }
}
impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}
