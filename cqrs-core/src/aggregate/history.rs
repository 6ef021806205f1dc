//! The history of an aggregate: its state at a version or a time, and its recorded events.
use crate::{
    Timestamp,
    aggregate::mark::{DELETED, reserved},
    aggregate::{Aggregate, repository::apply_event},
    error::Fault,
    event::{Entry, Recorded, StreamEvent, Subscribable, decode, stream_of},
    metadata::Metadata,
    runtime::Runtime,
    storage::ReadLimit,
    transport::envelope::from_log,
};
use std::{fmt, marker::PhantomData, sync::Arc};
use uuid::Uuid;

/// The largest part of a stream that one read returns. The fold of a long stream holds no more.
const PAGE: ReadLimit = ReadLimit { entries: 500, bytes: 1 << 20 };

/// The history of the aggregates of one kind, for queries and commands.
///
/// It reads the events, also those that were archived, whether the aggregate is state-stored or event-sourced. Nothing can
/// be staged from it: a past state is no basis for a decision.
///
/// ```no_run
/// # use cqrs_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "price", event = Priced)]
/// # pub struct Price { #[id] id: u64, cents: u64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "priced", version = 1)]
/// # pub struct Priced(u64);
/// # impl Evolve<Priced> for Price {
/// #     fn create(id: u64, event: &Priced) -> Option<Self> { Some(Price { id, cents: event.0 }) }
/// #     fn apply(&mut self, event: &Priced) { self.cents = event.0 }
/// # }
/// #[derive(Clone, Query)]
/// struct PriceAt { id: u64, time: Timestamp }
///
/// #[handler]
/// async fn price_at(query: PriceAt, prices: History<Price>) -> HandlerResult<Option<u64>> {
///     Ok(prices.as_of(&query.id, query.time).await?.map(|price| price.cents))
/// }
/// ```
pub struct History<A> {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) of: PhantomData<fn() -> A>,
}

/// One entry of an aggregate's history.
#[derive(Clone)]
#[non_exhaustive]
pub enum HistoryEntry<E: Subscribable> {
    /// An event of the aggregate.
    Event(Recorded<E>),
    /// The end of the aggregate. Events after it belong to another aggregate with the same id.
    Deleted(HistoryMark),
    /// The stored row was rebuilt from the events. The state did not change.
    RowRebuilt(HistoryMark),
}

/// An entry of the framework in an aggregate's history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryMark {
    /// The number of the entry in its stream.
    pub version: u64,
    /// The id of the entry.
    pub id: Uuid,
    /// See [`Recorded::occurred_at`].
    pub occurred_at: Timestamp,
    /// Caller, cause and trace context.
    pub metadata: Metadata,
}

impl<E: Subscribable> HistoryEntry<E> {
    /// Returns the number of the entry in its stream.
    pub fn version(&self) -> u64 {
        match self {
            HistoryEntry::Event(recorded) => recorded.version,
            HistoryEntry::Deleted(mark) | HistoryEntry::RowRebuilt(mark) => mark.version,
        }
    }
    /// Returns the event, if the entry is one.
    pub fn event(&self) -> Option<&Recorded<E>> {
        if let HistoryEntry::Event(recorded) = self { Some(recorded) } else { None }
    }
}

impl<E: Subscribable> PartialEq for HistoryEntry<E>
where
    Recorded<E>: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (HistoryEntry::Event(one), HistoryEntry::Event(other)) => one == other,
            (HistoryEntry::Deleted(one), HistoryEntry::Deleted(other))
            | (HistoryEntry::RowRebuilt(one), HistoryEntry::RowRebuilt(other)) => one == other,
            _ => false,
        }
    }
}
impl<E: Subscribable> fmt::Debug for HistoryEntry<E>
where
    Recorded<E>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryEntry::Event(recorded) => f.debug_tuple("Event").field(recorded).finish(),
            HistoryEntry::Deleted(mark) => f.debug_tuple("Deleted").field(mark).finish(),
            HistoryEntry::RowRebuilt(mark) => f.debug_tuple("RowRebuilt").field(mark).finish(),
        }
    }
}

impl<A: Aggregate> History<A> {
    /// Returns the aggregate with this id as it was after its event with this version, or `None` if there was none:
    /// it was not created yet, it was deleted, or the stream has no such version.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or an event up to the version cannot be decoded.
    pub async fn at_version(&self, id: &A::Id, version: u64) -> Result<Option<A>, Fault> {
        let (state, last) = self.fold(id, |entry| entry.version <= version).await?;
        Ok(state.filter(|_| last == version))
    }
    /// Returns the aggregate with this id as it was at a time, or `None` if there was none. It has the events before the
    /// first one that is later than the time.
    ///
    /// Events have the wall-clock time of the process that decided them ([`Recorded::occurred_at`]), so the result is as
    /// exact as these clocks. It never has an event without the events before it.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or an event up to the time cannot be decoded.
    pub async fn as_of(&self, id: &A::Id, time: Timestamp) -> Result<Option<A>, Fault> {
        Ok(self.fold(id, |entry| entry.occurred_at <= time).await?.0)
    }
    /// Returns up to `limit` entries of the aggregate's history after a version, in order: a page, which can have fewer
    /// if its events are large. The next page begins after the version of the last entry, and the page after the last
    /// entry is empty.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or an event of the page cannot be decoded.
    pub async fn events(&self, id: &A::Id, after: u64, limit: usize) -> Result<Vec<HistoryEntry<A::Event>>, Fault> {
        let limit = ReadLimit { entries: limit, ..PAGE };
        let page = self.runtime.storage.stream_page(&stream_of(A::NAME, id), after, limit).await?;
        page.into_iter().map(entry_of).collect()
    }

    /// Folds the events up to the first that is not included. Returns the state and the version of the last event.
    async fn fold(&self, id: &A::Id, includes: impl Fn(&Entry) -> bool) -> Result<(Option<A>, u64), Fault> {
        let (stream, mut state, mut last) = (stream_of(A::NAME, id), None, 0);
        loop {
            let page = self.runtime.storage.stream_page(&stream, last, PAGE).await?;
            let is_last = !PAGE.is_reached_by(&page);
            for entry in page {
                if !includes(&entry) {
                    return Ok((state, last));
                }
                let event = StreamEvent::from(entry);
                apply_event(id, &mut state, &event)?;
                last = event.version;
            }
            if is_last {
                return Ok((state, last));
            }
        }
    }
}

fn entry_of<E: Subscribable>(entry: Entry) -> Result<HistoryEntry<E>, Fault> {
    if reserved(&entry.name).is_some() {
        let Entry { version, id, occurred_at, metadata, .. } = entry;
        let mark = HistoryMark { version, id, occurred_at, metadata };
        return Ok(if entry.name == DELETED { HistoryEntry::Deleted(mark) } else { HistoryEntry::RowRebuilt(mark) });
    }
    let (stream, version) = (entry.stream.clone(), entry.version);
    let unread = |error| Fault::internal(format!("{stream} {version} cannot be read")).because(error);
    decode(from_log(entry)).map(HistoryEntry::Event).map_err(unread)
}

impl<A: Aggregate> fmt::Debug for History<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "History<{}>", A::NAME)
    }
}
