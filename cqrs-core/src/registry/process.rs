//! Process managers without their types, as their functions and the derive register them.
use crate::{
    event::{OutgoingMessage, RawEvent},
    registry::{Registration, SubscriberError},
    storage::DueTime,
};
use serde_json::Value;
use std::{any::TypeId, fmt, time::Duration};

/// A process manager: its states, its steps, and the reaction to a deadline.
#[derive(Clone)]
pub struct ProcessDefinition {
    /// The name, which is its consumer group, too.
    pub name: &'static str,
    /// The kind of its instances in the table of states: `process:` and the name.
    pub kind: &'static str,
    /// The version of the form of its state.
    pub version: u32,
    /// The type of its state.
    pub type_id: fn() -> TypeId,
    /// The states.
    pub states: &'static [ProcessState],
    /// The states have personal fields.
    pub is_personal: bool,
    /// The commands that it sends.
    pub steps: Vec<StepDefinition>,
    /// The commands that it sends to other services.
    pub remote_steps: Vec<RemoteStepDefinition>,
    /// Reacts to the deadline of a state.
    pub expire: fn(Value) -> Result<Reacted, SubscriberError>,
}

/// A state of a process, with the longest time in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessState {
    /// The name: that of the variant.
    pub name: &'static str,
    /// The deadline after the entry; `None` for a state that may wait for ever.
    pub deadline: Option<Duration>,
}

/// A command that a process sends, with the command that undoes it.
#[derive(Debug, Clone, Copy)]
pub struct StepDefinition {
    /// The handler of the command.
    pub command: fn() -> &'static Registration,
    /// The command's name.
    pub name: &'static str,
    /// The name and the handler of the command that undoes it; `None` if it is irreversible.
    pub undo: Option<(&'static str, fn() -> &'static Registration)>,
}

/// A command that a process sends to another service, with the command that undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteStepDefinition {
    /// The name and the topic of the command.
    pub command: (&'static str, &'static str),
    /// The name and the topic of the command that undoes it; `None` if it is irreversible.
    pub undo: Option<(&'static str, &'static str)>,
    /// One of them has personal fields.
    pub is_personal: bool,
}

impl ProcessDefinition {
    /// Returns the topics of the services to which the process sends commands.
    pub(crate) fn remote_topics(&self) -> Vec<&'static str> {
        let commands = self.remote_steps.iter().flat_map(|step| std::iter::once(step.command).chain(step.undo));
        commands.map(|(_, topic)| topic).collect()
    }
}

/// A function of a process, which handles one kind of events.
#[derive(Clone, Copy)]
pub struct ProcessFunction {
    /// Describes the process.
    pub definition: fn() -> ProcessDefinition,
    /// Returns the key of the instance.
    pub key: fn(&RawEvent) -> Result<String, SubscriberError>,
    /// Calls the function, with the state of the instance unless it begins one.
    pub react: fn(&RawEvent, Option<Value>) -> Result<Reacted, SubscriberError>,
    /// The states in which it reacts; empty for one that begins an instance.
    pub when: &'static [&'static str],
    /// The states that it can lead to; `end` is the end.
    pub then: &'static [&'static str],
    /// The meaning of an event for an instance that does not exist or is in another state.
    pub unexpected: Unexpected,
}

/// The meaning of an event for an instance that does not exist or is in another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unexpected {
    /// The event begins an instance. If there is one already, or was one, the event changes nothing.
    Starts,
    /// The event changes nothing.
    Ignored,
    /// The event is parked.
    Error,
}

/// The reaction of a process, without its type.
#[derive(Debug, Clone)]
pub struct Reacted {
    /// The state after it.
    pub next: NextState,
    /// The commands and timers, in order.
    pub outputs: Vec<Output>,
}

/// The state after a reaction.
#[derive(Debug, Clone)]
pub enum NextState {
    /// The state stays, and so does its deadline.
    Same,
    /// A state is entered, and its deadline begins.
    Entered(&'static str, Value),
    /// The instance has ended.
    End,
}

/// One thing that a reaction does.
#[derive(Debug, Clone)]
pub enum Output {
    /// Sends a command, and notes the one that undoes it.
    Send(EncodedCommand, Option<EncodedCommand>),
    /// Sends a command to another service, and notes the one that undoes it.
    SendRemote(OutgoingMessage, Option<OutgoingMessage>),
    /// Sends a command later, unless it is cancelled or replaced by its name.
    Schedule(String, DueTime, EncodedCommand),
    /// Cancels the later command of this name.
    Cancel(String),
    /// Sends the commands that undo the steps so far, the last step first.
    Compensate,
}

/// A command in its stored form.
#[derive(Debug, Clone)]
pub struct EncodedCommand {
    /// The command's name.
    pub name: &'static str,
    /// The encoded command.
    pub body: String,
}

impl fmt::Debug for ProcessFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessFunction").field("when", &self.when).field("then", &self.then).finish_non_exhaustive()
    }
}
impl fmt::Debug for ProcessDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessDefinition").field("name", &self.name).finish_non_exhaustive()
    }
}
