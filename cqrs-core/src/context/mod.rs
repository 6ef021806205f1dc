//! Dependency injection: each parameter of a handler after the message is taken from the context.
mod clock;
mod dependency;
mod needs;
mod read_and_write;

pub use clock::Clock;
pub use dependency::Dep;
pub(crate) use needs::RunsIn;
pub use needs::{Needs, NeedsOf};

use crate::{
    aggregate::unit_of_work::UnitOfWork, dependencies::short_name, error::Rejection, metadata::Metadata,
    runtime::Runtime,
};
use std::{fmt, sync::Arc};

/// The source of a handler's parameters: the app, the unit of work of the command, and the metadata of the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub(crate) runtime: &'a Arc<Runtime>,
    pub(crate) unit: Option<&'a UnitOfWork>,
    pub(crate) metadata: &'a Arc<Metadata>,
}
impl Context<'_> {
    /// Returns the dependency that was [provided](crate::AppBuilder::provide) under this type.
    ///
    /// # Errors
    /// Returns a [`Rejection`] when there is none. [`build`](crate::AppBuilder::build) already reports this for all
    /// parameters in signatures.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, Rejection> {
        self.runtime.provided.get::<T>().cloned().ok_or_else(|| Rejection::missing(short_name::<T>()))
    }
    /// Returns the metadata of the request: caller, correlation, deadline.
    pub fn metadata(&self) -> &Metadata {
        self.metadata
    }
}
impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// A type that can be a parameter of a handler, subscriber or projector.
///
/// ```
/// use cqrs_core::{Context, FromContext, Rejection};
///
/// /// The caller. A request without a caller is refused.
/// struct Caller(String);
/// impl FromContext for Caller {
///     fn from_context(context: &Context) -> Result<Self, Rejection> {
///         context.metadata().caller.clone().map(Caller).ok_or_else(|| Rejection::unauthenticated("log in first"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's parameter",
    note = "take a dependency as `Dep<T>`, aggregates as `Repo<A>`, their past as `History<A>`, a read model as `Views<V>`"
)]
pub trait FromContext: Sized {
    /// Takes the value from the context.
    ///
    /// # Errors
    /// Returns a [`Rejection`] when the value is missing or not allowed.
    fn from_context(context: &Context) -> Result<Self, Rejection>;
    /// Declares the required dependencies without taking them. [`build`](crate::AppBuilder::build) checks them.
    fn needs(_: &mut Needs) {}
}
impl FromContext for Metadata {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        Ok(Metadata::clone(context.metadata).passed_on())
    }
}
