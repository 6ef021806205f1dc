//! Unit of work: what one command loaded and staged. It holds no transaction; it becomes one `Batch`.
use crate::{
    Aggregate, Event, Fault, Metadata, Timestamp,
    app::Publisher,
    batch::{Answer, Batch, Claim, Mark, NewEntry, Row},
    trace,
    world::World,
};
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// One unit of work. Cloned into everything of one handler call.
#[derive(Clone, Default)]
pub(crate) struct Unit(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// Identity map: one aggregate is one value inside a unit.
    known: HashMap<(&'static str, String), Tracked>,
    /// Keys of `known` in the order in which they were first met: a batch must not depend on a hash.
    met: Vec<(&'static str, String)>,
    events: Vec<Staged>,
    /// Looked up together with the first load.
    answer_key: Option<String>,
    answered: Option<Answer>,
    /// What a subscriber's unit is caused by.
    cause: Option<Cause>,
    /// Something that was asked was down or busy: whatever fails after that may pass.
    trouble: bool,
}

/// The message that a subscriber handles.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) group: &'static str,
    pub(crate) message: Uuid,
    /// How many commands it has sent so far: part of their idempotency keys.
    pub(crate) sent: u32,
}

/// An aggregate as the unit knows it, without its type.
struct Tracked {
    aggregate: Arc<dyn Any + Send + Sync>,
    /// The version it was loaded with: what the batch expects.
    loaded: u64,
    version: u64,
    /// Unique values when it was loaded; what is taken and given back is the difference to the final ones.
    before: Vec<(&'static str, String)>,
    after: Vec<(&'static str, String)>,
    row: bool,
    encode: fn(&(dyn Any + Send + Sync)) -> Result<Vec<u8>, Fault>,
}

/// An event without its id and time, which it gets when the unit becomes a batch.
struct Staged {
    stream: String,
    version: u64,
    name: &'static str,
    schema: u32,
    payload: Vec<u8>,
    /// Kept only where somebody publishes this type.
    event: Option<Box<dyn Any + Send + Sync>>,
    publishers: Arc<[Publisher]>,
}

impl Unit {
    pub(crate) fn with_answer(key: Option<String>) -> Self {
        Unit(Arc::new(Mutex::new(Held { answer_key: key, ..Held::default() })))
    }
    pub(crate) fn caused_by(group: &'static str, message: Uuid) -> Self {
        Unit(Arc::new(Mutex::new(Held { cause: Some(Cause { group, message, sent: 0 }), ..Held::default() })))
    }
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The idempotency key, once: the first load looks its answer up in the same round trip.
    pub(crate) fn answer_key(&self) -> Option<String> {
        self.held().answer_key.take()
    }
    pub(crate) fn set_answered(&self, answer: Answer) {
        self.held().answered = Some(answer);
    }
    pub(crate) fn answered(&self) -> Option<Answer> {
        self.held().answered.clone()
    }
    pub(crate) fn next_cause(&self) -> Option<Cause> {
        let mut held = self.held();
        let cause = held.cause.as_mut()?;
        cause.sent += 1;
        Some(cause.clone())
    }
    /// Remembers that what failed passes by itself: the error that the subscriber makes of it may not show that.
    pub(crate) fn meet_trouble(&self) {
        self.held().trouble = true;
    }
    pub(crate) fn met_trouble(&self) -> bool {
        self.held().trouble
    }
    pub(crate) fn is_caused(&self) -> bool {
        self.held().cause.is_some()
    }

    /// The aggregate as this unit knows it.
    pub(crate) fn find<A: Aggregate>(&self, id: &str) -> Option<Arc<A>> {
        self.held().known.get(&(A::NAME, id.to_owned()))?.aggregate.clone().downcast().ok()
    }
    /// Remembers what was loaded, and gives back what is known. That may be another: two loads can be under way at once, and the
    /// first one's may hold staged changes by now.
    pub(crate) fn loaded<A: Aggregate>(&self, id: &str, aggregate: Arc<A>, version: u64, row: bool) -> Arc<A> {
        let before = aggregate.unique();
        let after = before.clone();
        self.held().track(
            (A::NAME, id.to_owned()),
            Tracked { aggregate: aggregate.clone(), loaded: version, version, before, after, row, encode: encode::<A> },
        );
        self.find(id).unwrap_or(aggregate)
    }
    /// Remembers a creation on top of nothing, or of a deleted row's version.
    pub(crate) fn created<A: Aggregate>(&self, id: &str, aggregate: Arc<A>, row: bool) -> Result<(), Fault> {
        let after = aggregate.unique();
        let tracked = Tracked { aggregate, loaded: 0, version: 0, before: vec![], after, row, encode: encode::<A> };
        let mut held = self.held();
        if held.known.contains_key(&(A::NAME, id.to_owned())) {
            return Err(Fault::internal(format!("{} {id} is created twice in one unit", A::NAME)));
        }
        held.track((A::NAME, id.to_owned()), tracked);
        Ok(())
    }
    /// Stages what a decision returned, and the state it leads to.
    pub(crate) fn stage<A: Aggregate>(
        &self,
        id: &str,
        state: Arc<A>,
        events: Vec<A::Event>,
        publishers: &Arc<[Publisher]>,
    ) -> Result<(), Fault> {
        let encoded = events.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
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
                stream: stream_of::<A>(id),
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

    /// The batch this unit becomes: net changes only, ids and the time given now.
    pub(crate) fn take(&self, world: &dyn World, service: &str, metadata: &Metadata) -> Result<Batch, Fault> {
        let mut held = std::mem::take(&mut *self.held());
        let mut batch = Batch::default();
        if let Some(cause) = held.cause {
            batch.marks.push(Mark { group: cause.group.to_owned(), message: cause.message });
        }
        if held.events.is_empty() {
            return Ok(batch);
        }
        let at = whole_micros(world.now());
        let mut metadata = metadata.clone();
        metadata.correlation.get_or_insert_with(|| world.id());
        metadata.traceparent = trace::current().or(metadata.traceparent);
        for staged in held.events {
            batch.events.push(staged.entry(world.id(), at, service, &metadata)?);
        }
        for key in held.met {
            let Some(tracked) = held.known.remove(&key) else { continue };
            if tracked.version == tracked.loaded {
                continue;
            }
            let (kind, id) = key;
            let owner = format!("{kind}-{id}");
            let claim = |(field, value): &(&str, String), taken| Claim {
                index: format!("{kind}.{field}"),
                value: value.clone(),
                owner: owner.clone(),
                taken,
            };
            batch
                .claims
                .extend(tracked.before.iter().filter(|it| !tracked.after.contains(it)).map(|it| claim(it, false)));
            batch
                .claims
                .extend(tracked.after.iter().filter(|it| !tracked.before.contains(it)).map(|it| claim(it, true)));
            if tracked.row {
                let state = Some((tracked.encode)(&*tracked.aggregate)?);
                batch.rows.push(Row { kind, id, expected: tracked.loaded, version: tracked.version, state });
            }
        }
        batch.sort();
        Ok(batch)
    }
}
impl Held {
    fn track(&mut self, key: (&'static str, String), tracked: Tracked) {
        if !self.known.contains_key(&key) {
            self.met.push(key.clone());
            self.known.insert(key, tracked);
        }
    }
}
impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unit")
    }
}
impl Staged {
    fn entry(self, id: Uuid, at: Timestamp, service: &str, metadata: &Metadata) -> Result<NewEntry, Fault> {
        let Staged { stream, version, name, schema, payload, event, publishers } = self;
        let mut entry =
            NewEntry { stream, version, id, name, schema, payload, metadata: metadata.clone(), at, told: None };
        for publisher in publishers.iter() {
            let Some(event) = &event else { break };
            let Some(told) = (publisher.tell)(&**event, &entry)? else { continue };
            if entry.told.is_some() {
                return Err(Fault::internal(format!("{service}: two `#[publish]` functions speak for one `{name}`")));
            }
            entry.told = Some(told);
        }
        Ok(entry)
    }
}

fn encode<A: Aggregate>(state: &(dyn Any + Send + Sync)) -> Result<Vec<u8>, Fault> {
    let state = state.downcast_ref::<A>().ok_or_else(|| Fault::internal("an aggregate changed its type"))?;
    Ok(serde_json::to_vec(state)?)
}

/// The stream of an aggregate: `user-0190...`.
pub(crate) fn stream_of<A: Aggregate>(id: &str) -> String {
    format!("{}-{id}", A::NAME)
}

/// Databases keep microseconds; so does what is not stored yet, or the two would differ.
fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}
