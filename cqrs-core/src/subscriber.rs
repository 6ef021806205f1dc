//! What a subscriber does with the rest of its service: sends commands, each once however often the event comes.
use crate::{
    Context, Error, FromContext, Handled, Metadata, Missing, Needs,
    app::Shared,
    bus::{self, Dispatch},
    unit::Unit,
};
use std::{fmt, sync::Arc};

/// Sends commands from a subscriber. Each carries `group/event id/number` as its idempotency key, so a redelivered event is
/// answered and not repeated. The commands commit by themselves, before the subscriber's own mark.
///
/// ```
/// use cqrs_core::{BoxError, Bus, Recorded, subscriber};
/// # use cqrs_core::{Command, Event, Never, handler};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "replied", version = 1)]
/// # struct Replied { user_id: String }
/// # #[derive(Clone, Serialize, Deserialize, Command)]
/// # struct SpendTokens { user: u64 }
/// # #[handler]
/// # async fn spend(_: SpendTokens) -> cqrs_core::Result<(), Never> { Ok(()) }
///
/// #[subscriber(group = "user.spend-tokens")]
/// async fn spend_tokens(event: Recorded<Replied>, bus: Bus) -> Result<(), BoxError> {
///     Ok(bus.send(SpendTokens { user: event.user_id.parse()? }).await?)
/// }
/// ```
pub struct Bus {
    shared: Arc<Shared>,
    unit: Unit,
    metadata: Arc<Metadata>,
}
impl Bus {
    /// Sends a command or query.
    ///
    /// # Errors
    /// The handler's own.
    pub async fn send<R: Handled>(&self, request: R) -> Result<R::Output, Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        let mut metadata = Metadata::clone(&self.metadata);
        if let Some(cause) = self.unit.next_cause() {
            metadata.key = Some(format!("{}/{}/{}", cause.group, cause.message, cause.sent));
        }
        let sent = bus::send::<R, R::Sent>(&self.shared, request, &Arc::new(metadata)).await;
        if let Err(Error::Conflict { .. }) = &sent {
            self.unit.meet_trouble();
        }
        if let Err(Error::Fault(fault)) = &sent
            && fault.is_transient()
        {
            self.unit.meet_trouble();
        }
        Ok(sent?.0)
    }
}
impl FromContext for Bus {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        let unit = context.unit.filter(|unit| unit.is_caused()).cloned();
        let unit = unit.ok_or_else(|| Missing::new("a message: only subscribers have a `Bus`"))?;
        Ok(Bus { shared: context.shared.clone(), unit, metadata: context.metadata.clone() })
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
