//! A provided dependency as a handler's parameter.
use crate::{
    context::needs::Needs,
    context::{Context, FromContext},
    dependencies::short_name,
    error::Rejection,
};
use std::{fmt, ops::Deref, sync::Arc};

/// A dependency provided to the app, such as a port or a client. Dereferences to it.
///
/// ```
/// # use cqrs_core::{Dep, HandlerResult, Query, handler};
/// trait Greeting: Send + Sync { fn greet(&self) -> String; }
///
/// #[derive(Clone, Query)]
/// struct Greet;
///
/// #[handler]
/// async fn greet(_: Greet, greeting: Dep<dyn Greeting>) -> HandlerResult<String> {
///     Ok(greeting.greet())
/// }
/// ```
pub struct Dep<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Deref for Dep<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> fmt::Debug for Dep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dep<{}>", short_name::<T>())
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromContext for Dep<T> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        context.get().map(Dep)
    }
    fn needs(needs: &mut Needs) {
        needs.dependency::<T>();
    }
}
