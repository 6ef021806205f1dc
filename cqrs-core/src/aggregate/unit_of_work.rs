//! The unit of work: everything that one command loaded and staged. It holds no transaction and becomes one `Batch`.
use crate::{
    Timestamp,
    aggregate::mapped::{FoundRow, RowChange, TableChange},
    aggregate::mark::{DELETED, PAYLOAD, deleted_at},
    aggregate::{Aggregate, StoredAs},
    codec::{self, NewerFields},
    environment::Environment,
    error::Fault,
    event::{COMMAND_SENT, Event, NewEntry, OutgoingMessage, Publisher, stream_of},
    metadata::Metadata,
    storage::{
        Batch, InboxRecord, ReadVersion, Reservation, Row, Snapshot, Storage, StoredResponse, TimerChange, TimerWrite,
    },
    telemetry::trace,
};
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// The name of the event that notes a change of an instance of a process.
const PROCESS_MOVED: &str = "process.moved";

/// One unit of work, shared by all parameters of one handler call.
#[derive(Clone, Default)]
pub(crate) struct UnitOfWork(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// Identity map: within a unit of work, each aggregate is one value.
    known: HashMap<(&'static str, String), Tracked>,
    /// Keys of `known` in order of their first use, because the order of a batch must not depend on a hash.
    order: Vec<(&'static str, String)>,
    events: Vec<Staged>,
    /// The aggregates that were looked for and do not exist.
    absent: HashMap<(&'static str, String), Absent>,
    /// The aggregates that were read for the decision, with the version on which it relied.
    reads: Vec<ReadVersion>,
    /// The rows in tables of one's own, as the decision found them, in the order in which a commit locks them.
    tables: BTreeMap<TableRow, Arc<dyn FoundRow>>,
    /// The idempotency key, until the first load looks its response up in the same round trip.
    response_key: Option<String>,
    stored_response: Option<StoredResponse>,
    /// The changes of timers by their names.
    timers: BTreeMap<String, TimerChange>,
    /// The instances of processes that have moved, each with the content of the event that notes it.
    processes: Vec<(Row, Vec<u8>)>,
    /// The commands to other services, in order.
    remote: Vec<OutgoingMessage>,
    /// The name of the command, in the unit of work of one.
    command: &'static str,
    /// The handled message, in the unit of work of a subscriber.
    cause: Option<Cause>,
    /// A component was down or busy, so a failure of the handler after that may pass by itself.
    transient_failure: bool,
}

/// An aggregate that was looked for and does not exist.
#[derive(Debug, Clone, Copy)]
struct Absent {
    /// The version of its stream or row: 0, or that of its end.
    version: u64,
    is_deleted: bool,
}

/// A row in a table of one's own: the name and the key, and the type of the table if it is a foreign one.
type TableRow = (&'static str, String, Option<&'static str>);

/// The message that a subscriber handles.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) group: &'static str,
    pub(crate) message: Uuid,
    /// The number of commands sent so far. It is part of their idempotency keys.
    pub(crate) sent: u32,
}

/// An aggregate in the identity map, without its type.
struct Tracked {
    aggregate: Aggregated,
    /// The version at load time. The commit expects it (optimistic concurrency).
    loaded: u64,
    version: u64,
    /// The unique values at load time. Their difference to the final ones becomes the reservations to take and to
    /// release.
    before: Vec<(&'static str, String)>,
    after: Vec<(&'static str, String)>,
    stored_as: StoredAs,
    /// Is `true` if this unit of work has created it.
    is_new: bool,
    /// The number of events that the load has folded.
    folded: usize,
    is_deleted: bool,
    /// The state at load time with its bytes, of which the new ones keep the fields of a newer program.
    stored: Option<(Aggregated, Vec<u8>)>,
    encode: EncodeState,
}
type Aggregated = Arc<dyn Any + Send + Sync>;
/// Encodes a state over the stored one, if there is one; the flag says whether this is the newest program.
type EncodeState = fn(&(dyn Any + Send + Sync), Option<&(Aggregated, Vec<u8>)>, bool) -> Result<Vec<u8>, Fault>;

/// An event without id and time. It gets both when the unit of work becomes a batch.
struct Staged {
    stream: String,
    version: u64,
    name: &'static str,
    schema: u32,
    payload: Vec<u8>,
    /// Present only if the app has a publisher for this type.
    event: Option<Box<dyn Any + Send + Sync>>,
    publishers: Arc<[Publisher]>,
}

impl UnitOfWork {
    pub(crate) fn of_command(command: &'static str, response_key: Option<String>) -> Self {
        UnitOfWork(Arc::new(Mutex::new(Held { command, response_key, ..Held::default() })))
    }
    pub(crate) fn caused_by(group: &'static str, message: Uuid) -> Self {
        UnitOfWork(Arc::new(Mutex::new(Held { cause: Some(Cause { group, message, sent: 0 }), ..Held::default() })))
    }
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns the idempotency key once, so that the first load looks its response up in the same round trip.
    pub(crate) fn response_key(&self) -> Option<String> {
        self.held().response_key.take()
    }
    pub(crate) fn set_stored_response(&self, response: StoredResponse) {
        self.held().stored_response = Some(response);
    }
    pub(crate) fn stored_response(&self) -> Option<StoredResponse> {
        self.held().stored_response.clone()
    }
    pub(crate) fn next_cause(&self) -> Option<Cause> {
        let mut held = self.held();
        let cause = held.cause.as_mut()?;
        cause.sent += 1;
        Some(cause.clone())
    }
    /// Stages the change of a timer. The last change of a name counts.
    pub(crate) fn change_timer(&self, name: String, change: TimerChange) {
        self.held().timers.insert(name, change);
    }
    /// Stages a new state of an instance of a process, with the content of the event that notes it.
    pub(crate) fn move_process(&self, row: Row, payload: Vec<u8>) {
        self.held().processes.push((row, payload));
    }
    /// Stages a command to another service.
    pub(crate) fn send_remote(&self, command: OutgoingMessage) {
        self.held().remote.push(command);
    }
    /// Returns the name of the command, or the group of the subscriber.
    pub(crate) fn name(&self) -> &'static str {
        let held = self.held();
        held.cause.as_ref().map_or(held.command, |cause| cause.group)
    }
    /// Records a transient failure. The error that a subscriber makes of it may not show that it is transient.
    pub(crate) fn note_transient(&self) {
        self.held().transient_failure = true;
    }
    pub(crate) fn failed_transiently(&self) -> bool {
        self.held().transient_failure
    }
    pub(crate) fn is_caused(&self) -> bool {
        self.held().cause.is_some()
    }

    /// Returns the aggregate from the identity map, or `Some(None)` if this unit of work has deleted it.
    pub(crate) fn find<A: Aggregate>(&self, id: &str) -> Option<Option<Arc<A>>> {
        let held = self.held();
        let tracked = held.known.get(&(A::NAME, id.to_owned()))?;
        Some(if tracked.is_deleted { None } else { tracked.aggregate.clone().downcast().ok() })
    }
    /// Notes the version of an aggregate that does not exist: 0, or that of its end.
    pub(crate) fn not_found(&self, kind: &'static str, id: &str, version: u64, is_deleted: bool) {
        self.held().absent.insert((kind, id.to_owned()), Absent { version, is_deleted });
    }
    /// Adds a loaded aggregate to the identity map and returns the one in the map, or `None` if this unit of work has
    /// deleted it.
    ///
    /// That can be another one: two loads may run at the same time, and the first may have staged changes by now.
    pub(crate) fn loaded<A: Aggregate>(
        &self,
        id: &str,
        found: Arc<A>,
        version: u64,
        stored_as: StoredAs,
        stored: Option<Vec<u8>>,
        folded: usize,
    ) -> Option<Arc<A>> {
        let before = found.unique();
        let stored = stored.map(|bytes| (found.clone() as Aggregated, bytes));
        let tracked = Tracked {
            aggregate: found.clone(),
            loaded: version,
            version,
            after: before.clone(),
            before,
            stored_as,
            is_new: false,
            folded,
            is_deleted: false,
            stored,
            encode: encode::<A>,
        };
        self.held().track((A::NAME, id.to_owned()), tracked);
        self.find(id).unwrap_or(Some(found))
    }
    /// Notes that the decision relies on the version of this aggregate, which was loaded or looked for before.
    pub(crate) fn read<A: Aggregate>(&self, id: &str, is_row: bool) {
        let mut held = self.held();
        let key = (A::NAME, id.to_owned());
        let loaded = held.known.get(&key).map(|tracked| tracked.loaded);
        let version = loaded.or_else(|| held.absent.get(&key).map(|absent| absent.version)).unwrap_or(0);
        let read = ReadVersion { kind: A::NAME, id: key.1, version, is_row };
        if !held.reads.contains(&read) {
            held.reads.push(read);
        }
    }
    /// Notes a row in a table of one's own, as the decision found it: the row of an aggregate, or of a foreign table with
    /// this type. The first one counts, since a later one may be another.
    pub(crate) fn uses_table(
        &self,
        name: &'static str,
        key: &str,
        foreign: Option<&'static str>,
        row: Arc<dyn FoundRow>,
    ) {
        self.held().tables.entry((name, key.to_owned(), foreign)).or_insert(row);
    }
    /// Passes a fault on, and notes a transient one.
    pub(crate) fn failed(&self, fault: Fault) -> Fault {
        if fault.is_transient() {
            self.note_transient();
        }
        fault
    }
    /// Returns the rows in tables of one's own that the commit has to compare or change, before the unit is taken.
    pub(crate) fn table_changes(&self) -> Vec<TableChange> {
        let held = self.held();
        if held.events.is_empty() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for ((name, key, foreign), row) in &held.tables {
            let tracked = held.known.get(&(*name, key.clone())).filter(|_| foreign.is_none());
            let changed = tracked.filter(|tracked| tracked.version != tracked.loaded);
            let is_read = foreign.is_some() || held.reads.iter().any(|read| read.kind == *name && read.id == *key);
            let change = match changed {
                Some(tracked) if tracked.is_deleted => RowChange::Delete,
                Some(tracked) => RowChange::Save(tracked.aggregate.clone()),
                None if is_read => RowChange::None,
                None => continue,
            };
            let is_new = changed.is_some_and(|tracked| tracked.is_new);
            changes.push(TableChange { stream: stream_of(name, key), row: row.clone(), change, is_new });
        }
        changes
    }
    /// Adds a new aggregate to the identity map. The commit expects that it does not exist yet, or that it was deleted if
    /// its id can be used again.
    pub(crate) fn created<A: Aggregate>(&self, id: &str, aggregate: Arc<A>, stored_as: StoredAs) -> Result<(), Fault> {
        let after = aggregate.unique();
        let mut held = self.held();
        let absent = held.absent.get(&(A::NAME, id.to_owned()));
        let deleted = absent.filter(|absent| absent.is_deleted && stored_as.reuses_ids);
        let version = deleted.map_or(0, |deleted| deleted.version);
        let (before, encode) = (vec![], encode::<A> as EncodeState);
        let (folded, is_deleted, stored) = (0, false, None);
        let tracked = Tracked {
            aggregate,
            loaded: version,
            version,
            before,
            after,
            stored_as,
            is_new: true,
            folded,
            is_deleted,
            stored,
            encode,
        };
        if let Some(known) = held.known.get(&(A::NAME, id.to_owned())) {
            let how = if known.is_deleted { "deleted and created" } else { "created twice" };
            return Err(Fault::internal(format!("{} {id} is {how} in one unit of work", A::NAME)));
        }
        held.track((A::NAME, id.to_owned()), tracked);
        Ok(())
    }
    /// Stages the events of a decision, and the state after them.
    pub(crate) fn stage<A: Aggregate>(
        &self,
        id: &str,
        state: Arc<A>,
        events: Vec<A::Event>,
        publishers: &Arc<[Publisher]>,
    ) -> Result<(), Fault> {
        let encode = |event: &A::Event| codec::encode_marked(event, A::Event::PERSONAL);
        let encoded = events.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let mut held = self.held();
        let Some(tracked) = held.known.get_mut(&(A::NAME, id.to_owned())) else {
            return Err(Fault::internal(format!("{} {id} was staged before it was loaded", A::NAME)));
        };
        tracked.after = state.unique();
        tracked.aggregate = state;
        let first = tracked.version + 1;
        tracked.version += events.len() as u64;
        for ((event, payload), version) in events.into_iter().zip(encoded).zip(first..) {
            held.events.push(Staged {
                stream: stream_of(A::NAME, id),
                version,
                name: event.name(),
                schema: A::Event::VERSION,
                payload,
                event: (!publishers.is_empty()).then(|| Box::new(event) as Box<dyn Any + Send + Sync>),
                publishers: publishers.clone(),
            });
        }
        Ok(())
    }

    /// Stages the end of the aggregate after the events that were staged.
    pub(crate) fn delete(&self, kind: &'static str, id: &str, publishers: &Arc<[Publisher]>) {
        let mut held = self.held();
        let Some(tracked) = held.known.get_mut(&(kind, id.to_owned())) else { return };
        tracked.after.clear();
        tracked.is_deleted = true;
        tracked.version += 1;
        let (stream, version, payload) = (stream_of(kind, id), tracked.version, PAYLOAD.to_vec());
        let publishers = publishers.clone();
        held.events.push(Staged { stream, version, name: DELETED, schema: 1, payload, event: None, publishers });
    }
    /// Returns whether aggregates are created whose ids may have been used before.
    pub(crate) fn may_reuse_ids(&self) -> bool {
        self.held().known.values().any(Tracked::may_reuse_its_id)
    }
    /// Finds the versions at which the ids of new aggregates were used before, and lets their events follow there.
    pub(crate) async fn reuse_ids(&self, storage: &dyn Storage) -> Result<(), Fault> {
        let held = self
            .held()
            .known
            .iter()
            .filter(|(_, tracked)| tracked.may_reuse_its_id())
            .map(|(key, tracked)| (key.clone(), tracked.stored_as.row))
            .collect::<Vec<_>>();
        for ((kind, id), row) in held {
            let Some(version) = deleted_at(storage, kind, &id, row).await? else { continue };
            let (mut held, stream) = (self.held(), stream_of(kind, &id));
            let is_absent = held.absent.contains_key(&(kind, id.clone()));
            // A read of the aggregate after its creation relies on the same version. One before it found no aggregate, and
            // the commit compares what it found.
            let own_reads = held.reads.iter_mut().filter(|read| !is_absent && read.kind == kind && read.id == id);
            own_reads.for_each(|read| read.version += version);
            held.events
                .iter_mut()
                .filter(|staged| staged.stream == stream)
                .for_each(|staged| staged.version += version);
            if let Some(tracked) = held.known.get_mut(&(kind, id)) {
                tracked.loaded += version;
                tracked.version += version;
            }
        }
        Ok(())
    }

    /// Turns the unit of work into a batch: net changes only, with ids and the time assigned now.
    ///
    /// `is_newest` says that no newer program is known, so that fields which this one does not know may be dropped where
    /// they cannot be kept.
    pub(crate) fn take(
        &self,
        environment: &dyn Environment,
        service: &str,
        metadata: &Metadata,
        is_newest: bool,
    ) -> Result<Batch, Fault> {
        let mut held = std::mem::take(&mut *self.held());
        let mut batch = Batch::default();
        if let Some(cause) = held.cause {
            batch.inbox_records.push(InboxRecord { group: cause.group.to_owned(), message: cause.message });
        }
        let is_empty =
            held.events.is_empty() && held.timers.is_empty() && held.processes.is_empty() && held.remote.is_empty();
        if is_empty {
            return Ok(batch);
        }
        let mut metadata = metadata.clone();
        // A caller may pass on the metadata of another event.
        metadata.applied_by.clear();
        metadata.correlation.get_or_insert_with(|| environment.id());
        metadata.traceparent = trace::current().or(metadata.traceparent);
        for (name, mut change) in held.timers {
            if let TimerChange::Set(new) = &mut change {
                new.metadata = metadata.clone();
            }
            batch.timers.push(TimerWrite { name, fired: None, change });
        }
        let occurred_at = whole_micros(environment.now());
        for (row, payload) in held.processes {
            let (stream, version, id) = (stream_of(row.kind, &row.id), row.version, environment.id());
            let (name, metadata) = (PROCESS_MOVED, metadata.clone());
            let outgoing = None;
            batch.events.push(NewEntry {
                stream,
                version,
                id,
                name,
                schema: 1,
                payload,
                metadata,
                occurred_at,
                outgoing,
            });
            batch.rows.push(row);
        }
        for outgoing in held.remote {
            let (id, metadata) = (environment.id(), metadata.clone());
            batch.events.push(command_sent(id, occurred_at, metadata, outgoing)?);
        }
        for staged in held.events {
            batch.events.push(staged.entry(environment.id(), occurred_at, service, &metadata)?);
        }
        batch.reads = held.reads;
        for key in held.order {
            let Some(tracked) = held.known.remove(&key) else { continue };
            if tracked.version == tracked.loaded {
                continue;
            }
            let (kind, id) = key;
            // The write checks the same version.
            batch.reads.retain(|read| (read.kind, &read.id, read.version) != (kind, &id, tracked.loaded));
            let owner = stream_of(kind, &id);
            let reservation = |(field, value): &(&str, String), taken| Reservation {
                index: format!("{kind}.{field}"),
                value: value.clone(),
                owner: owner.clone(),
                taken,
            };
            let released = tracked.before.iter().filter(|unique| !tracked.after.contains(unique));
            batch.reservations.extend(released.map(|unique| reservation(unique, false)));
            let taken = tracked.after.iter().filter(|unique| !tracked.before.contains(unique));
            batch.reservations.extend(taken.map(|unique| reservation(unique, true)));
            if tracked.stored_as.row {
                // A row of one's own has the state, and only the version is stored beside the events.
                let is_mapped = held.tables.contains_key(&(kind, id.clone(), None));
                let state = match (tracked.is_deleted, is_mapped) {
                    (true, _) => None,
                    (false, true) => Some(Vec::new()),
                    (false, false) => Some((tracked.encode)(&*tracked.aggregate, tracked.stored.as_ref(), is_newest)?),
                };
                batch.rows.push(Row { kind, id, expected: tracked.loaded, version: tracked.version, state });
            } else if let Some((form, state)) = tracked.snapshot()
                && let Some(event) = batch.events.iter().rfind(|event| event.stream == owner).map(|event| event.id)
            {
                batch.snapshots.push(Snapshot { kind, id, version: tracked.version, event, form, state });
            }
        }
        batch.sort();
        Ok(batch)
    }
}
impl Tracked {
    /// Returns whether the aggregate is created under an id that may have been used before.
    fn may_reuse_its_id(&self) -> bool {
        self.loaded == 0 && self.version > 0 && self.stored_as.reuses_ids
    }
    /// Returns the form and the state of the snapshot that this unit of work writes, if it writes one. A state that cannot be
    /// written refuses no command, since its events are enough.
    fn snapshot(&self) -> Option<(i64, Option<Vec<u8>>)> {
        if self.is_deleted {
            return Some((0, None));
        }
        let policy = self.stored_as.snapshots?;
        let is_due = policy.is_due(self.loaded, self.version, self.folded);
        let state = is_due.then(|| (self.encode)(&*self.aggregate, None, true))?;
        let state = state.inspect_err(|error| tracing::debug!(%error, "a snapshot cannot be written"));
        Some((policy.form, Some(state.ok()?)))
    }
}
impl Held {
    fn track(&mut self, key: (&'static str, String), tracked: Tracked) {
        if !self.known.contains_key(&key) {
            self.order.push(key.clone());
            self.known.insert(key, tracked);
        }
    }
}
impl fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnitOfWork")
    }
}
impl Staged {
    fn entry(self, id: Uuid, occurred_at: Timestamp, service: &str, metadata: &Metadata) -> Result<NewEntry, Fault> {
        let Staged { stream, version, name, schema, payload, event, publishers } = self;
        let mut entry = NewEntry {
            stream,
            version,
            id,
            name,
            schema,
            payload,
            metadata: metadata.clone(),
            occurred_at,
            outgoing: None,
        };
        for publisher in publishers.iter() {
            let Some(event) = &event else { break };
            let Some(outgoing) = (publisher.run)(&**event, &entry)? else { continue };
            if entry.outgoing.is_some() {
                return Err(Fault::internal(format!("{service}: two `#[publish]` functions publish `{name}`")));
            }
            entry.outgoing = Some(outgoing);
        }
        Ok(entry)
    }
}

/// Creates the event that carries a command to another service, schema version 1. Each has a stream of its own, so that
/// no two ever conflict. The event's id is the command's idempotency key.
fn command_sent(
    id: Uuid,
    occurred_at: Timestamp,
    metadata: Metadata,
    outgoing: OutgoingMessage,
) -> Result<NewEntry, Fault> {
    let payload = serde_json::json!({ "command": outgoing.name, "topic": outgoing.topic, "key": outgoing.key });
    Ok(NewEntry {
        stream: format!("command-{id}"),
        version: 1,
        id,
        name: COMMAND_SENT,
        schema: 1,
        payload: serde_json::to_vec(&payload)?,
        metadata,
        occurred_at,
        outgoing: Some(outgoing),
    })
}

fn encode<A: Aggregate>(
    state: &(dyn Any + Send + Sync),
    stored: Option<&(Aggregated, Vec<u8>)>,
    is_newest: bool,
) -> Result<Vec<u8>, Fault> {
    let state = state.downcast_ref::<A>().ok_or_else(|| Fault::internal("an aggregate changed its type"))?;
    let newer_fields =
        stored.and_then(|(before, bytes)| NewerFields::of(before.downcast_ref::<A>()?, bytes, A::PERSONAL));
    NewerFields::encode(newer_fields.as_ref(), state, is_newest, A::PERSONAL)
}

/// Truncates a time to microseconds, the precision of the databases, so that it equals the stored one.
fn whole_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}
