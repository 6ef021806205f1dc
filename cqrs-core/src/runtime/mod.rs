//! The runtime: the state that all components of a running app share.
mod query_side;

pub(crate) use query_side::{CopiedProjection, Names, QuerySide, Wanted, filled_mark};

use crate::{
    breaker::Breakers,
    catalogue::{NewerPrograms, Reserving},
    dependencies::Provided,
    environment::Environment,
    error::Fault,
    event::{NewEntry, Publisher, RawEvent, Source},
    limit::Limits,
    metadata::Metadata,
    middleware::Middleware,
    personal::{
        HashKey, SubjectKeys,
        sealing::{self, Place},
    },
    policy::{ByteBudget, Retention, RetryPolicy},
    position::{Epoch, Position},
    storage::{Batch, NewTimer, RecentLog, ServingCopies, Storage},
    telemetry::metrics::Meter,
    transport::{Decoders, TopicStates, Transport},
    turn::Turns,
};
use async_trait::async_trait;
use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, watch};

/// The state that all components of a running app share.
pub struct Runtime {
    pub(crate) service: String,
    pub(crate) meter: Meter,
    pub(crate) provided: Provided,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) decoders: Decoders,
    pub(crate) environment: Arc<dyn Environment>,
    /// Lifetime of a lease, on a shard of a relay or on the checkpoint of a group, when it is not renewed.
    pub(crate) lease: Duration,
    pub(crate) middleware: Vec<Arc<dyn Middleware>>,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) retention: Retention,
    pub(crate) byte_budget: ByteBudget,
    /// Cloned by each relay that runs, so that its count is their number and one.
    pub(crate) running_relays: Arc<()>,
    /// One bit per registration, set if this app discovered it.
    pub(crate) discovered: Vec<u64>,
    pub(crate) publishers: HashMap<TypeId, Arc<[Publisher]>>,
    /// The inline projections; `None` if there are none.
    pub(crate) inline: Option<Arc<dyn InlineProjections>>,
    /// Progress of the followers of this service's log.
    pub(crate) readers: Vec<Arc<ReaderProgress>>,
    /// The metadata of a `send` without metadata.
    pub(crate) no_metadata: Arc<Metadata>,
    pub(crate) no_publishers: Arc<[Publisher]>,
    pub(crate) broker: Broker,
    pub(crate) jobs: Jobs,
    pub(crate) breakers: Breakers,
    /// The limits of resources and of consumer groups.
    pub(crate) limits: Limits,
    pub(crate) topics: Arc<TopicStates>,
    /// The latest entries of the log, shared by the followers.
    pub(crate) recent_log: RecentLog,
    /// The version of each event that this app stores.
    pub(crate) event_versions: HashMap<&'static str, u32>,
    /// The newest program of this service.
    pub(crate) newer_programs: NewerPrograms,
    /// The fields whose stored values are being reserved.
    pub(crate) reserving: Reserving,
    /// The copies of views that serve, as this process knows them.
    pub(crate) copies: ServingCopies,
    /// Queues of commands for aggregates with conflicts.
    pub(crate) turns: Turns,
    /// Held while a message is tried with which an earlier process may have died.
    pub(crate) alone: Arc<AsyncMutex<()>>,
    /// The epoch of the database, once it is known.
    pub(crate) epoch: Mutex<Option<Epoch>>,
    /// The signs of changes of each view that a projection of this app updates.
    pub(crate) view_changes: HashMap<&'static str, Arc<ViewChanges>>,
    /// The timers by the calendar that the program sets at its start, with their names.
    pub(crate) recurring: Vec<(String, NewTimer)>,
    /// Notified when this process has set a timer.
    pub(crate) timers_set: Notify,
    /// Set while the app stops, so that live queries end.
    pub(crate) stopping: watch::Sender<bool>,
    /// The permits with which live queries read their answers again.
    pub(crate) live_reads: Semaphore,
    /// The store of the views, if this app serves only queries.
    pub(crate) query_side: Option<QuerySide>,
    /// The keys of subjects; `None` for an app without personal data.
    pub(crate) personal: Option<PersonalRuntime>,
}

/// The parts of an app with personal data.
pub(crate) struct PersonalRuntime {
    pub(crate) keys: Arc<SubjectKeys>,
    /// The storage without decryption.
    pub(crate) raw: Arc<dyn Storage>,
    /// The keys are in the service's own database.
    pub(crate) is_own_storage: bool,
    /// An integration event is published for a forgotten subject.
    pub(crate) publishes: bool,
}
impl Runtime {
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
    }
    /// Returns `true` if this app discovered the registration with this slot.
    #[inline]
    pub(crate) fn has_discovered(&self, slot: u32) -> bool {
        self.discovered.get((slot / 64) as usize).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }
    #[cold]
    pub(crate) fn not_discovered(&self, registration: &dyn fmt::Debug) -> Fault {
        let service = &self.service;
        Fault::internal(format!("{service} did not discover `{registration:?}`: call `.discover(...)` for its crate"))
    }
    /// Reads the programs of this service, and returns whether this one is the newest.
    pub(crate) async fn is_newest_program(&self) -> Result<bool, Fault> {
        self.newer_programs.read(&*self.storage, &*self.environment).await
    }
    /// Adds the changes of the inline projections to the batch of a command or a subscriber.
    pub(crate) async fn apply_inline(self: &Arc<Self>, batch: &mut Batch, is_newest: bool) -> Result<(), Fault> {
        match &self.inline {
            Some(inline) if !batch.events.is_empty() => inline.apply(self, batch, is_newest).await,
            _ => Ok(()),
        }
    }
    /// Returns the key for hashes of personal values.
    pub(crate) async fn hash_key(&self) -> Result<&HashKey, Fault> {
        let personal = self.personal.as_ref();
        let missing = "a command has personal values, and there are no keys for them: call `AppBuilder::personal_data`";
        personal.ok_or_else(|| Fault::internal(missing))?.keys.hash_key().await
    }
    /// Decrypts the personal values of messages from topics.
    pub(crate) async fn open_messages(&self, messages: impl Iterator<Item = &mut RawEvent>) -> Result<(), Fault> {
        let Some(personal) = &self.personal else { return Ok(()) };
        let messages = messages.map(|RawEvent { name, bytes, .. }| (Place::message(name), bytes)).collect();
        sealing::open(messages, &personal.keys).await
    }
    pub(crate) fn publishers_of(&self, event: TypeId) -> Arc<[Publisher]> {
        self.publishers.get(&event).unwrap_or(&self.no_publishers).clone()
    }
    /// Wakes the live queries on a view of this app: it may have changed.
    pub(crate) fn view_changed(&self, view: &str) {
        if let Some(changes) = self.view_changes.get(view) {
            changes.add();
        }
    }
    /// Returns the progress of the projections that handle one of these events, for the note after their commit.
    pub(crate) fn projections_of(&self, events: &[NewEntry]) -> Vec<Arc<ReaderProgress>> {
        let handles = |source: &Source| events.iter().any(|event| source.handles(event.name));
        let is_of = |reader: &&Arc<ReaderProgress>| {
            reader.view.as_ref().is_some_and(|(_, sources)| sources.iter().any(handles))
        };
        self.readers.iter().filter(is_of).cloned().collect()
    }
    /// Returns the readers of the view that a query waits for. The changes of an inline projection are committed with the events.
    pub(crate) fn awaited_readers_of<'a>(&'a self, view: &'a str) -> impl Iterator<Item = &'a Arc<ReaderProgress>> {
        self.readers_of(view).filter(|reader| !reader.is_inline)
    }
    pub(crate) fn readers_of<'a>(&'a self, view: &'a str) -> impl Iterator<Item = &'a Arc<ReaderProgress>> {
        self.readers.iter().filter(move |reader| reader.view.as_ref().is_some_and(|(name, _)| *name == view))
    }
}
impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The inline projections of an app. They are a trait because commands are below projections.
#[async_trait]
pub(crate) trait InlineProjections: Send + Sync {
    /// Adds the changes that the events of the batch make, and marks the events as applied.
    async fn apply(&self, runtime: &Arc<Runtime>, batch: &mut Batch, is_newest: bool) -> Result<(), Fault>;
}

/// The state of the connection to the broker, as this process knows it.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    joined: AtomicBool,
    refuses: AtomicBool,
}
impl Broker {
    /// Records that this process has joined its consumer groups.
    pub(crate) fn joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }
    /// Records the result of the last publish.
    pub(crate) fn published(&self, accepted: bool) {
        self.refuses.store(!accepted, Ordering::Relaxed);
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<&'static str> {
        match (self.joined.load(Ordering::Relaxed), self.refuses.load(Ordering::Relaxed)) {
            (false, _) => Some("not connected yet; outgoing events stay in the outbox"),
            (true, true) => Some("the last publish failed; outgoing events stay in the outbox"),
            (true, false) => None,
        }
    }
}

/// The background jobs of this process by name, each with the number of its last steps that failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<String, u32>>);
impl Jobs {
    /// Records how many steps of a job have failed in a row.
    pub(crate) fn failed(&self, job: &str, times: u32) {
        self.states().insert(job.to_owned(), times);
    }
    pub(crate) fn ended(&self, job: &str) {
        self.states().remove(job);
    }
    /// Returns the states of the jobs that run.
    pub(crate) fn states(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        let states = self.states();
        let failing = states.iter().filter(|(_, times)| **times > 0);
        let failing: Vec<_> = failing.map(|(job, times)| format!("{job} (failures: {times})")).collect();
        (!failing.is_empty()).then(|| format!("background jobs fail and are tried again: {}", failing.join(", ")))
    }
}

/// The checkpoint of a reader of this service's log, as far as this process knows it.
#[derive(Debug)]
pub(crate) struct ReaderProgress {
    pub(crate) name: String,
    /// The view of a projection and its events; `None` for a projector and for a group of subscribers.
    view: Option<(&'static str, Vec<Source>)>,
    is_inline: bool,
    seen: watch::Sender<u64>,
    /// The number of reads that wait for the reader.
    waiting: watch::Sender<usize>,
    /// Held by the one waiting read that reads the stored checkpoint for all.
    pub(crate) poll: AsyncMutex<()>,
    /// The last event of this process that the reader handles.
    committed: AtomicU64,
    /// The number of times that messages of the reader may have been parked, and the number at which there were none.
    parks: AtomicU64,
    none_parked: AtomicU64,
    /// The signs of changes of the view.
    changes: Arc<ViewChanges>,
}
impl ReaderProgress {
    /// Creates the progress of a projector or of a group of subscribers.
    pub(crate) fn new(name: String) -> Self {
        ReaderProgress::with(name, None, Arc::new(ViewChanges::new(false)))
    }
    /// Creates the progress of a projection, with its view and the sources of its functions.
    pub(crate) fn of_view(name: String, view: (&'static str, Vec<Source>), changes: Arc<ViewChanges>) -> Self {
        ReaderProgress::with(name, Some(view), changes)
    }
    fn with(name: String, view: Option<(&'static str, Vec<Source>)>, changes: Arc<ViewChanges>) -> Self {
        let (seen, waiting) = (watch::Sender::new(0), watch::Sender::new(0));
        let (committed, parks, none_parked) = (AtomicU64::new(0), AtomicU64::new(1), AtomicU64::new(0));
        let poll = AsyncMutex::new(());
        ReaderProgress { name, view, is_inline: false, seen, waiting, poll, committed, parks, none_parked, changes }
    }
    pub(crate) fn inline(mut self, is_inline: bool) -> Self {
        self.is_inline = is_inline;
        self
    }
    /// Records that this process has committed an event that the reader handles. If the reader is inline, the view has changed.
    pub(crate) fn committed(&self, position: Position) {
        self.committed.fetch_max(position.0, Ordering::Relaxed);
        if self.is_inline {
            self.changes.add();
        }
    }
    /// Returns the position of the last event of this process that the reader handles.
    pub(crate) fn last_committed(&self) -> Position {
        Position(self.committed.load(Ordering::Relaxed))
    }
    pub(crate) fn seen(&self) -> Position {
        Position(*self.seen.borrow())
    }
    /// Raises the known checkpoint and wakes those that wait for it. A lower position changes nothing.
    pub(crate) fn saw(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let ahead = position.0 > *seen;
            *seen = position.0.max(*seen);
            ahead
        });
    }
    /// Raises the known checkpoint to a stored one. Another process has moved it, and may have parked messages.
    pub(crate) fn saw_stored(&self, position: Position) {
        if position > self.seen() {
            self.may_have_parked();
            self.saw(position);
            self.changes.add();
        }
    }
    /// Lowers the known checkpoint to a stored one, because the store has lost changes.
    pub(crate) fn lost(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let is_behind = position.0 < *seen;
            *seen = position.0.min(*seen);
            is_behind
        });
    }
    pub(crate) fn may_have_parked(&self) {
        self.parks.fetch_add(1, Ordering::SeqCst);
    }
    /// Returns a number for [`none_parked`](ReaderProgress::none_parked), before the parked messages are read.
    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Ordering::SeqCst)
    }
    /// Records that the reader had no parked messages. If it may have had some before, they may have been applied.
    pub(crate) fn none_parked(&self, parks: u64) {
        if self.none_parked.swap(parks, Ordering::SeqCst) != parks {
            self.changes.add();
        }
    }
    /// Returns whether the reader may have parked messages up to the known checkpoint.
    pub(crate) fn has_parked(&self) -> bool {
        self.parks() != self.none_parked.load(Ordering::SeqCst)
    }
    /// Waits until the known checkpoint has reached `position`. The follower hurries for it.
    pub(crate) async fn moved_to(&self, position: Position) {
        let _waiting = self.hurried();
        // The sender lives as long as this borrow, so the wait cannot fail.
        let _ = self.seen.subscribe().wait_for(|seen| *seen >= position.0).await;
    }
    /// Lets the follower hurry until the result is dropped.
    pub(crate) fn hurried(&self) -> Waiting<'_> {
        Waiting::begin(&self.waiting)
    }
    /// Waits until a read waits for the reader.
    pub(crate) async fn awaited(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// One read that waits, counted while it exists.
#[must_use = "the follower does not hurry once it is dropped"]
pub(crate) struct Waiting<'a>(&'a watch::Sender<usize>);
impl<'a> Waiting<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Waiting(count)
    }
}
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The signs that a view may have changed, for the live queries of this process on it.
#[derive(Debug)]
pub(crate) struct ViewChanges {
    count: watch::Sender<u64>,
    /// Set if a projection of a topic updates the view: no position of this service's log shows what it changes.
    pub(crate) is_of_topic: bool,
    /// Held by the one live query that looks for changes by other processes, for all of them.
    pub(crate) poll: AsyncMutex<()>,
    /// The copy of the view that served when it was last read.
    serving: AtomicU64,
}
impl ViewChanges {
    pub(crate) fn new(is_of_topic: bool) -> Self {
        let (count, poll, serving) = (watch::Sender::new(0), AsyncMutex::new(()), AtomicU64::new(u64::MAX));
        ViewChanges { count, is_of_topic, poll, serving }
    }
    /// Wakes the live queries.
    pub(crate) fn add(&self) {
        self.count.send_modify(|count| *count += 1);
    }
    /// Wakes the live queries if another copy of the view serves than before.
    pub(crate) fn serves(&self, copy: u64) {
        if self.serving.swap(copy, Ordering::Relaxed) != copy {
            self.add();
        }
    }
    /// Returns the number of signs. A live query takes it before it reads, so that a change during the read is a later sign.
    pub(crate) fn count(&self) -> u64 {
        *self.count.borrow()
    }
    /// Waits until there are more signs than this.
    pub(crate) async fn after(&self, count: u64) {
        // The sender lives as long as this borrow, so the wait cannot fail.
        let _ = self.count.subscribe().wait_for(|now| *now > count).await;
    }
}
