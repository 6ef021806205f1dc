//! Process managers: their definitions and pictures, and the handle with which an operator lists, retries and cancels instances.
use crate::{
    Timestamp,
    aggregate::unit_of_work::UnitOfWork,
    app::App,
    codec,
    error::Fault,
    event::{Entry, NewEntry, stream_of},
    metadata::Metadata,
    process::{Instance, Status, TimerNames, Trigger, act, find, picture, stage},
    registry::{NextState, Output, ProcessDefinition, ProcessFunction, Reacted, Registration, Role, Unexpected},
    storage::{CommitError, Firing, ReadLimit, TimerPage, TimerState},
};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The number of times that an operator's act is tried again because the instance was changed meanwhile.
const ATTEMPTS: u32 = 8;
/// The number of failed timers in one read.
const PAGE: usize = 500;

impl App {
    /// Returns the process managers of this service, for operators.
    pub fn processes(&self) -> Processes {
        Processes { app: self.clone() }
    }
    /// Returns the definition of each process of this app.
    pub(crate) fn process_definitions(&self) -> impl Iterator<Item = ProcessDefinition> {
        let functions = self.subscribers().filter_map(|subscriber| Some((subscriber.group, subscriber.process?)));
        let by_name: BTreeMap<_, _> = functions.collect();
        by_name.into_values().map(|function| (function.definition)())
    }
    fn process_definition(&self, name: &str) -> Option<ProcessDefinition> {
        self.process_definitions().find(|definition| definition.name == name)
    }
}

/// The process managers of a service, for operators. Each act on an instance is an event in the log.
#[derive(Debug, Clone)]
pub struct Processes {
    app: App,
}

/// An instance of a process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProcessInstance {
    /// The name of the process.
    pub process: String,
    /// The key of the instance.
    pub key: String,
    /// The status: it runs, has ended, or was cancelled.
    pub status: Status,
    /// The name of the state; the last one for an instance that has ended.
    pub state: String,
    /// The time since which it is in the state, or has ended, by the clock of the process that decided it.
    pub since: Timestamp,
    /// The number of reactions so far.
    pub steps: u64,
    /// The names of the commands that would undo its steps, in the order of the steps.
    pub undo: Vec<String>,
    /// The version of the form of the state.
    pub version: u32,
    /// Set if the instance has been in its state for longer than the deadline: something holds it up, or the reaction to the deadline
    /// stays in the state.
    pub is_overdue: bool,
}

/// An instance with its state and its history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ShownInstance {
    /// The instance.
    pub instance: ProcessInstance,
    /// The stored state, which may hold personal data.
    pub value: Value,
    /// The commands of the instance that cannot be handled, by the names of their timers, each with the error.
    pub failed: Vec<(String, String)>,
    /// The last changes, as events of the log.
    pub history: Vec<Entry>,
}

impl Processes {
    /// Returns the names of the processes.
    pub fn names(&self) -> Vec<&'static str> {
        self.app.process_definitions().map(|definition| definition.name).collect()
    }
    /// Returns the state diagram of a process as Mermaid text, or `None` if there is no such process.
    pub fn picture(&self, process: &str) -> Option<String> {
        let definition = self.app.process_definition(process)?;
        let of_process = self.app.subscribers().filter(|subscriber| subscriber.group == process);
        let functions: Vec<_> = of_process
            .filter_map(|subscriber| Some((subscriber.source.names().to_vec(), subscriber.process?)))
            .collect();
        Some(picture(&definition, &functions))
    }
    /// Returns up to `limit` instances of a process with keys after one, in the order of their keys. Ended ones are included.
    ///
    /// # Errors
    /// Fails when the database cannot be read, and as invalid if there is no such process.
    pub async fn list(&self, process: &str, after: Option<&str>, limit: usize) -> Result<Vec<ProcessInstance>, Fault> {
        let definition = self.definition(process)?;
        let rows = self.app.storage().rows_after(definition.kind, after, limit).await?;
        let instance = |(key, row): (String, crate::storage::StoredRow)| {
            let instance: Instance = serde_json::from_slice(&row.state?).ok()?;
            Some(self.shown(&definition, key, &instance))
        };
        Ok(rows.into_iter().filter_map(instance).collect())
    }
    /// Returns an instance with its state and its last `limit` changes.
    ///
    /// # Errors
    /// Fails when the database cannot be read, and as invalid if there is no such process.
    pub async fn show(&self, process: &str, key: &str, limit: usize) -> Result<Option<ShownInstance>, Fault> {
        let definition = self.definition(process)?;
        let (_, Some(instance)) = find(&self.app.runtime, &definition, key).await? else { return Ok(None) };
        let stream = stream_of(definition.kind, key);
        let after = instance.steps.saturating_sub(limit as u64);
        let history = self.app.storage().stream_page(&stream, after, ReadLimit::entries(limit)).await?;
        let failed = self.failed(&definition, key).await?;
        let value = codec::decode_value(instance.value.clone())?;
        Ok(Some(ShownInstance { instance: self.shown(&definition, key.to_owned(), &instance), value, failed, history }))
    }
    /// Lets the commands of an instance that could not be handled be tried again, and its deadline. Returns how many there were.
    /// A message that could not be handled is redelivered with the [parked ones](App::parked) of the group.
    ///
    /// # Errors
    /// Fails when the database fails, and as invalid if there is no such process.
    pub async fn retry(&self, process: &str, key: &str, by: &Metadata) -> Result<usize, Fault> {
        let definition = self.definition(process)?;
        let mut retried = 0;
        for (name, _) in self.failed(&definition, key).await? {
            retried += usize::from(self.app.timers().retry(&name, by).await?);
        }
        Ok(retried)
    }
    /// Ends an instance, and undoes its steps if `compensate` is set. Its deadline and its later commands are cancelled. Commands that it
    /// has sent are carried out, unless they are withdrawn by the compensation. Returns `false` if there is no such instance, or if it has ended. It appends the event
    /// `process.cancelled`.
    ///
    /// # Errors
    /// Fails when the database fails, and as invalid if there is no such process.
    pub async fn cancel(
        &self,
        process: &str,
        key: &str,
        compensate: bool,
        why: &str,
        by: &Metadata,
    ) -> Result<bool, Fault> {
        let (definition, runtime) = (self.definition(process)?, &self.app.runtime);
        for _ in 0..ATTEMPTS {
            let (version, found) = find(runtime, &definition, key).await?;
            let is_running = |instance: &&Instance| instance.status == Status::Running;
            let Some(instance) = found.as_ref().filter(is_running) else { return Ok(false) };
            let outputs = if compensate { vec![Output::Compensate] } else { Vec::new() };
            let reacted = Reacted { next: NextState::End, outputs };
            let trigger = Trigger { cause: "operator", now: runtime.environment.now() };
            let change = act(&definition, Some(instance), reacted, trigger, Status::Cancelled);
            let unit = UnitOfWork::of_command("processes cancel", None);
            stage(runtime, &unit, &definition, key, version, change)?;
            let mut batch = unit.take(&*runtime.environment, &runtime.service, by, true)?;
            batch.events.push(self.cancelled(&definition, key, instance, why, by)?);
            match runtime.storage.commit(batch).await {
                Ok(_) => {
                    runtime.timers_set.notify_one();
                    return Ok(true);
                }
                Err(CommitError::Conflict { .. }) => (),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(refused) => return Err(Fault::internal("the end of an instance was refused").because(refused)),
            }
        }
        Err(Fault::unavailable(format!("instance {key} of process {process} changes all the time: try again")))
    }
    fn definition(&self, process: &str) -> Result<ProcessDefinition, Fault> {
        let known = || self.names().join(", ");
        let unknown = || Fault::invalid(format!("there is no process `{process}`; there are: {}", known()));
        self.app.process_definition(process).ok_or_else(unknown)
    }
    fn shown(&self, definition: &ProcessDefinition, key: String, instance: &Instance) -> ProcessInstance {
        let declared = definition.states.iter().find(|state| state.name == instance.state);
        let deadline = declared.and_then(|state| state.deadline).filter(|_| instance.status == Status::Running);
        let passed = (self.app.runtime.environment.now() - instance.since).to_std().unwrap_or_default();
        ProcessInstance {
            process: definition.name.to_owned(),
            key,
            status: instance.status,
            state: instance.state.clone(),
            since: instance.since,
            steps: instance.steps,
            undo: instance.undo.iter().map(|undo| undo.command.clone()).collect(),
            version: instance.version,
            is_overdue: deadline.is_some_and(|deadline| passed > deadline),
        }
    }
    /// Returns the timers of an instance that have failed, each with its error.
    async fn failed(&self, definition: &ProcessDefinition, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let names = TimerNames::of(definition.name, key);
        let deadline = names.deadline();
        let (mut failed, mut after): (_, Option<Firing>) = (Vec::new(), None);
        loop {
            let page = TimerPage { state: TimerState::Failed, name: None, after, limit: PAGE };
            let timers = self.app.storage().timers(&page).await?;
            let is_full = timers.len() == PAGE;
            after = timers.last().map(|timer| timer.firing());
            let of_instance = timers.into_iter().filter(|timer| timer.key == names.line() || timer.key == deadline);
            failed.extend(of_instance.map(|timer| (timer.name, timer.error.unwrap_or_default())));
            if !is_full {
                return Ok(failed);
            }
        }
    }
    /// Creates the event of a cancellation, schema version 1.
    fn cancelled(
        &self,
        definition: &ProcessDefinition,
        key: &str,
        instance: &Instance,
        why: &str,
        by: &Metadata,
    ) -> Result<NewEntry, Fault> {
        let environment = &self.app.runtime.environment;
        let id = environment.id();
        let mut metadata = by.clone();
        metadata.correlation.get_or_insert(id);
        let payload = serde_json::json!({
            "process": definition.name, "key": key, "state": instance.state, "step": instance.steps, "why": why,
        });
        Ok(NewEntry {
            // Each act has its own stream, so that two operators never conflict.
            stream: format!("process-{id}"),
            version: 1,
            id,
            name: "process.cancelled",
            schema: 1,
            payload: serde_json::to_vec(&payload)?,
            metadata,
            occurred_at: environment.now(),
            outgoing: None,
        })
    }
}

/// Finds processes whose declarations do not fit together, and steps whose handlers were not discovered.
pub(super) fn problems(registrations: &[&'static Registration]) -> Vec<String> {
    let mut functions: BTreeMap<&str, Vec<(&str, ProcessFunction)>> = BTreeMap::new();
    for registration in registrations {
        if let Role::Subscriber(subscriber) = &registration.role
            && let Some(process) = subscriber.process
        {
            functions.entry(subscriber.group).or_default().push((registration.function, process));
        }
    }
    let is_discovered =
        |wanted: &'static Registration| registrations.iter().any(|registration| std::ptr::eq(*registration, wanted));
    let mut problems = Vec::new();
    for (name, functions) in functions {
        let definitions: Vec<_> = functions.iter().map(|(_, function)| (function.definition)()).collect();
        let Some(definition) = definitions.first() else { continue };
        if definitions.iter().any(|other| (other.type_id)() != (definition.type_id)()) {
            problems.push(format!("two processes are named `{name}`"));
            continue;
        }
        if functions.iter().all(|(_, function)| function.unexpected != Unexpected::Starts) {
            problems
                .push(format!("no function of process `{name}` starts an instance: write `unexpected = \"starts\"`"));
        }
        let states: BTreeSet<_> = definition.states.iter().map(|state| state.name).collect();
        for (function, declared) in &functions {
            let named = declared.when.iter().chain(declared.then.iter().filter(|then| **then != "end"));
            for state in named.filter(|state| !states.contains(*state)) {
                problems.push(format!(
                    "function `{function}` of process `{name}` names the state `{state}`, which it has not"
                ));
            }
        }
        for step in &definition.steps {
            let undo = step.undo.iter().map(|(undo, handler)| (*undo, *handler));
            for (command, handler) in std::iter::once((step.name, step.command)).chain(undo) {
                if !is_discovered(handler()) {
                    problems.push(format!("process `{name}` sends `{command}`, whose handler is not discovered"));
                }
            }
        }
    }
    problems
}
