//! Functions and traits for the code that the macros write. Generated code uses nothing else of the library.
use crate::{
    codec::{self, PersonalFields},
    command::{Dispatch, Handled},
    context::{Context, Needs, NeedsOf},
    error::{BoxError, Fault},
    event::{IntegrationEvent, Recorded, Subscribable},
    personal::Redacted,
    process::{self, Process, Reaction},
    schedule::Schedulable,
    view::{Change, IndexEntries, IndexKey, Range, View},
};
pub use crate::{
    event::{
        NewEntry, OutgoingMessage, RawEvent, decode,
        first_event::{FirstEvent, projection_from, projection_inline, subscriber_from},
        outgoing_message,
    },
    registry::{
        EncodedCommand, NextState, Output, ProcessDefinition, ProcessFunction, ProcessState, Reacted, Registered,
        Registration, RemoteStepDefinition, StepDefinition, StoredCommandError, SubscriberError, Unexpected,
    },
    stored_form::{StoredContent, StoredField, StoredForm, StoredVariant},
    view::ErasedChange,
};
pub use futures_util::future::BoxFuture;
pub use inventory;
pub use serde;
use std::ops::Bound;
pub use uuid::{Error as UuidError, Uuid};

/// The parameter of a projection or publisher: a reference to the event, or to the event with its metadata.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to",
    note = "take `&Event`, or `&Recorded<Event>` for its time and the id of its aggregate"
)]
pub trait EventArgument<'a> {
    /// The type of the event.
    type Event: Subscribable;
    /// Takes the parameter from a recorded event.
    fn from_recorded(recorded: &'a Recorded<Self::Event>) -> Self;
}
impl<'a, E: Subscribable> EventArgument<'a> for &'a E {
    type Event = E;
    fn from_recorded(recorded: &'a Recorded<E>) -> Self {
        &recorded.event
    }
}
impl<'a, E: Subscribable> EventArgument<'a> for &'a Recorded<E> {
    type Event = E;
    fn from_recorded(recorded: &'a Recorded<E>) -> Self {
        recorded
    }
}

/// The return type of a projection.
#[diagnostic::on_unimplemented(
    message = "a projection returns `Change<View>`, not `{Self}`",
    note = "write `-> Change<YourView>`: `View::put`, `View::update`, `View::remove` or `Change::none()`"
)]
pub trait ProjectionReturn {
    /// The view that the projection updates.
    type View: View;
    /// Returns the change without the type of the view.
    fn erase(self) -> ErasedChange;
}
impl<V: View> ProjectionReturn for Change<V> {
    type View = V;
    fn erase(self) -> ErasedChange {
        ErasedChange(self.erased())
    }
}

/// Returns the index entries of a view's stored value.
///
/// # Errors
/// Fails when the view cannot read the value.
pub fn index_entries<V: View>(value: &[u8]) -> Result<IndexEntries, Fault> {
    Ok(codec::decode::<V>(value)?.entries())
}

/// Returns the description of a view's stored form.
pub fn view_form<V: View>() -> StoredForm {
    V::stored_form().checked::<V>()
}

/// The return type of a subscriber or projector.
#[diagnostic::on_unimplemented(
    message = "a subscriber or projector returns `Result<(), BoxError>`, not `{Self}`",
    note = "write `-> Result<(), BoxError>`; any error that `?` turns into a `BoxError` will do"
)]
pub trait SubscriberReturn {
    /// Returns the result with the error type of the framework.
    fn into_result(self) -> Result<(), SubscriberError>;
}
impl<E: SubscriberFailure> SubscriberReturn for Result<(), E> {
    fn into_result(self) -> Result<(), SubscriberError> {
        self.map_err(|error| SubscriberError::Failed(error.into()))
    }
}

/// The error type of a subscriber or projector.
///
/// The trait exists so that the compiler names the mistake in one sentence.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a subscriber or projector",
    note = "derive `Debug` and `thiserror::Error`, or return `Result<(), BoxError>`"
)]
pub trait SubscriberFailure: Into<BoxError> {}
#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> SubscriberFailure for E {}

/// The return type of a publisher.
#[diagnostic::on_unimplemented(
    message = "a publisher returns `Option<IntegrationEvent>`, not `{Self}`",
    note = "write `-> Option<YourIntegrationEvent>`; `None` publishes nothing"
)]
pub trait PublisherReturn {
    /// The type of the integration event.
    type IntegrationEvent: IntegrationEvent;
    /// Returns the integration event, if there is one.
    fn into_option(self) -> Option<Self::IntegrationEvent>;
}
impl<C: IntegrationEvent> PublisherReturn for Option<C> {
    type IntegrationEvent = C;
    fn into_option(self) -> Option<C> {
        self
    }
}

/// The first parameter of a subscriber.
#[diagnostic::on_unimplemented(
    message = "a subscriber takes `Recorded<Event>` first, not `{Self}`",
    note = "write `event: Recorded<YourEvent>`: an event of this service or an integration event of another"
)]
pub trait RecordedEvent {
    /// The type of the event.
    type Event: Subscribable;
}
impl<E: Subscribable> RecordedEvent for Recorded<E> {
    type Event = E;
}

pub use crate::process::{
    begin as begin_process, definition as process_definition, go_on as continue_process, irreversible_remote_step,
    irreversible_step as irreversible_process_step, key_of as process_key, remote_step, step as process_step,
};

/// The return type of a function of a process.
#[diagnostic::on_unimplemented(
    message = "a function of a process returns `Reaction<State>`, not `{Self}`",
    note = "write `-> Reaction<YourState>`, where `YourState` derives `Process`"
)]
pub trait ProcessReaction {
    /// The process.
    type Process: Process;
}
impl<P: Process> ProcessReaction for Reaction<P> {
    type Process = P;
}
/// Declares the needs of a function of a process, which sets timers.
pub fn process_needs(needs: &mut Needs) {
    needs.timers();
}
/// Handles an event with one function of a process.
pub fn run_process<'a>(
    context: &'a Context<'a>,
    raw: RawEvent,
    function: ProcessFunction,
) -> BoxFuture<'a, Result<(), SubscriberError>> {
    process::react(context, raw, function)
}

pub use crate::consumer::receive as receive_command;

/// The return type of a function that receives a command of another service.
#[diagnostic::on_unimplemented(
    message = "a receiver of commands returns `Result<Command, BoxError>`, not `{Self}`",
    note = "write `-> Result<YourCommand, BoxError>`, a command of this service with a `#[handler]`"
)]
pub trait ReceivedCommand {
    /// The command of this service.
    type Command: Schedulable;
    /// Returns the result with the error type of the framework.
    fn into_result(self) -> Result<Self::Command, BoxError>;
}
impl<R: Schedulable, E: SubscriberFailure> ReceivedCommand for Result<R, E> {
    type Command = R;
    fn into_result(self) -> Result<R, BoxError> {
        self.map_err(Into::into)
    }
}
/// Declares that a receiver of commands needs nothing: it is a pure function.
pub fn receiver_needs(_: &mut Needs) {}

/// The key of an integration event: any type with `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an integration event",
    note = "the key is a field with `Display`, such as a `String` or a `Uuid`"
)]
pub trait EventKey: std::fmt::Display {}
#[diagnostic::do_not_recommend]
impl<T: std::fmt::Display + ?Sized> EventKey for T {}

/// Returns the key of an integration event as text.
pub fn key_text<K: EventKey + ?Sized>(key: &K) -> String {
    key.to_string()
}

/// An integration event with a JSON payload: any type with serde's `Serialize` and `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be encoded as JSON",
    note = "derive it: `#[derive(Serialize, Deserialize)]`",
    note = "for a message of prost write `#[integration_event(..., encoding = \"protobuf\")]`"
)]
pub trait JsonPayload: serde::Serialize + serde::de::DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned> JsonPayload for T {}

/// Encodes an integration event as JSON.
pub fn encode_json<E: JsonPayload>(event: &E, personal: &PersonalFields) -> Result<Vec<u8>, BoxError> {
    Ok(codec::encode_marked(event, personal)?)
}
/// Decodes an integration event from JSON.
pub fn decode_json<E: JsonPayload>(bytes: &[u8]) -> Result<E, BoxError> {
    Ok(codec::decode(bytes)?)
}

/// Returns the JSON of the placeholder of a personal field without `erased`: its default.
///
/// # Errors
/// Fails when the default has no JSON form.
pub fn erased_default<T: serde::Serialize + Default>() -> Result<String, serde_json::Error> {
    serde_json::to_string(&T::default())
}
/// Returns the JSON of the placeholder of a personal field, from the value of `erased`.
///
/// # Errors
/// Fails when it has no JSON form.
pub fn erased<T: serde::Serialize>(value: impl Into<T>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&value.into())
}
/// Returns the text of the subject in a field of a command, as the marks of stored values have it.
pub fn subject_text<T: serde::Serialize>(subject: &T) -> Option<String> {
    let json = serde_json::value::to_raw_value(subject).ok()?;
    codec::subject_in(&json).ok()?
}
/// Returns the text of a unique personal value; `None` for its placeholder, which is not reserved.
pub fn unique_text<T: serde::Serialize>(
    value: &T,
    erased: fn() -> Result<String, serde_json::Error>,
) -> Option<String> {
    let json = serde_json::to_string(value).ok()?;
    let is_no_value = json == "null" || erased().is_ok_and(|erased| erased == json);
    (!is_no_value).then(|| serde_json::from_str::<String>(&json).unwrap_or(json))
}

/// Returns the range of all entries of `index` whose leading columns are encoded as `prefix`.
pub fn range<V>(index: &'static str, prefix: Vec<u8>) -> Range<V> {
    Range::of_prefix(index, prefix)
}

/// Returns the range of the entries of `index` whose leading columns are encoded as `prefix`, and whose next column is between
/// these bounds.
pub fn range_of_values<V, T: IndexKey + ?Sized>(
    index: &'static str,
    prefix: Vec<u8>,
    bounds: (Bound<&T>, Bound<&T>),
    descending: bool,
) -> Range<V> {
    Range::of_values(index, prefix, bounds, descending)
}

/// Creates the registration of a handler.
#[track_caller]
pub const fn handler<R: Handled>(module: &'static str, function: &'static str, needs: NeedsOf) -> Registration
where
    R::Sent: Dispatch<R>,
{
    let (kind, run_stored) = (<R::Sent as Dispatch<R>>::KIND, <R::Sent as Dispatch<R>>::RUN_STORED);
    Registration::handler(module, function, R::NAME, kind, needs, run_stored, !R::PERSONAL.is_empty())
}

/// Checks at compile time that the debug output of a personal field does not show its value.
pub const fn is_redacted<T: Redacted>() {}
