//! The time and new ids as needs: a decision takes `now`, it never asks for it.
use crate::{Context, FromContext, Missing, Timestamp, world::World};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The time and new ids, as a handler's parameter; a test's world decides both.
///
/// ```
/// # use cqrs_core::{Clock, Never, Query, Timestamp, handler};
/// #[derive(Clone, Query)]
/// struct WhatTime;
///
/// #[handler]
/// async fn what_time(_: WhatTime, clock: Clock) -> cqrs_core::Result<Timestamp, Never> {
///     Ok(clock.now())
/// }
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn World>);
impl Clock {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
    /// A new id that sorts by time: UUIDv7.
    pub fn id(&self) -> Uuid {
        self.0.id()
    }
}
impl FromContext for Clock {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        Ok(Clock(context.shared.world.clone()))
    }
}
impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
