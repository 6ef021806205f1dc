//! Persistence of aggregates: as state beside their events, or as events alone.
use crate::{
    aggregate::{Aggregate, mapped::Table, snapshot::SnapshotPolicy},
    event::Event,
};
use std::{marker::PhantomData, sync::Arc};

/// The persistence that the wiring chose for one kind of aggregates.
pub(crate) struct Persisted<A> {
    pub(crate) stored_as: StoredAs,
    /// The table of one's own in which the aggregates are.
    pub(crate) table: Option<Arc<dyn Table<A>>>,
}

/// The persistence of one kind of aggregates, without its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAs {
    /// Is `true` if the state is stored beside the events, or in a table of one's own.
    pub(crate) row: bool,
    pub(crate) snapshots: Option<SnapshotPolicy>,
    /// Is `true` if the id of a deleted aggregate can be used again.
    pub(crate) reuses_ids: bool,
}

/// The persistence of one kind of aggregates: [`StateStored`], [`EventSourced`] or [`Mapped`](crate::Mapped). The aggregate
/// does not depend on it.
pub trait Persistence {
    /// The type of the aggregate.
    type Aggregate: Aggregate;
    /// `true` if the state is stored beside the events, `false` if the events alone are stored.
    const ROW: bool;
    /// Returns the further choices. The default is none of them.
    #[doc(hidden)]
    fn options(&self) -> PersistenceOptions {
        PersistenceOptions::default()
    }
    /// Returns the table of one's own in which the aggregates are.
    #[doc(hidden)]
    fn into_table(self) -> Option<Arc<dyn Table<Self::Aggregate>>>
    where
        Self: Sized,
    {
        None
    }
}

/// The choices of a persistence.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct PersistenceOptions {
    pub(crate) snapshot_every: Option<u32>,
    pub(crate) snapshot_mark: u32,
    pub(crate) reuses_ids: bool,
}

pub(crate) fn persisted<K: Persistence>(persistence: K) -> Persisted<K::Aggregate> {
    let PersistenceOptions { snapshot_every, snapshot_mark, reuses_ids } = persistence.options();
    let form = || {
        let state = K::Aggregate::stored_form().checked::<K::Aggregate>();
        SnapshotPolicy::form(&state, <K::Aggregate as Aggregate>::Event::VERSION, snapshot_mark)
    };
    let snapshots = snapshot_every.map(|every| SnapshotPolicy { every: every.into(), form: form() });
    Persisted { stored_as: StoredAs { row: K::ROW, snapshots, reuses_ids }, table: persistence.into_table() }
}

/// State-stored persistence: one row per aggregate with its state and version, and its events in the log.
///
/// A load reads one row.
#[derive(Debug)]
pub struct StateStored<A> {
    options: PersistenceOptions,
    of: PhantomData<fn() -> A>,
}

/// Event-sourced persistence: only the events are stored. A load folds the stream, from its last snapshot on if the
/// aggregate has snapshots.
#[derive(Debug)]
pub struct EventSourced<A> {
    options: PersistenceOptions,
    of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> StateStored<A> {
    /// Stores the state of `A` beside its events.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        StateStored { options: PersistenceOptions::default(), of: PhantomData }
    }
    /// Lets [`Repo::create`](crate::Repo::create) use the id of a deleted aggregate again. Its events follow those of the
    /// deleted one in the same stream. Default: such an id is refused as one that exists.
    ///
    /// A `create` without a `find` before it then takes one more round trip to the database.
    pub fn reuses_ids(mut self) -> Self {
        self.options.reuses_ids = true;
        self
    }
}

impl<A: Aggregate> EventSourced<A> {
    /// Stores `A` as its events alone.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        EventSourced { options: PersistenceOptions::default(), of: PhantomData }
    }
    /// Stores a snapshot of the state with every command that reaches a multiple of this number of events, so that a load
    /// folds few events however long the stream is. Default: no snapshots.
    ///
    /// With a smaller number the first load in a process folds fewer events: half of this number on average. Later loads
    /// begin with the state that the process keeps ([`ByteBudget::states`](crate::ByteBudget::states)). With a larger
    /// number fewer commands write a snapshot, which costs one more row.
    ///
    /// A snapshot is never needed: one that was written with other fields, or that does not belong to the stream, is
    /// ignored, and the next command replaces it. A change of `apply` is not visible in the fields, and neither is a new
    /// field of a nested type that is left out while it is empty; see
    /// [`snapshot_version`](EventSourced::snapshot_version).
    ///
    /// ```
    /// # use cqrs_core::{Aggregate, App, Event, EventSourced, Evolve};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(name = "sum", event = Added)]
    /// # pub struct Sum { #[id] id: u64, total: u32 }
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    /// # #[event(name = "added", version = 1)]
    /// # pub struct Added(u32);
    /// # impl Evolve<Added> for Sum {
    /// #     fn create(id: u64, first: &Added) -> Option<Self> { Some(Sum { id, total: first.0 }) }
    /// #     fn apply(&mut self, next: &Added) { self.total += next.0 }
    /// # }
    /// let app = App::builder("sums").aggregate(EventSourced::<Sum>::new().snapshot_every(100)).build();
    /// # app.unwrap();
    /// ```
    pub fn snapshot_every(mut self, events: u32) -> Self {
        self.options.snapshot_every = Some(events);
        self
    }
    /// Sets the version of the snapshots; 0 by default. Snapshots of another version are ignored.
    ///
    /// Raise it when `create` or `apply` computes another state from the same events while the fields stay the same, and
    /// with a new field of a nested type that has `skip_serializing_if`.
    pub fn snapshot_version(mut self, version: u32) -> Self {
        self.options.snapshot_mark = version;
        self
    }
    /// Lets [`Repo::create`](crate::Repo::create) use the id of a deleted aggregate again. Its events follow those of the
    /// deleted one in the same stream. Default: such an id is refused as one that exists.
    ///
    /// A `create` without a `find` before it then takes one more round trip to the database.
    pub fn reuses_ids(mut self) -> Self {
        self.options.reuses_ids = true;
        self
    }
}

impl<A: Aggregate> Persistence for StateStored<A> {
    type Aggregate = A;
    const ROW: bool = true;
    fn options(&self) -> PersistenceOptions {
        self.options
    }
}

impl<A: Aggregate> Persistence for EventSourced<A> {
    type Aggregate = A;
    const ROW: bool = false;
    fn options(&self) -> PersistenceOptions {
        self.options
    }
}
