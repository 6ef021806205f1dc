//! Events: domain events in a service's own log, and integration events for other services.
mod entry;
pub(crate) mod first_event;
mod integration;
mod publish;
mod recorded;
mod remote;
mod shard;
mod stream;
mod stream_event;
mod subscribable;

pub use entry::{Entry, NewEntry, OutgoingMessage};
pub(crate) use first_event::FirstEvent;
pub use integration::IntegrationEvent;
pub(crate) use publish::Publisher;
pub use publish::{RunPublisher, outgoing_message};
pub use recorded::Recorded;
pub use remote::RemoteCommand;
pub(crate) use remote::{COMMAND_SENT, outgoing_command, received_command};
#[cfg(feature = "postgres")]
pub(crate) use shard::murmur2;
pub use shard::{RELAY_SHARDS, shard_of};
pub(crate) use stream::{SEPARATOR, kind_of, parse_id, stream_of};
pub use stream_event::StreamEvent;
pub use subscribable::{RawEvent, Source, Subscribable, UpcastError, Upcaster, decode, decode_stored};

use crate::{codec::PersonalFields, id::AggregateId, message::Stored, stored_form::StoredForm};

/// A domain event: a fact in the past tense, stored in the log of its own service. The trait is derived:
///
/// ```
/// use cqrs_core::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "account", version = 1)]
/// pub enum AccountEvent {
///     Opened { owner: String },
///     Deposited { amount: u64 },
/// }
/// assert_eq!(AccountEvent::NAMES, ["account.opened", "account.deposited"]);
/// assert_eq!(AccountEvent::Deposited { amount: 1 }.name(), "account.deposited");
/// ```
///
/// The stored form is serde's JSON. A new field with `#[serde(default)]` is compatible. Any other change needs a new
/// `version` and an upcaster for each former one, which makes the next version's JSON of a stored event:
///
/// ```
/// use cqrs_core::{BoxError, Event, event::decode_stored, serde_json::{Value, json}};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "paid", version = 3, upcast(1 = from_1, 2 = from_2))]
/// pub struct Paid { cents: u64, currency: String }
///
/// fn from_1(json: Value) -> Result<Value, BoxError> {
///     let amount = json["amount"].as_u64().ok_or("the amount is no number")?;
///     Ok(json!({ "cents": amount * 100 }))
/// }
/// fn from_2(mut json: Value) -> Result<Value, BoxError> {
///     json["currency"] = "EUR".into();
///     Ok(json)
/// }
/// let paid: Paid = decode_stored(1, br#"{"amount":3}"#).unwrap();
/// assert_eq!(paid, Paid { cents: 300, currency: "EUR".into() });
/// assert!(decode_stored::<Paid>(1, b"{}").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, Event)] #[event(name = \"...\", version = 1)]`"
)]
pub trait Event: Clone + Send + Sync + Stored + 'static {
    /// All names under which values of this type are stored.
    const NAMES: &'static [&'static str];
    /// The version of the stored form.
    const VERSION: u32;
    /// The upcasters from version 1, 2 and so on, up to the current one. If there are none, `Deserialize` reads every
    /// version. The derive writes this constant.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// The personal fields. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// Returns the name under which this value is stored, such as `account.deposited`.
    fn name(&self) -> &'static str;
    /// Returns the description of the stored form. The derive writes this method. The default describes nothing, so nothing
    /// is compared at the start of a changed program.
    #[doc(hidden)]
    fn stored_form() -> StoredForm {
        StoredForm::default()
    }
}

/// The events of one kind of aggregates. `derive(Aggregate)` implements the trait for the type that `event = ...` names,
/// so an event type belongs to one aggregate, and its recorded events have the typed id of that aggregate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the event of an aggregate",
    note = "name it in the derive of its aggregate: `#[aggregate(name = \"...\", event = {Self})]`"
)]
pub trait AggregateEvent: Event {
    /// The name of the aggregate.
    const AGGREGATE: &'static str;
    /// The type of the aggregate's id.
    type Id: AggregateId;
}
