//! Aggregates: they decide with `&self` and change only through `apply`.
mod decision;
mod history;
pub(crate) mod mapped;
mod mark;
mod persistence;
mod repository;
mod snapshot;
pub(crate) mod unit_of_work;
mod untyped;

pub use decision::{Decision, IntoEvents};
pub use history::{History, HistoryEntry, HistoryMark};
pub use mapped::{Foreign, ForeignTable, Mapped, Mapping, RowLock};
pub(crate) use mark::{PAYLOAD, ROW_REBUILT, reserved};
#[doc(hidden)]
pub use persistence::PersistenceOptions;
pub use persistence::{EventSourced, Persistence, StateStored};
pub(crate) use persistence::{Persisted, StoredAs, persisted};
pub use repository::Repo;
pub(crate) use untyped::{Folding, UniqueValues, UntypedReader};

use crate::{codec::PersonalFields, event::AggregateEvent, id::AggregateId, message::Stored, stored_form::StoredForm};

/// A consistency boundary: it decides with `&self`, and only its events change it.
///
/// Decisions are plain methods with `&self` that return events or a domain error. An aggregate does not depend on its
/// persistence: one line of wiring chooses it ([`StateStored`] or
/// [`EventSourced`]).
///
/// ```
/// use cqrs_core::{Aggregate, Event, Evolve};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// #[aggregate(name = "counter", event = Counted)]
/// pub struct Counter {
///     #[id]
///     id: u64,
///     count: u64,
/// }
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "counted", version = 1)]
/// pub enum Counted { Started, Up }
///
/// impl Evolve<Counted> for Counter {
///     fn create(id: u64, event: &Counted) -> Option<Self> {
///         match event {
///             Counted::Started => Some(Counter { id, count: 0 }),
///             Counted::Up => None,
///         }
///     }
///     fn apply(&mut self, event: &Counted) {
///         if let Counted::Up = event { self.count += 1 }
///     }
/// }
/// ```
pub trait Aggregate: Evolve<Self::Event> + Clone + Stored + Send + Sync + 'static {
    /// The name under which states and streams are stored.
    const NAME: &'static str;
    /// The type of the aggregate's id.
    type Id: AggregateId;
    /// The type of the aggregate's events.
    type Event: AggregateEvent<Id = Self::Id>;
    /// The unique fields. `#[unique]` writes this constant.
    const UNIQUE: &'static [&'static str] = &[];
    /// The personal fields. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// The unique fields that are personal: their values are reserved as keyed hashes. `#[personal]` writes this
    /// constant.
    #[doc(hidden)]
    const PERSONAL_UNIQUE: &'static [&'static str] = &[];
    /// Returns the id.
    fn id(&self) -> &Self::Id;
    /// Returns the unique values as (field, value): no two aggregates of this kind may share one. `#[unique]` writes
    /// this method.
    fn unique(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    /// Returns the description of the stored form. The derive writes this method. The default describes nothing, so nothing
    /// is compared at the start of a changed program.
    #[doc(hidden)]
    fn stored_form() -> StoredForm {
        StoredForm::default()
    }
}

/// The creation and change of a state by events. It cannot fail, because events are facts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Evolve<{E}>`",
    note = "write `impl Evolve<{E}> for {Self}`: `create` makes the first state, `apply` the next"
)]
pub trait Evolve<E: AggregateEvent>: Sized {
    /// Returns the first state of the aggregate with this id, or `None` if this event does not create an aggregate.
    fn create(id: E::Id, event: &E) -> Option<Self>;
    /// Changes the state to the next one.
    fn apply(&mut self, event: &E);
}

/// Folds the events of the aggregate with this id into a state. Returns `None` if no event creates one; events before
/// the creating one are skipped.
///
/// ```
/// # use cqrs_core::{Aggregate, Event, Evolve, replay};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "sum", event = Added)]
/// # pub struct Sum { #[id] id: u64, total: u32 }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "added", version = 1)]
/// # pub struct Added(u32);
/// impl Evolve<Added> for Sum {
///     fn create(id: u64, first: &Added) -> Option<Self> { Some(Sum { id, total: first.0 }) }
///     fn apply(&mut self, next: &Added) { self.total += next.0 }
/// }
/// let sum: Sum = replay(&7, &[Added(1), Added(2), Added(3)]).unwrap();
/// assert_eq!((sum.id, sum.total), (7, 6));
/// ```
pub fn replay<'e, A: Evolve<E>, E: AggregateEvent>(id: &E::Id, events: impl IntoIterator<Item = &'e E>) -> Option<A> {
    events.into_iter().fold(None, |state, event| match state {
        None => A::create(id.clone(), event),
        Some(mut state) => {
            state.apply(event);
            Some(state)
        }
    })
}
