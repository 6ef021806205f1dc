//! Given-when-then tests of a process manager, with time and without an app.
use crate::{
    Timestamp, codec,
    error::describe,
    event::{
        AggregateEvent, IntegrationEvent, OutgoingMessage, RawEvent, RemoteCommand, Source, outgoing_command, stream_of,
    },
    message::Message,
    metadata::Metadata,
    process::{Change, Instance, Process, SentCommand, Status, Trigger, decide, definition, expired},
    registry::{ProcessDefinition, ProcessFunction, Registered, Role},
    schedule::Schedulable,
    storage::DueTime,
};
use chrono::TimeDelta;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::{self, Debug},
    marker::PhantomData,
    time::Duration,
};
use uuid::Uuid;

/// Starts a test of a process manager: given past events, when another event follows or time passes, then it sends these commands
/// and is in this state.
///
/// All functions of the process in the test program run as they run in a service: events are encoded and decoded, and an event for
/// an instance that does not exist has its declared meaning. Deadlines and later commands go by the time of the test. Nothing is
/// sent.
///
/// # Panics
/// Panics if the program has no function of the process.
#[track_caller]
pub fn process_of<P: Process>() -> ProcessTest<P> {
    let functions = inventory::iter::<Registered>.into_iter().filter_map(|Registered(registration)| {
        let Role::Subscriber(subscriber) = &registration.role else { return None };
        (subscriber.group == P::NAME).then_some((subscriber.source, subscriber.process?))
    });
    let functions: Vec<_> = functions.collect();
    assert!(!functions.is_empty(), "this program has no function of process {}", P::NAME);
    ProcessTest {
        definition: definition::<P>(),
        functions,
        now: Timestamp::UNIX_EPOCH,
        events: 0,
        versions: HashMap::new(),
        instances: BTreeMap::new(),
        timers: BTreeMap::new(),
        of: PhantomData,
    }
}

/// A timer of an instance: its deadline, or a later command under its name.
type TimerOf = (String, Option<String>);

/// A process under test, after the events of the past.
#[must_use = "continue with `when`"]
pub struct ProcessTest<P> {
    definition: ProcessDefinition,
    functions: Vec<(Source, ProcessFunction)>,
    now: Timestamp,
    /// The number of events so far.
    events: u64,
    versions: HashMap<String, u64>,
    instances: BTreeMap<String, Instance>,
    /// The timers with their times, and the command of a later one.
    timers: BTreeMap<TimerOf, (Timestamp, Option<SentCommand>)>,
    of: PhantomData<fn() -> P>,
}
impl<P: Process> ProcessTest<P> {
    /// Applies an event of the past, of the aggregate with this id.
    ///
    /// # Panics
    /// Panics if no function of the process handles the event, or if it is refused.
    #[track_caller]
    pub fn given<E: AggregateEvent>(self, id: E::Id, event: E) -> Self {
        self.when(id, event).accepted()
    }
    /// Applies an integration event of the past.
    ///
    /// # Panics
    /// Panics if no function of the process handles the event, or if it is refused.
    #[track_caller]
    pub fn given_message<E: IntegrationEvent>(self, event: &E) -> Self {
        self.when_message(event).accepted()
    }
    /// Lets time of the past go by, with the deadlines and later commands in it.
    ///
    /// # Panics
    /// Panics if a deadline fails.
    #[track_caller]
    pub fn given_time(self, time: Duration) -> Self {
        self.when_time_passes(time).accepted()
    }
    /// Applies the event under test, of the aggregate with this id.
    ///
    /// # Panics
    /// Panics if no function of the process handles the event.
    #[track_caller]
    #[must_use = "check the result"]
    pub fn when<E: AggregateEvent>(mut self, id: E::Id, event: E) -> ProcessTested<P> {
        let bytes = codec::encode(&event).unwrap_or_else(|error| panic!("the event cannot be stored: {error}"));
        let raw = self.raw(stream_of(E::AGGREGATE, &id), event.name(), E::VERSION, None, bytes);
        self.apply(&raw, |source| matches!(source, Source::Log(_)))
    }
    /// Applies the integration event under test.
    ///
    /// # Panics
    /// Panics if no function of the process handles the event.
    #[track_caller]
    #[must_use = "check the result"]
    pub fn when_message<E: IntegrationEvent>(mut self, event: &E) -> ProcessTested<P> {
        let bytes = event.encode().unwrap_or_else(|error| panic!("the event cannot be encoded: {error}"));
        let raw = self.raw(event.key(), E::NAME, 1, Some(E::CONTENT_TYPE.to_owned()), bytes);
        self.apply(&raw, |source| source.topic() == Some(E::TOPIC))
    }
    /// Lets time go by. Deadlines are reacted to and later commands are sent in the order of their times.
    #[must_use = "check the result"]
    pub fn when_time_passes(mut self, time: Duration) -> ProcessTested<P> {
        let end = self.now + TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let (mut sent, mut remote, mut refused) = (VecDeque::new(), VecDeque::new(), None);
        loop {
            let due = self.timers.iter().filter(|(_, (due, _))| *due <= end);
            let Some((timer, due)) =
                due.min_by_key(|(_, (due, _))| *due).map(|(timer, (due, _))| (timer.clone(), *due))
            else {
                break;
            };
            self.now = due.max(self.now);
            let command = self.timers.remove(&timer).and_then(|(_, command)| command);
            if let Some(command) = command {
                sent.push_back(command);
                continue;
            }
            let Some(instance) = self.instances.get(&timer.0).cloned() else { continue };
            match expired(&self.definition, &instance, self.now) {
                Ok(change) => {
                    remote.extend(change.remote.iter().cloned());
                    sent.extend(self.change(timer.0, change));
                }
                Err(error) => refused = Some(describe(&error)),
            }
        }
        self.now = end;
        ProcessTested { after: self, sent, remote, refused, is_changed: true }
    }
    fn raw(
        &mut self,
        stream: String,
        name: &str,
        schema: u32,
        content_type: Option<String>,
        bytes: Vec<u8>,
    ) -> RawEvent {
        self.events += 1;
        let version = self.versions.entry(stream.clone()).or_default();
        *version += 1;
        let (id, version, name) = (Uuid::from_u128(self.events.into()), *version, name.to_owned());
        let metadata = Metadata::default();
        RawEvent { id, stream, version, occurred_at: self.now, metadata, name, schema, content_type, bytes }
    }
    #[track_caller]
    fn apply(mut self, raw: &RawEvent, is_source: impl Fn(&Source) -> bool) -> ProcessTested<P> {
        let function = self.functions.iter().find(|(source, _)| is_source(source) && source.handles(&raw.name));
        let Some((_, function)) = function.copied() else {
            panic!("no function of process {} handles the event {}", P::NAME, raw.name);
        };
        let key = (function.key)(raw).unwrap_or_else(|error| panic!("{}", describe(&error)));
        let trigger = Trigger { cause: &raw.name, now: self.now };
        match decide(&self.definition, &function, raw, self.instances.get(&key), trigger) {
            Ok(Some(change)) => {
                let remote = change.remote.iter().cloned().collect();
                let sent = self.change(key, change);
                ProcessTested { after: self, sent, remote, refused: None, is_changed: true }
            }
            Ok(None) => {
                let (sent, remote) = (VecDeque::new(), VecDeque::new());
                ProcessTested { after: self, sent, remote, refused: None, is_changed: false }
            }
            Err(error) => {
                let (sent, remote, refused) = (VecDeque::new(), VecDeque::new(), Some(describe(&error)));
                ProcessTested { after: self, sent, remote, refused, is_changed: false }
            }
        }
    }
    /// Applies a change, and returns the commands that are sent now.
    fn change(&mut self, key: String, change: Change) -> VecDeque<SentCommand> {
        let Change { instance, sent, timers, deadline, .. } = change;
        let after = |wait: Duration| self.now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
        for (name, timer) in timers {
            let place = (key.clone(), Some(name));
            match timer {
                Some((DueTime::After(wait), command)) => {
                    drop(self.timers.insert(place, (after(wait), Some(command))));
                }
                Some((DueTime::At(at), command)) => drop(self.timers.insert(place, (at, Some(command)))),
                None => drop(self.timers.remove(&place)),
            }
        }
        let place = (key.clone(), None);
        match deadline {
            None => (),
            Some(None) => drop(self.timers.remove(&place)),
            Some(Some(wait)) => drop(self.timers.insert(place, (after(wait), None))),
        }
        self.instances.insert(key, instance);
        sent.into()
    }
}

/// A process after the event under test.
pub struct ProcessTested<P> {
    after: ProcessTest<P>,
    /// The commands that were not checked yet.
    sent: VecDeque<SentCommand>,
    /// The commands to other services that were not checked yet.
    remote: VecDeque<OutgoingMessage>,
    refused: Option<String>,
    is_changed: bool,
}
impl<P: Process> ProcessTested<P> {
    #[track_caller]
    fn accepted(self) -> ProcessTest<P> {
        assert_eq!(self.refused, None, "an event of the past is refused by process {}", P::NAME);
        self.after
    }
    /// Checks that this command is sent next.
    ///
    /// # Panics
    /// Panics if another one is sent, or none.
    #[track_caller]
    pub fn then_sends<C: Schedulable>(mut self, command: C) -> Self {
        let body = codec::encode_marked(&command, C::PERSONAL)
            .unwrap_or_else(|error| panic!("the command cannot be stored: {error}"));
        let body = String::from_utf8_lossy(&body).into_owned();
        let expected = SentCommand { command: <C as Message>::NAME.to_owned(), body };
        let refused = self.refused.clone().map(|error| format!("; the event was refused: {error}")).unwrap_or_default();
        assert_eq!(self.sent.pop_front(), Some(expected), "the next command of process {}{refused}", P::NAME);
        self
    }
    /// Checks that this command is sent next to another service.
    ///
    /// # Panics
    /// Panics if another one is sent, or none.
    #[track_caller]
    pub fn then_sends_remote<C: RemoteCommand>(mut self, command: C) -> Self {
        let expected = outgoing_command(&command).unwrap_or_else(|error| panic!("the command cannot be sent: {error}"));
        let refused = self.refused.clone().map(|error| format!("; the event was refused: {error}")).unwrap_or_default();
        let next = "the next command to another service of process";
        assert_eq!(self.remote.pop_front(), Some(expected), "{next} {}{refused}", P::NAME);
        self
    }
    /// Checks that no further command is sent, here or to another service.
    ///
    /// # Panics
    /// Panics if one is sent.
    #[track_caller]
    pub fn then_sends_nothing(self) -> Self {
        assert!(self.sent.is_empty(), "process {} sends further commands: {:?}", P::NAME, self.sent);
        assert!(self.remote.is_empty(), "process {} sends further remote commands: {:?}", P::NAME, self.remote);
        self
    }
    /// Checks the state of the instance with this key, which runs.
    ///
    /// # Panics
    /// Panics if it is in another state, has ended, or does not exist.
    #[track_caller]
    pub fn then_is(self, key: &str, state: P) -> Self
    where
        P: Debug + PartialEq,
    {
        let instance = self.after.instances.get(key).filter(|instance| instance.status == Status::Running);
        let found = instance.map(|instance| codec::decode_value::<P>(instance.value.clone()));
        let found = found.transpose().unwrap_or_else(|error| panic!("the state cannot be decoded: {error}"));
        assert_eq!(found, Some(state), "the state of instance {key} of process {}", P::NAME);
        self
    }
    /// Checks that the instance with this key has ended.
    ///
    /// # Panics
    /// Panics if it runs, or does not exist.
    #[track_caller]
    pub fn then_has_ended(self, key: &str) -> Self {
        let status = self.after.instances.get(key).map(|instance| instance.status);
        assert_eq!(status, Some(Status::Ended), "the status of instance {key} of process {}", P::NAME);
        self
    }
    /// Checks that the event has changed nothing, and was not refused.
    ///
    /// # Panics
    /// Panics if it has changed an instance, or was refused.
    #[track_caller]
    pub fn then_ignored(self) -> Self {
        let result = (self.is_changed, &self.refused);
        assert_eq!(result, (false, &None), "the event has an effect on process {}", P::NAME);
        self
    }
    /// Checks that the event is refused with an error that contains this text, so that its message is parked.
    ///
    /// # Panics
    /// Panics if it is not refused, or with another error.
    #[track_caller]
    pub fn then_refused(self, text: &str) -> Self {
        let is_refused = self.refused.as_ref().is_some_and(|error| error.contains(text));
        assert!(is_refused, "process {} does not refuse the event with `{text}`: {:?}", P::NAME, self.refused);
        self
    }
    /// Goes on with the process as it is now.
    pub fn and(self) -> ProcessTest<P> {
        self.after
    }
}
impl<P: Process> Debug for ProcessTest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessTest<{}> after {} events", P::NAME, self.events)
    }
}
impl<P: Process> Debug for ProcessTested<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessTested<{}>", P::NAME)
    }
}
