//! Projections: events become views. What changes and the reader's position are one batch, so nothing is applied twice.
use crate::{
    BoxError, Context, Fault, Metadata, Recorded,
    app::{Projection, Projector, Raw, Shared, Subscriber, Unhandled},
    batch::{Batch, Rejected, ViewWrite},
    inbox::Inbox,
    parking::permanent,
    spans,
    storage::StoredView,
    unit::Unit,
    world::backoff,
};
use futures_util::FutureExt;
use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tracing::Instrument;
use uuid::Uuid;

/// The stored name of a projection's position in the own log.
pub(crate) fn reader(name: &str) -> String {
    format!("projection/{name}")
}

/// What follows events with a position of its own.
#[derive(Clone)]
pub(crate) enum Follower {
    View(Projection),
    Sql(Projector),
    /// Subscribers of one group to the own log, which have one position: one event, one batch.
    Group(&'static str, Arc<[Subscriber]>),
}
impl Follower {
    /// Whether an event of this name is for it.
    pub(crate) fn hears(&self, name: &str) -> bool {
        match self {
            Follower::View(it) => it.source.hears(name),
            Follower::Sql(it) => it.source.hears(name),
            Follower::Group(_, subscribers) => subscribers.iter().any(|it| it.source.hears(name)),
        }
    }
    pub(crate) fn reader(&self) -> String {
        match self {
            Follower::View(it) => reader(it.name),
            Follower::Sql(it) => reader(it.name),
            Follower::Group(group, _) => format!("subscriber/{group}"),
        }
    }
    /// The group it joins when it follows a topic.
    pub(crate) fn group(&self, service: &str) -> String {
        match self {
            Follower::View(it) => format!("{service}.{}", it.name),
            Follower::Sql(it) => format!("{service}.{}", it.name),
            Follower::Group(group, _) => (*group).to_owned(),
        }
    }
    /// How many events one batch may take: a subscriber's own batch is its effect.
    pub(crate) fn at_once(&self) -> usize {
        match self {
            Follower::View(_) | Follower::Sql(_) => 500,
            Follower::Group(..) => 1,
        }
    }
    /// Applies events together with what is in the batch (the reader's move, what is parked), or does neither.
    pub(crate) async fn apply(
        &self,
        shared: &Arc<Shared>,
        events: Vec<Recorded<Raw>>,
        base: Batch,
    ) -> Result<(), Rejected> {
        let heard: Vec<_> = events.into_iter().filter(|it| self.hears(&it.event.name)).collect();
        let count = heard.len();
        let (name, done) = match self {
            Follower::View(it) => {
                let span = spans::project(it.name, &heard);
                (it.name, project(shared, it, heard, base).instrument(span).await)
            }
            Follower::Sql(it) => {
                let span = spans::project(it.name, &heard);
                (it.name, run_sql(shared, it, heard, base).instrument(span).await)
            }
            Follower::Group(_, subscribers) => return subscribe(shared, subscribers, heard, base).await,
        };
        if done.is_ok() {
            shared.meter.projected(name, count);
        }
        done
    }
}

async fn project(
    shared: &Arc<Shared>,
    projection: &Projection,
    events: Vec<Recorded<Raw>>,
    base: Batch,
) -> Result<(), Rejected> {
    let mut attempt = 0;
    loop {
        let mut batch = base.clone();
        batch.views = changed(shared, projection, &events).await?;
        batch.sort();
        let done = shared.storage.commit(batch).await.map(|_| ());
        // On a conflict another projection of the same view was faster: compute again from what is there now.
        if !again(shared, &done, &mut attempt).await {
            return done;
        }
    }
}

/// Which event it was that could not be applied.
#[derive(Debug, thiserror::Error)]
#[error("event {event}")]
pub(crate) struct Unappliable {
    pub(crate) event: Uuid,
    source: BoxError,
}

/// After a conflict: waits, and says to try again. Not for ever: what can never be committed must not keep a thread to itself,
/// and whoever steps waits longer each time.
async fn again(shared: &Shared, done: &Result<(), Rejected>, attempt: &mut u32) -> bool {
    let conflict = matches!(done, Err(Rejected::Conflict { exists: false, .. }));
    if !conflict || *attempt == CONFLICTS {
        return false;
    }
    shared.world.sleep(backoff(&*shared.world, *attempt, FIRST_WAIT, LONGEST_WAIT)).await;
    *attempt += 1;
    true
}
const CONFLICTS: u32 = 12;
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(128);

/// A key's value while the events of a batch pass over it.
struct Passing {
    expected: u64,
    value: Option<Vec<u8>>,
    entries: Vec<(&'static str, Vec<u8>)>,
}

async fn changed(
    shared: &Arc<Shared>,
    projection: &Projection,
    events: &[Recorded<Raw>],
) -> Result<Vec<ViewWrite>, Fault> {
    let cannot = |id: Uuid, error: BoxError| {
        let error = Unappliable { event: id, source: error };
        Fault::internal(format!("projection {} cannot apply event {id}", projection.name)).because(error)
    };
    let mut alters = Vec::new();
    for event in events {
        let change = unless_it_panics(|| (projection.project)(event.clone())).map_err(|e| cannot(event.id, e))?;
        alters.extend(change.0.into_iter().map(|(key, alter)| (event.id, key, alter)));
    }
    let mut keys: Vec<_> = alters.iter().map(|(_, key, _)| key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let stored = shared.storage.views(projection.view, &keys).await?;
    let mut stored: HashMap<String, StoredView> = stored.into_iter().map(|it| (it.key.clone(), it)).collect();
    let mut passing: BTreeMap<String, Passing> = BTreeMap::new();
    for (id, key, alter) in alters {
        let now = passing.entry(key).or_insert_with_key(|key| {
            let found = stored.remove(key);
            let (expected, value) = found.map_or((0, None), |it| (it.version, it.value));
            Passing { expected, value, entries: Vec::new() }
        });
        let value = now.value.as_deref();
        let next = unless_it_panics(|| Ok(alter(value)?)).map_err(|e| cannot(id, e))?;
        (now.value, now.entries) = next.map_or((None, Vec::new()), |it| (Some(it.value), it.entries));
    }
    let written = passing.into_iter().filter(|(_, it)| it.expected > 0 || it.value.is_some());
    let write = |(key, it): (String, Passing)| ViewWrite {
        view: projection.view,
        key,
        expected: it.expected,
        value: it.value,
        entries: it.entries,
    };
    Ok(written.map(write).collect())
}

/// What a projection refuses it refuses the next time as well, since it is a function of the event alone; a panic may have had
/// another reason.
fn unless_it_panics<T>(run: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(permanent),
        Err(_) => Err("it panicked".into()),
    }
}

async fn run_sql(
    shared: &Arc<Shared>,
    projector: &Projector,
    events: Vec<Recorded<Raw>>,
    batch: Batch,
) -> Result<(), Rejected> {
    if events.is_empty() {
        return shared.storage.commit(batch).await.map(|_| ());
    }
    let mut tx = shared.storage.begin().await?;
    for event in events {
        let (id, metadata) = (event.id, Arc::new(caused_by(&event)));
        let context = Context { shared, unit: None, metadata: &metadata };
        let run = AssertUnwindSafe((projector.run)(&context, event, &mut *tx)).catch_unwind().await;
        run.unwrap_or_else(|_| Err(Unhandled::Failed("it panicked".into())))
            .map_err(|e| Unappliable { event: id, source: e.into() })
            .map_err(|e| Fault::internal(format!("projector {} cannot apply event {id}", projector.name)).because(e))?;
    }
    tx.commit(batch).await.map(|_| ())
}

async fn subscribe(
    shared: &Arc<Shared>,
    subscribers: &[Subscriber],
    events: Vec<Recorded<Raw>>,
    base: Batch,
) -> Result<(), Rejected> {
    let event = events.into_iter().next();
    let heard = event.and_then(|it| Some((subscribers.iter().find(|s| s.source.hears(&it.event.name))?, it)));
    let Some((subscriber, event)) = heard else {
        return shared.storage.commit(base).await.map(|_| ());
    };
    let mut attempt = 0;
    loop {
        let done = handle(shared, subscriber, event.clone(), base.clone(), None).await;
        if let Err(Rejected::Seen) = done {
            // Done before, but not by this reader, or it would have moved with it.
            return shared.storage.commit(base).await.map(|_| ());
        }
        if !again(shared, &done, &mut attempt).await {
            return done;
        }
    }
}

/// Runs a subscriber and commits what it staged with its mark and with what is in the batch; with an inbox, together with others'.
/// A message that is taken from among the parked ones has its mark already.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    subscriber: &Subscriber,
    event: Recorded<Raw>,
    base: Batch,
    inbox: Option<&Inbox>,
) -> Result<(), Rejected> {
    let (at, span) = (event.at, spans::process(shared, subscriber, &event));
    let done = run_and_commit(shared, subscriber, event, base, inbox).instrument(span).await;
    shared.meter.tried(subscriber.group, at, &*shared.world, &done);
    done
}
async fn run_and_commit(
    shared: &Arc<Shared>,
    subscriber: &Subscriber,
    event: Recorded<Raw>,
    base: Batch,
    inbox: Option<&Inbox>,
) -> Result<(), Rejected> {
    let (id, metadata) = (event.id, Arc::new(caused_by(&event)));
    let unit = Unit::caused_by(subscriber.group, id);
    let context = Context { shared, unit: Some(&unit), metadata: &metadata };
    let run = AssertUnwindSafe((subscriber.run)(&context, event)).catch_unwind().await;
    run.unwrap_or_else(|_| Err(Unhandled::Failed("it panicked".into()))).map_err(|unhandled| {
        let message = format!("group {} cannot handle message {id}", subscriber.group);
        let fault = if unit.met_trouble() { Fault::unavailable(message) } else { Fault::internal(message) };
        fault.because(unhandled)
    })?;
    let mut batch = unit.take(&*shared.world, &shared.service, &metadata)?;
    if !base.unparks.is_empty() {
        batch.marks.clear();
    }
    let Batch { events, moves, parks, unparks, .. } = base;
    batch.events.extend(events);
    (batch.moves, batch.parks, batch.unparks) = (moves, parks, unparks);
    let position = match inbox {
        Some(inbox) => inbox.commit(&*shared.storage, batch).await?,
        None => shared.storage.commit(batch).await?,
    };
    shared.committed(position);
    Ok(())
}

/// What is done because of an event belongs to its flow.
fn caused_by(event: &Recorded<Raw>) -> Metadata {
    let flow = event.metadata.correlation.or(Some(event.id));
    let Metadata { traceparent, tracestate, .. } = event.metadata.clone();
    Metadata { traceparent, tracestate, ..Metadata::default().caused_by(event.id, flow) }
}
