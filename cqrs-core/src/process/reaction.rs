//! Reactions of a process to an event or a deadline, as data.
use crate::{
    codec,
    error::Fault,
    event::{OutgoingMessage, RemoteCommand, outgoing_command},
    message::Message,
    process::{Process, Sends, SendsRemote, to_value},
    registry::{EncodedCommand, NextState, Output, Reacted, SubscriberError},
    schedule::Schedulable,
    storage::DueTime,
};
use std::{fmt, time::Duration};

/// The mark of a step that nothing undoes.
#[derive(Debug)]
pub enum Irreversible {}

/// The reaction of a process to an event or a deadline. It is data: the framework commits the new state, the commands, the
/// timers and the record that the message was handled in one batch.
#[must_use = "a function of a process returns it"]
pub struct Reaction<P> {
    next: Next<P>,
    outputs: Vec<Output>,
    fault: Option<Fault>,
}
enum Next<P> {
    Same,
    To(P),
    End,
}
impl<P: Process> Reaction<P> {
    fn new(next: Next<P>) -> Self {
        Reaction { next, outputs: Vec::new(), fault: None }
    }
    /// The process stays in its state, and the deadline goes on. As the reaction to a first event, it begins no instance. As the reaction
    /// to a deadline, it begins the deadline anew.
    pub fn none() -> Self {
        Reaction::new(Next::Same)
    }
    /// The process enters this state, and its deadline begins.
    pub fn to(state: P) -> Self {
        Reaction::new(Next::To(state))
    }
    /// The process has ended. Its deadline and its later commands are cancelled, and later events change nothing.
    pub fn end() -> Self {
        Reaction::new(Next::End)
    }
    /// Sends a command, and notes the one that undoes it for [`compensate`](Reaction::compensate). The commands of an instance are
    /// carried out one after the other.
    pub fn step<C: Schedulable>(mut self, command: C, undo: <P as Sends<C>>::Undo) -> Self
    where
        P: Sends<C>,
        <P as Sends<C>>::Undo: Schedulable,
    {
        if let (Some(command), Some(undo)) = (self.encoded(&command), self.encoded(&undo)) {
            self.outputs.push(Output::Send(command, Some(undo)));
        }
        self
    }
    /// Sends a command that nothing undoes.
    pub fn send<C: Schedulable>(mut self, command: C) -> Self
    where
        P: Sends<C, Undo = Irreversible>,
    {
        if let Some(command) = self.encoded(&command) {
            self.outputs.push(Output::Send(command, None));
        }
        self
    }
    /// Sends a command to another service, and notes the one that undoes it for [`compensate`](Reaction::compensate).
    ///
    /// The command is a row of the log in the batch of the reaction. It arrives at least once, in the order of its key,
    /// and the other service carries it out once. Its answer is an integration event of that service; the deadline of
    /// the next state says how long the process waits for it.
    pub fn remote_step<C: RemoteCommand>(mut self, command: C, undo: <P as SendsRemote<C>>::Undo) -> Self
    where
        P: SendsRemote<C>,
        <P as SendsRemote<C>>::Undo: RemoteCommand,
    {
        if let (Some(command), Some(undo)) = (self.outgoing(&command), self.outgoing(&undo)) {
            self.outputs.push(Output::SendRemote(command, Some(undo)));
        }
        self
    }
    /// Sends a command that nothing undoes to another service, as [`remote_step`](Reaction::remote_step) does.
    pub fn send_remote<C: RemoteCommand>(mut self, command: C) -> Self
    where
        P: SendsRemote<C, Undo = Irreversible>,
    {
        if let Some(command) = self.outgoing(&command) {
            self.outputs.push(Output::SendRemote(command, None));
        }
        self
    }
    /// Sends a command after this time, unless the instance has ended by then. The name is one of this instance; a later command
    /// replaces the former one of its name.
    pub fn later<C: Schedulable>(mut self, name: impl Into<String>, wait: Duration, command: C) -> Self
    where
        P: Sends<C, Undo = Irreversible>,
    {
        if let Some(command) = self.encoded(&command) {
            self.outputs.push(Output::Schedule(name.into(), DueTime::After(wait), command));
        }
        self
    }
    /// Cancels the later command of this name.
    pub fn cancel(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(Output::Cancel(name.into()));
        self
    }
    /// Sends the commands that undo the steps of this instance so far, the last step first. Each is sent once. Commands of earlier
    /// reactions that were not carried out yet are withdrawn, so a command that undoes a step has to cope with a step that was not
    /// done. A command to another service cannot be withdrawn. If it has the key of the command that undoes it, it
    /// arrives before.
    pub fn compensate(mut self) -> Self {
        self.outputs.push(Output::Compensate);
        self
    }
    fn outgoing<C: RemoteCommand>(&mut self, command: &C) -> Option<OutgoingMessage> {
        match outgoing_command(command) {
            Ok(message) => Some(message),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }
    fn encoded<C: Schedulable>(&mut self, command: &C) -> Option<EncodedCommand> {
        let body = codec::encode_marked(command, C::PERSONAL).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| Fault::internal("a command is no text").because(error))
        });
        match body {
            Ok(body) => Some(EncodedCommand { name: <C as Message>::NAME, body }),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }
    /// Returns the reaction without the type of the process.
    pub(crate) fn erase(self) -> Result<Reacted, SubscriberError> {
        if let Some(fault) = self.fault {
            return Err(SubscriberError::Failed(fault.into()));
        }
        let next = match self.next {
            Next::Same => NextState::Same,
            Next::To(state) => NextState::Entered(state.state(), to_value(&state)?),
            Next::End => NextState::End,
        };
        Ok(Reacted { next, outputs: self.outputs })
    }
}
impl<P: Process> fmt::Debug for Reaction<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = match &self.next {
            Next::Same => "the same state",
            Next::To(state) => state.state(),
            Next::End => "the end",
        };
        write!(f, "Reaction({}: {next}, {} outputs)", P::NAME, self.outputs.len())
    }
}
