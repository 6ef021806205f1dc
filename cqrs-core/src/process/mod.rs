//! Process managers, also called sagas: state over several messages, with commands, deadlines and compensation.
mod decide;
mod engine;
mod instance;
mod picture;
mod reaction;
mod timer_names;

#[cfg(feature = "testing")]
pub(crate) use decide::{Change, SentCommand, decide, expired};
pub(crate) use decide::{Trigger, act};
pub(crate) use engine::{DEADLINE, deadline_of, expire, find, react, stage};
pub(crate) use instance::Instance;
pub use instance::Status;
pub(crate) use picture::picture;
pub use reaction::{Irreversible, Reaction};
pub(crate) use timer_names::TimerNames;

use crate::{
    codec::{self, PersonalFields},
    event::{RawEvent, Recorded, RemoteCommand, Subscribable, decode as decode_event},
    message::{Message, Stored},
    registry::{ProcessDefinition, ProcessState, Reacted, RemoteStepDefinition, StepDefinition, SubscriberError},
    schedule::Schedulable,
};
use serde_json::Value;
use std::any::TypeId;

/// The state of a process manager, which is an enum with a variant for each state.
///
/// `#[derive(Process)]` writes the implementation. Each variant says how long the process may wait in it, and each command that
/// the process sends says which command undoes it:
///
/// - `#[process(name = "...", version = n)]`: the name of the process, which is its consumer group, too, and the version of the
///   form of its state. A program leaves the instances of a newer version to the newer program.
/// - `#[deadline(secs = n, then = function)]` on a variant: `fn(State) -> Reaction<State>`, which is called if the process is still in
///   this state after that time. `#[waits_for_ever]` instead, if it may.
/// - `#[step(Command, undone_by = Other)]` or `#[step(Command, irreversible)]` on the enum.
/// - `#[remote_step(Command, undone_by = Other)]` or `#[remote_step(Command, irreversible)]` for a [`RemoteCommand`],
///   which another service carries out.
///
/// The functions with `#[process(...)]` are pure. Each handles one kind of events, names the instance by a field of the event, and
/// returns a [`Reaction`]:
///
/// ```
/// # use cqrs_core::{Aggregate, Command, Event, Evolve, HandlerResult, handler};
/// use cqrs_core::{Process, Reaction, Recorded, process};
/// use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "order-of-doc", event = OrderEvent)]
/// # struct Order { #[id] id: String }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "order-of-doc", version = 1)]
/// # enum OrderEvent { Placed }
/// # impl Evolve<OrderEvent> for Order {
/// #     fn create(id: String, _: &OrderEvent) -> Option<Self> { Some(Order { id }) }
/// #     fn apply(&mut self, _: &OrderEvent) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "payment-of-doc", event = PaymentEvent)]
/// # struct Payment { #[id] id: String }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "payment-of-doc", version = 1)]
/// # enum PaymentEvent { Captured }
/// # impl Evolve<PaymentEvent> for Payment {
/// #     fn create(id: String, _: &PaymentEvent) -> Option<Self> { Some(Payment { id }) }
/// #     fn apply(&mut self, _: &PaymentEvent) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, Command)]
/// # struct Capture { order: String }
/// # #[handler]
/// # async fn capture(_: Capture) -> HandlerResult<()> { Ok(()) }
/// # #[derive(Clone, Serialize, Deserialize, Command)]
/// # struct Refund { order: String }
/// # #[handler]
/// # async fn refund(_: Refund) -> HandlerResult<()> { Ok(()) }
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
/// #[process(name = "shop.purchase", version = 1)]
/// #[step(Capture, undone_by = Refund)]
/// enum Purchase {
///     #[deadline(secs = 900, then = expired)]
///     Paying { order: String },
/// }
///
/// #[process(key = aggregate_id, unexpected = "starts", then = "Paying", from = "beginning")]
/// fn placed(event: &Recorded<OrderEvent>) -> Reaction<Purchase> {
///     let order = event.aggregate_id.clone();
///     let (capture, refund) = (Capture { order: order.clone() }, Refund { order: order.clone() });
///     Reaction::to(Purchase::Paying { order }).step(capture, refund)
/// }
/// #[process(key = aggregate_id, when = "Paying", unexpected = "ignored", then = "end", from = "beginning")]
/// fn captured(_: &Recorded<PaymentEvent>, _: Purchase) -> Reaction<Purchase> {
///     Reaction::end()
/// }
/// fn expired(_: Purchase) -> Reaction<Purchase> {
///     Reaction::end().compensate()
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of a process",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, Process)]` on an enum"
)]
pub trait Process: Clone + Stored + Send + Sync + 'static {
    /// The name, which is the consumer group, too.
    const NAME: &'static str;
    /// The kind of the instances in the table of states.
    #[doc(hidden)]
    const KIND: &'static str;
    /// The version of the form of the state.
    const VERSION: u32;
    /// The personal fields of the states. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// The states with their deadlines.
    const STATES: &'static [ProcessState];
    /// Returns the name of this state.
    fn state(&self) -> &'static str;
    /// Returns the steps with what undoes them.
    #[doc(hidden)]
    fn steps() -> Vec<StepDefinition>;
    /// Returns the steps of other services with what undoes them.
    #[doc(hidden)]
    fn remote_steps() -> Vec<RemoteStepDefinition> {
        Vec::new()
    }
    /// Reacts to the deadline of this state.
    fn expired(self) -> Reaction<Self>;
}

/// A process that sends a command: the attribute `#[step(...)]` writes the implementation.
#[diagnostic::on_unimplemented(
    message = "process `{Self}` does not declare the step `{C}`",
    note = "say what undoes it: `#[step({C}, undone_by = Other)]`, or `#[step({C}, irreversible)]`"
)]
pub trait Sends<C: Schedulable>: Process {
    /// The command that undoes it, or [`Irreversible`].
    type Undo;
}

/// A process that sends a command to another service: the attribute `#[remote_step(...)]` writes the implementation.
#[diagnostic::on_unimplemented(
    message = "process `{Self}` does not declare the remote step `{C}`",
    note = "say what undoes it: `#[remote_step({C}, undone_by = Other)]`, or `#[remote_step({C}, irreversible)]`"
)]
pub trait SendsRemote<C: RemoteCommand>: Process {
    /// The command that undoes it, or [`Irreversible`].
    type Undo;
}

/// Returns the definition of a process without its type.
#[doc(hidden)]
pub fn definition<P: Process>() -> ProcessDefinition {
    ProcessDefinition {
        name: P::NAME,
        kind: P::KIND,
        version: P::VERSION,
        type_id: TypeId::of::<P>,
        states: P::STATES,
        is_personal: !P::PERSONAL.is_empty(),
        steps: P::steps(),
        remote_steps: P::remote_steps(),
        expire: |value| of_value::<P>(value)?.expired().erase(),
    }
}
/// Returns the definition of a step.
#[doc(hidden)]
pub fn step<C: Schedulable, U: Schedulable>() -> StepDefinition {
    let undo = Some((<U as Message>::NAME, U::registration as fn() -> _));
    StepDefinition { command: C::registration, name: <C as Message>::NAME, undo }
}
/// Returns the definition of a step that nothing undoes.
#[doc(hidden)]
pub fn irreversible_step<C: Schedulable>() -> StepDefinition {
    StepDefinition { command: C::registration, name: <C as Message>::NAME, undo: None }
}

/// Returns the definition of a step of another service.
#[doc(hidden)]
pub fn remote_step<C: RemoteCommand, U: RemoteCommand>() -> RemoteStepDefinition {
    let is_personal = !C::PERSONAL.is_empty() || !U::PERSONAL.is_empty();
    RemoteStepDefinition { command: (C::NAME, C::TOPIC), undo: Some((U::NAME, U::TOPIC)), is_personal }
}
/// Returns the definition of a step of another service that nothing undoes.
#[doc(hidden)]
pub fn irreversible_remote_step<C: RemoteCommand>() -> RemoteStepDefinition {
    RemoteStepDefinition { command: (C::NAME, C::TOPIC), undo: None, is_personal: !C::PERSONAL.is_empty() }
}

fn of_value<P: Process>(value: Value) -> Result<P, SubscriberError> {
    // The error's own text can hold a part of the state.
    codec::decode_value(value)
        .map_err(|_| SubscriberError::Unreadable(format!("the state of process {} cannot be decoded", P::NAME).into()))
}
/// Returns the key of an event's instance.
#[doc(hidden)]
pub fn key_of<E: Subscribable>(raw: &RawEvent, key: fn(&Recorded<E>) -> String) -> Result<String, SubscriberError> {
    Ok(key(&decode_event::<E>(raw.clone()).map_err(SubscriberError::Unreadable)?))
}
/// Calls a function that begins an instance.
#[doc(hidden)]
pub fn begin<P: Process, E: Subscribable>(
    raw: &RawEvent,
    function: fn(&Recorded<E>) -> Reaction<P>,
) -> Result<Reacted, SubscriberError> {
    function(&decode_event::<E>(raw.clone()).map_err(SubscriberError::Unreadable)?).erase()
}
/// Calls a function on the state of an instance.
#[doc(hidden)]
pub fn go_on<P: Process, E: Subscribable>(
    raw: &RawEvent,
    state: Option<Value>,
    function: fn(&Recorded<E>, P) -> Reaction<P>,
) -> Result<Reacted, SubscriberError> {
    let event = decode_event::<E>(raw.clone()).map_err(SubscriberError::Unreadable)?;
    function(&event, of_value(state.unwrap_or_default())?).erase()
}
/// Encodes the state of a process.
fn to_value<P: Process>(state: &P) -> Result<Value, SubscriberError> {
    let bytes = codec::encode_marked(state, P::PERSONAL).map_err(|fault| SubscriberError::Failed(fault.into()))?;
    serde_json::from_slice(&bytes).map_err(|error| SubscriberError::Failed(error.into()))
}
