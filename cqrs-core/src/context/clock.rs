//! The clock as a handler's parameter: time and new ids. A decision receives the time as an argument.
use crate::{
    Timestamp,
    context::{Context, FromContext},
    environment::Environment,
    error::Rejection,
};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The time and new ids, as a handler's parameter. In a test the [`Environment`] of the test supplies both.
///
/// ```
/// # use cqrs_core::{Clock, HandlerResult, Query, Timestamp, handler};
/// #[derive(Clone, Query)]
/// struct WhatTime;
///
/// #[handler]
/// async fn what_time(_: WhatTime, clock: Clock) -> HandlerResult<Timestamp> {
///     Ok(clock.now())
/// }
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Environment>);
impl Clock {
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
    /// Returns a new id that sorts by time (UUIDv7).
    pub fn id(&self) -> Uuid {
        self.0.id()
    }
}
impl FromContext for Clock {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        Ok(Clock(context.runtime.environment.clone()))
    }
}
impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
