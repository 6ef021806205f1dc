//! What the macros write calls to: the one door from generated code into the library.
pub use crate::app::{ErasedChange, Raw, Registered, Registration, Unhandled};
use crate::{
    BoxError, Change, Contract, Event, Fault, Heard, Recorded, View,
    batch::{NewEntry, Told},
    log::lane_of,
};
pub use futures_util::future::BoxFuture;
pub use inventory;
pub use serde;
use std::any::Any;
pub use uuid::{Error as UuidError, Uuid};

/// The event in a raw message.
pub fn decode<E: Heard>(raw: Recorded<Raw>) -> Result<Recorded<E>, BoxError> {
    let event = E::decode(&raw.event.name, raw.event.schema, &raw.event.bytes)?;
    Ok(raw.map(|_| event))
}
/// Reads a stored event of the own log.
pub fn decode_stored<E: Event>(schema: u32, bytes: &[u8]) -> Result<E, BoxError> {
    if schema > E::VERSION {
        return Err(format!("stored by a newer program: version {schema}, this one knows {}", E::VERSION).into());
    }
    Ok(serde_json::from_slice(bytes)?)
}

/// What a projection or publisher takes by reference: the event alone, or with what is known of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be heard",
    note = "take `&Event`, or `&Recorded<Event>` for its time and id"
)]
pub trait Seen<'a> {
    /// The event.
    type Event;
    /// From what was recorded.
    fn of(recorded: &'a Recorded<Self::Event>) -> Self;
}
impl<'a, E: Heard> Seen<'a> for &'a E {
    type Event = E;
    fn of(recorded: &'a Recorded<E>) -> Self {
        &recorded.event
    }
}
impl<'a, E: Heard> Seen<'a> for &'a Recorded<E> {
    type Event = E;
    fn of(recorded: &'a Recorded<E>) -> Self {
        recorded
    }
}

/// What a projection returns.
#[diagnostic::on_unimplemented(
    message = "a projection returns `Change<View>`, not `{Self}`",
    note = "write `-> Change<YourView>`: `View::put`, `View::update`, `View::remove` or `Change::none()`"
)]
pub trait Changes {
    /// The view it keeps.
    type View: View;
    /// Without its type.
    fn erase(self) -> ErasedChange;
}
impl<V: View> Changes for Change<V> {
    type View = V;
    fn erase(self) -> ErasedChange {
        ErasedChange(self.erased())
    }
}

/// What a subscriber or projector returns.
#[diagnostic::on_unimplemented(
    message = "a subscriber or projector returns `Result<(), BoxError>`, not `{Self}`",
    note = "write `-> Result<(), BoxError>`; any error that `?` turns into a `BoxError` will do"
)]
pub trait Done {
    /// As the framework goes by it.
    fn done(self) -> Result<(), Unhandled>;
}
impl<E: Into<BoxError>> Done for Result<(), E> {
    fn done(self) -> Result<(), Unhandled> {
        self.map_err(|error| Unhandled::Failed(error.into()))
    }
}

/// What a publisher returns.
#[diagnostic::on_unimplemented(
    message = "a publisher returns `Option<ContractEvent>`, not `{Self}`",
    note = "write `-> Option<YourContract>`; `None` tells nobody"
)]
pub trait Tells {
    /// What is told.
    type Contract: Contract;
    /// As an option.
    fn told(self) -> Option<Self::Contract>;
}
impl<C: Contract> Tells for Option<C> {
    type Contract = C;
    fn told(self) -> Option<C> {
        self
    }
}

/// The largest body that fits Kafka's default of 1 MiB a message, with its headers.
const LARGEST: usize = 1_000_000;

/// Runs a publisher over an entry, and checks what it says while the command can still be refused.
pub fn tell<E: Event, C: Contract>(
    event: &(dyn Any + Send + Sync),
    entry: &NewEntry,
    tell: impl FnOnce(&Recorded<E>) -> Option<C>,
) -> Result<Option<Told>, Fault> {
    let event = event.downcast_ref::<E>().ok_or_else(|| Fault::internal("a publisher was given another event"))?;
    let recorded = Recorded {
        event: event.clone(),
        id: entry.id,
        stream: entry.stream.clone(),
        version: entry.version,
        at: entry.at,
        metadata: entry.metadata.clone(),
    };
    let Some(contract) = tell(&recorded) else { return Ok(None) };
    let (key, body) = (contract.key(), contract.encode());
    if key.is_empty() {
        return Err(Fault::internal(format!("{} has an empty key: it would be in no order", C::NAME)));
    }
    if body.len() > LARGEST {
        return Err(Fault::internal(format!("{} is larger than {LARGEST} bytes", C::NAME)));
    }
    let told = Told { topic: C::TOPIC.to_owned(), lane: lane_of(&key), key, name: C::NAME.to_owned(), body };
    Ok(Some(told))
}

/// What a subscriber takes.
#[diagnostic::on_unimplemented(
    message = "a subscriber takes `Recorded<Event>` first, not `{Self}`",
    note = "write `event: Recorded<YourEvent>`: an event of this service or a contract event of another"
)]
pub trait RecordedEvent {
    /// The event.
    type Event: Heard;
}
impl<E: Heard> RecordedEvent for Recorded<E> {
    type Event = E;
}
