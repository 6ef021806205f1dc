//! The bus of a subscriber: sends commands, each of which takes effect once even if the event is delivered several
//! times.
use crate::{
    aggregate::unit_of_work::UnitOfWork,
    command::{Dispatch, Handled, bus},
    context::{Context, FromContext, Needs},
    error::Error,
    error::Rejection,
    metadata::{Metadata, framework_key},
    runtime::Runtime,
};
use std::{fmt, sync::Arc};

/// Sends commands from a subscriber.
///
/// Each command has the idempotency key `subscriber group/event id/number`, so that after a redelivery of the event it
/// returns the stored response instead of running again, also if its content has a new time or id by then. The commands are committed separately, before the subscriber's own inbox
/// record.
///
/// ```
/// use cqrs_core::{BoxError, Bus, Recorded, subscriber};
/// # use cqrs_core::{Aggregate, Command, Event, Evolve, HandlerResult, handler};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "replied", version = 1)]
/// # struct Replied { user_id: String }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "reply", event = Replied)]
/// # struct Reply { #[id] id: u64 }
/// # impl Evolve<Replied> for Reply {
/// #     fn create(id: u64, _: &Replied) -> Option<Self> { Some(Reply { id }) }
/// #     fn apply(&mut self, _: &Replied) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, Command)]
/// # struct SpendTokens { user: u64 }
/// # #[handler]
/// # async fn spend(_: SpendTokens) -> HandlerResult<()> { Ok(()) }
///
/// #[subscriber(group = "user.spend-tokens", from = "now")]
/// async fn spend_tokens(event: Recorded<Replied>, bus: Bus) -> Result<(), BoxError> {
///     Ok(bus.send(SpendTokens { user: event.user_id.parse()? }).await?)
/// }
/// ```
pub struct Bus {
    runtime: Arc<Runtime>,
    unit: UnitOfWork,
    metadata: Arc<Metadata>,
}
impl Bus {
    /// Sends a command or query to its handler.
    ///
    /// # Errors
    /// Returns the handler's own error.
    pub async fn send<R: Handled>(&self, request: R) -> Result<R::Output, Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        let mut metadata = Metadata::clone(&self.metadata);
        if let Some(cause) = self.unit.next_cause() {
            metadata.key = Some(framework_key::of_subscriber(cause.group, cause.message, cause.sent));
        }
        let result = bus::send::<R, R::Sent>(&self.runtime, request, &Arc::new(metadata)).await;
        if let Err(Error::Conflict { .. }) = &result {
            self.unit.note_transient();
        }
        if let Err(Error::Fault(fault) | Error::OutcomeUnknown(fault)) = &result
            && fault.is_transient()
        {
            self.unit.note_transient();
        }
        Ok(result?.0)
    }
}
impl FromContext for Bus {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        let unit = context.unit.filter(|unit| unit.is_caused()).cloned();
        let unit = unit.ok_or_else(|| Rejection::missing("a message (only subscribers have a Bus)"))?;
        Ok(Bus { runtime: context.runtime.clone(), unit, metadata: context.metadata.clone() })
    }
    fn needs(needs: &mut Needs) {
        needs.message();
    }
}
impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bus")
    }
}
