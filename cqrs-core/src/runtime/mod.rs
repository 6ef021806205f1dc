//! The runtime: the state that all components of a running app share.
mod query_side;

pub(crate) use query_side::{CopiedProjection, Names, QuerySide, Wanted, filled_mark};

use crate::{
    breaker::Breakers,
    catalogue::{NewerPrograms, Reserving},
    dependencies::Provided,
    environment::Environment,
    error::Fault,
    event::{NewEntry, Publisher, Source},
    metadata::Metadata,
    middleware::Middleware,
    policy::{ByteBudget, Retention, RetryPolicy},
    position::{Epoch, Position},
    storage::{RecentLog, Storage},
    telemetry::metrics::Meter,
    transport::{Decoders, TopicStates, Transport},
    turn::Turns,
};
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
use tokio::sync::{Mutex as AsyncMutex, watch};

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
    /// Progress of the followers of this service's log.
    pub(crate) readers: Vec<Arc<ReaderProgress>>,
    /// The metadata of a `send` without metadata.
    pub(crate) no_metadata: Arc<Metadata>,
    pub(crate) no_publishers: Arc<[Publisher]>,
    pub(crate) broker: Broker,
    pub(crate) jobs: Jobs,
    pub(crate) breakers: Breakers,
    pub(crate) topics: Arc<TopicStates>,
    /// The latest entries of the log, shared by the followers.
    pub(crate) recent_log: RecentLog,
    /// The version of each event that this app stores.
    pub(crate) event_versions: HashMap<&'static str, u32>,
    /// The newest program of this service.
    pub(crate) newer_programs: NewerPrograms,
    /// The fields whose stored values are being reserved.
    pub(crate) reserving: Reserving,
    /// Queues of commands for aggregates with conflicts.
    pub(crate) turns: Turns,
    /// Held while a message is tried with which an earlier process may have died.
    pub(crate) alone: Arc<AsyncMutex<()>>,
    /// The epoch of the database, once it is known.
    pub(crate) epoch: Mutex<Option<Epoch>>,
    /// The store of the views, if this app serves only queries.
    pub(crate) query_side: Option<QuerySide>,
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
    pub(crate) fn publishers_of(&self, event: TypeId) -> Arc<[Publisher]> {
        self.publishers.get(&event).unwrap_or(&self.no_publishers).clone()
    }
    /// Returns the progress of the projections that handle one of these events, for the note after their commit.
    pub(crate) fn projections_of(&self, events: &[NewEntry]) -> Vec<Arc<ReaderProgress>> {
        let handles = |source: &Source| events.iter().any(|event| source.handles(event.name));
        let is_of = |reader: &&Arc<ReaderProgress>| {
            reader.view.as_ref().is_some_and(|(_, sources)| sources.iter().any(handles))
        };
        self.readers.iter().filter(is_of).cloned().collect()
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
}
impl ReaderProgress {
    pub(crate) fn new(name: String, view: Option<(&'static str, Vec<Source>)>) -> Self {
        let (seen, waiting) = (watch::Sender::new(0), watch::Sender::new(0));
        let (committed, parks, none_parked) = (AtomicU64::new(0), AtomicU64::new(1), AtomicU64::new(0));
        ReaderProgress { name, view, seen, waiting, poll: AsyncMutex::new(()), committed, parks, none_parked }
    }
    /// Records that this process has committed an event that the reader handles.
    pub(crate) fn committed(&self, position: Position) {
        self.committed.fetch_max(position.0, Ordering::Relaxed);
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
    /// Records that the reader had no parked messages.
    pub(crate) fn none_parked(&self, parks: u64) {
        self.none_parked.store(parks, Ordering::SeqCst);
    }
    /// Returns whether the reader may have parked messages up to the known checkpoint.
    pub(crate) fn has_parked(&self) -> bool {
        self.parks() != self.none_parked.load(Ordering::SeqCst)
    }
    /// Waits until the known checkpoint has reached `position`. The follower hurries for it.
    pub(crate) async fn moved_to(&self, position: Position) {
        let _waiting = Waiting::begin(&self.waiting);
        // The sender lives as long as this borrow, so the wait cannot fail.
        let _ = self.seen.subscribe().wait_for(|seen| *seen >= position.0).await;
    }
    /// Waits until a read waits for the reader.
    pub(crate) async fn awaited(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// One read that waits, counted while it exists.
struct Waiting<'a>(&'a watch::Sender<usize>);
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
