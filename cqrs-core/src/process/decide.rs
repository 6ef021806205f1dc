//! The decision of a process, without any I/O: the instance after a reaction, and the timers to change.
use super::instance::{Instance, Status, Undo};
use crate::{
    Timestamp,
    consumer::{LeftToNewerProgram, parking::permanent},
    error::BoxError,
    event::{OutgoingMessage, RawEvent},
    registry::{NextState, Output, ProcessDefinition, ProcessFunction, Reacted, SubscriberError, Unexpected},
    storage::DueTime,
};
use std::time::Duration;

/// The number of sent commands that an instance remembers, to withdraw those that were not carried out when it compensates.
const MOST_SENT: usize = 100;

/// The cause of a reaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trigger<'a> {
    /// The name of the event, or `deadline`.
    pub(crate) cause: &'a str,
    /// The time of the process that decides.
    pub(crate) now: Timestamp,
}

/// The instance after a reaction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) instance: Instance,
    /// The name of the state before; empty for a new instance.
    pub(crate) from: String,
    pub(crate) cause: String,
    /// The commands of earlier reactions that are not to be carried out any more, if they were not yet.
    pub(crate) withdrawn: Vec<(u64, usize)>,
    /// The commands to send now, in order.
    pub(crate) sent: Vec<SentCommand>,
    /// The commands to other services, in order.
    pub(crate) remote: Vec<OutgoingMessage>,
    /// The later commands to set or to cancel, by their names.
    pub(crate) timers: Vec<(String, Option<(DueTime, SentCommand)>)>,
    /// The deadline to set or to cancel; `None` if it stays as it is.
    pub(crate) deadline: Option<Option<Duration>>,
}
/// A command to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentCommand {
    pub(crate) command: String,
    pub(crate) body: String,
}

/// The error of an event for an instance that does not exist, or that is in another state.
#[derive(Debug, thiserror::Error)]
#[error("process {process} has no instance with this key in one of the states {when}; it is {found}")]
struct UnexpectedEvent {
    process: &'static str,
    when: String,
    found: String,
}
/// The error of a reaction to a state that its function does not declare.
#[derive(Debug, thiserror::Error)]
#[error("a function of process {process} has returned `{to}`, which is not one of its `then`: {then}")]
struct UndeclaredState {
    process: &'static str,
    to: String,
    then: String,
}
fn refused(error: impl Into<BoxError>) -> SubscriberError {
    SubscriberError::Failed(permanent(error))
}

/// Decides the reaction to an event. `None` changes nothing.
pub(crate) fn decide(
    definition: &ProcessDefinition,
    function: &ProcessFunction,
    raw: &RawEvent,
    found: Option<&Instance>,
    trigger: Trigger<'_>,
) -> Result<Option<Change>, SubscriberError> {
    if let Some(instance) = found.filter(|instance| instance.version > definition.version) {
        return Err(newer(definition, instance));
    }
    let running = match found {
        Some(instance) if instance.status != Status::Running => return Ok(None),
        running => running,
    };
    let reacted = match (function.unexpected, running) {
        (Unexpected::Starts, Some(_)) => return Ok(None),
        (Unexpected::Starts, None) => (function.react)(raw, None)?,
        (_, Some(instance)) if function.when.contains(&&*instance.state) => {
            (function.react)(raw, Some(instance.value.clone()))?
        }
        (Unexpected::Ignored, _) => return Ok(None),
        (Unexpected::Error, other) => {
            let found = other.map_or_else(|| "absent".to_owned(), |instance| format!("in {}", instance.state));
            let when = function.when.join(", ");
            return Err(refused(UnexpectedEvent { process: definition.name, when, found }));
        }
    };
    let to = match &reacted.next {
        NextState::Same => None,
        NextState::Entered(state, _) => Some(*state),
        NextState::End => Some("end"),
    };
    if let Some(to) = to.filter(|to| !function.then.contains(to)) {
        let (to, then) = (to.to_owned(), function.then.join(", "));
        return Err(refused(UndeclaredState { process: definition.name, to, then }));
    }
    let changes_nothing = matches!(reacted.next, NextState::Same) && (reacted.outputs.is_empty() || running.is_none());
    Ok((!changes_nothing).then(|| act(definition, running, reacted, trigger, Status::Ended)))
}
/// Decides the reaction to the deadline of a running instance. If it stays in its state, the deadline begins anew, so that no
/// instance waits without one.
pub(crate) fn expired(
    definition: &ProcessDefinition,
    instance: &Instance,
    now: Timestamp,
) -> Result<Change, SubscriberError> {
    let reacted = (definition.expire)(instance.value.clone())?;
    let stays = matches!(reacted.next, NextState::Same);
    let trigger = Trigger { cause: "deadline", now };
    let mut change = act(definition, Some(instance), reacted, trigger, Status::Ended);
    if stays {
        change.deadline = Some(declared_deadline(definition, &instance.state));
    }
    Ok(change)
}
/// Returns the longest time in a state, or `None` if it may be for ever.
fn declared_deadline(definition: &ProcessDefinition, state: &str) -> Option<Duration> {
    definition.states.iter().find(|declared| declared.name == state).and_then(|declared| declared.deadline)
}
/// Returns the error of an instance that a newer program has written.
pub(super) fn newer(definition: &ProcessDefinition, instance: &Instance) -> SubscriberError {
    let (name, stored, known) = (definition.name, instance.version, definition.version);
    tracing::debug!(process = name, stored, known, "the instance has the state of a newer program");
    SubscriberError::Failed(LeftToNewerProgram.into())
}

/// Applies a reaction to an instance, or to a new one.
pub(crate) fn act(
    definition: &ProcessDefinition,
    found: Option<&Instance>,
    reacted: Reacted,
    trigger: Trigger<'_>,
    at_end: Status,
) -> Change {
    let Reacted { next, outputs } = reacted;
    let steps = found.map_or(0, |instance| instance.steps) + 1;
    let mut instance = found.cloned().unwrap_or_else(|| Instance {
        version: definition.version,
        status: Status::Running,
        state: String::new(),
        value: serde_json::Value::Null,
        entered: steps,
        since: trigger.now,
        steps,
        undo: Vec::new(),
        sent: Vec::new(),
        timers: Default::default(),
    });
    (instance.version, instance.steps) = (definition.version, steps);
    let from = instance.state.clone();
    let (mut sent, mut remote, mut timers, mut withdrawn) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Send(command, undo) => {
                sent.push(SentCommand { command: command.name.to_owned(), body: command.body });
                let undo = undo.map(|undo| Undo { command: undo.name.to_owned(), body: undo.body, remote: None });
                instance.undo.extend(undo);
            }
            Output::SendRemote(command, undo) => {
                remote.push(command);
                instance.undo.extend(undo.map(Undo::remote));
            }
            Output::Schedule(name, due, command) => {
                instance.timers.insert(name.clone());
                let command = SentCommand { command: command.name.to_owned(), body: command.body };
                timers.push((name, Some((due, command))));
            }
            Output::Cancel(name) => {
                instance.timers.remove(&name);
                timers.push((name, None));
            }
            Output::Compensate => {
                // A command that cannot be handled would hold up those that undo the others.
                withdrawn.append(&mut instance.sent);
                for Undo { command, body, remote: to_other } in instance.undo.drain(..).rev() {
                    match to_other {
                        Some(to_other) => remote.push(to_other.message(command, body)),
                        None => sent.push(SentCommand { command, body }),
                    }
                }
            }
        }
    }
    let deadline = match next {
        NextState::Same => None,
        NextState::Entered(state, value) => {
            (instance.state, instance.value) = (state.to_owned(), value);
            (instance.entered, instance.since) = (steps, trigger.now);
            Some(declared_deadline(definition, state))
        }
        NextState::End => {
            instance.status = at_end;
            instance.since = trigger.now;
            // A later command that this reaction has set is cancelled, too.
            timers.retain(|(_, timer)| timer.is_none());
            timers.extend(std::mem::take(&mut instance.timers).into_iter().map(|name| (name, None)));
            Some(None)
        }
    };
    instance.sent.extend((0..sent.len()).map(|number| (steps, number)));
    let surplus = instance.sent.len().saturating_sub(MOST_SENT);
    instance.sent.drain(..surplus);
    Change { instance, from, cause: trigger.cause.to_owned(), withdrawn, sent, remote, timers, deadline }
}
