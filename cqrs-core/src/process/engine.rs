//! Runs a process: loads the instance, decides, and stages the change in the unit of work of the message or of the deadline.
use super::{
    decide::{Change, SentCommand, Trigger, decide, expired, newer},
    instance::{Instance, Status},
    timer_names::TimerNames,
};
use crate::{
    aggregate::unit_of_work::UnitOfWork,
    command::end_timer,
    context::Context,
    error::Fault,
    event::RawEvent,
    metadata::Metadata,
    registry::{ProcessDefinition, ProcessFunction, StoredCommandError, SubscriberError},
    runtime::Runtime,
    storage::{CommitError, DueTime, NewTimer, Row, StoredRow, TimerChange},
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// The name of the command with which the timer of a deadline is stored. No type of an application has it, since it has a dot.
pub(crate) const DEADLINE: &str = "cqrs.process-deadline";
/// The number of attempts of a deadline when events change the same instance.
const ATTEMPTS: u32 = 16;

/// The content of a deadline's timer.
#[derive(Debug, Serialize, Deserialize)]
struct Deadline {
    process: String,
    key: String,
    /// The number of the reaction that has entered the state. The deadline of a state that was left means nothing.
    entered: u64,
}
/// Returns the name of the process of a deadline.
pub(crate) fn deadline_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Deadline>(body).ok().map(|deadline| deadline.process)
}

/// The payload of the event that notes a change of an instance.
#[derive(Serialize)]
struct Moved<'a> {
    process: &'a str,
    key: &'a str,
    step: u64,
    from: &'a str,
    to: &'a str,
    cause: &'a str,
    status: Status,
    sent: Vec<&'a str>,
}

/// Handles an event with one function of a process. The unit of work is that of the message.
pub(crate) fn react<'a>(
    context: &'a Context<'a>,
    raw: RawEvent,
    function: ProcessFunction,
) -> BoxFuture<'a, Result<(), SubscriberError>> {
    Box::pin(async move {
        let (runtime, definition) = (context.runtime, (function.definition)());
        let unit = context.unit.ok_or_else(|| failed(Fault::internal("a process handles a message")))?;
        let key = (function.key)(&raw)?;
        let loaded = find(runtime, &definition, &key).await.map_err(|fault| failed(unit.failed(fault)))?;
        let trigger = Trigger { cause: &raw.name, now: runtime.environment.now() };
        if let Some(change) = decide(&definition, &function, &raw, loaded.1.as_ref(), trigger)? {
            stage(runtime, unit, &definition, &key, loaded.0, change).map_err(failed)?;
        }
        Ok(())
    })
}
fn failed(fault: Fault) -> SubscriberError {
    SubscriberError::Failed(fault.into())
}

/// Loads an instance with the version of its row.
pub(crate) async fn find(
    runtime: &Runtime,
    definition: &ProcessDefinition,
    key: &str,
) -> Result<(u64, Option<Instance>), Fault> {
    let StoredRow { version, state } = runtime.storage.row(definition.kind, key, None).await?.found;
    let unreadable = |_| Fault::internal(format!("an instance of process {} cannot be decoded", definition.name));
    let instance = state.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(unreadable)?;
    Ok((version, instance))
}

/// Stages a change of an instance: its row, the event that notes it, its commands and its timers.
pub(crate) fn stage(
    runtime: &Runtime,
    unit: &UnitOfWork,
    definition: &ProcessDefinition,
    key: &str,
    version: u64,
    change: Change,
) -> Result<(), Fault> {
    let Change { instance, from, cause, withdrawn, sent, remote, timers, deadline } = change;
    let names = TimerNames::of(definition.name, key);
    let set = |name: String, of_key: &str, due: DueTime, SentCommand { command, body }: SentCommand| {
        let (id, set_by) = (runtime.environment.id(), definition.name.to_owned());
        let (key, body, metadata) = (of_key.to_owned(), body.into_bytes(), Metadata::NONE);
        let new = NewTimer { id, due, key, command, body, metadata, calendar: None, set_by };
        unit.change_timer(name, TimerChange::Set(new));
    };
    let payload = Moved {
        process: definition.name,
        key,
        step: instance.steps,
        from: &from,
        to: if instance.status == Status::Running { &instance.state } else { "end" },
        cause: &cause,
        status: instance.status,
        sent: sent.iter().map(|sent| &*sent.command).chain(remote.iter().map(|sent| &*sent.name)).collect(),
    };
    let payload = serde_json::to_vec(&payload)?;
    for (step, number) in withdrawn {
        unit.change_timer(names.command(step, number), TimerChange::Remove);
    }
    // The commands of one reaction are due at one time, and are in the order of their ids.
    for (number, command) in sent.into_iter().enumerate() {
        set(names.command(instance.steps, number), names.line(), DueTime::After(Duration::ZERO), command);
    }
    remote.into_iter().for_each(|command| unit.send_remote(command));
    for (name, timer) in timers {
        match timer {
            Some((due, command)) => set(names.later(&name), names.line(), due, command),
            None => unit.change_timer(names.later(&name), TimerChange::Remove),
        }
    }
    match deadline {
        None => (),
        Some(None) => unit.change_timer(names.deadline(), TimerChange::Remove),
        Some(Some(wait)) => {
            let (process, key) = (definition.name.to_owned(), key.to_owned());
            let body = serde_json::to_string(&Deadline { process, key, entered: instance.entered })?;
            let command = SentCommand { command: DEADLINE.to_owned(), body };
            set(names.deadline(), &names.deadline(), DueTime::After(wait), command);
        }
    }
    let (state, id) = (Some(serde_json::to_vec(&instance)?), key.to_owned());
    unit.move_process(Row { kind: definition.kind, id, expected: version, version: version + 1, state }, payload);
    Ok(())
}

/// Reacts to the deadline of an instance, and ends its timer in the same batch.
pub(crate) async fn expire(
    runtime: &Arc<Runtime>,
    definition: &ProcessDefinition,
    body: &[u8],
    metadata: &Metadata,
) -> Result<(), StoredCommandError> {
    let deadline: Deadline = serde_json::from_slice(body)
        .map_err(|_| StoredCommandError::Unreadable("the deadline of a process cannot be decoded".into()))?;
    for _ in 0..ATTEMPTS {
        let unit = UnitOfWork::of_command(DEADLINE, None);
        let (version, found) = find(runtime, definition, &deadline.key).await.map_err(fault)?;
        if let Some(instance) = found.as_ref().filter(|instance| instance.version > definition.version) {
            return Err(StoredCommandError::Failed(newer(definition, instance).into()));
        }
        let is_current =
            |instance: &&Instance| instance.status == Status::Running && instance.entered == deadline.entered;
        if let Some(instance) = found.as_ref().filter(is_current) {
            let change = expired(definition, instance, runtime.environment.now());
            let change = change.map_err(|error| StoredCommandError::Failed(error.into()))?;
            stage(runtime, &unit, definition, &deadline.key, version, change).map_err(fault)?;
        }
        let mut batch = unit.take(&*runtime.environment, &runtime.service, metadata, true).map_err(fault)?;
        let sets_timers = batch.sets_timers();
        end_timer(&mut batch, metadata);
        match runtime.storage.commit(batch).await {
            Ok(_) => {
                if sets_timers {
                    runtime.timers_set.notify_one();
                }
                return Ok(());
            }
            Err(CommitError::Conflict { .. }) => (),
            Err(CommitError::Moved(_)) => return Err(StoredCommandError::Gone),
            Err(CommitError::Fault(error)) => return Err(fault(error)),
            Err(refused) => return Err(StoredCommandError::Failed(refused.into())),
        }
    }
    Err(StoredCommandError::Transient("events change the instance all the time".into()))
}
fn fault(fault: Fault) -> StoredCommandError {
    match fault.is_transient() {
        true => StoredCommandError::Transient(fault.into()),
        false => StoredCommandError::Failed(fault.into()),
    }
}
