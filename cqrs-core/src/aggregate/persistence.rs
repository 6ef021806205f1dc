//! Persistence of aggregates: as state beside their events, or as events alone.
use crate::aggregate::{Aggregate, mapped::Table};
use std::{marker::PhantomData, sync::Arc};

/// The persistence that the wiring chose for one kind of aggregates.
pub(crate) struct Persisted<A> {
    pub(crate) row: bool,
    /// The table of one's own in which the aggregates are.
    pub(crate) table: Option<Arc<dyn Table<A>>>,
}

/// The persistence of one kind of aggregates: [`StateStored`], [`EventSourced`] or [`Mapped`](crate::Mapped). The aggregate does not depend on it.
pub trait Persistence {
    /// The type of the aggregate.
    type Aggregate: Aggregate;
    /// `true` if the state is stored beside the events, `false` if the events alone are stored.
    const ROW: bool;
    /// Returns the table of one's own in which the aggregates are.
    #[doc(hidden)]
    fn into_table(self) -> Option<Arc<dyn Table<Self::Aggregate>>>
    where
        Self: Sized,
    {
        None
    }
}

pub(crate) fn persisted<K: Persistence>(persistence: K) -> Persisted<K::Aggregate> {
    Persisted { row: K::ROW, table: persistence.into_table() }
}

/// State-stored persistence: one row per aggregate with its state and version, and its events in the log.
///
/// A load reads one row.
#[derive(Debug)]
pub struct StateStored<A>(PhantomData<fn() -> A>);

/// Event-sourced persistence: only the events are stored. A load folds the stream.
#[derive(Debug)]
pub struct EventSourced<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> StateStored<A> {
    /// Stores the state of `A` beside its events.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        StateStored(PhantomData)
    }
}

impl<A: Aggregate> EventSourced<A> {
    /// Stores `A` as its events alone.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        EventSourced(PhantomData)
    }
}

impl<A: Aggregate> Persistence for StateStored<A> {
    type Aggregate = A;
    const ROW: bool = true;
}

impl<A: Aggregate> Persistence for EventSourced<A> {
    type Aggregate = A;
    const ROW: bool = false;
}
