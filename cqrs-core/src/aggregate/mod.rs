//! Aggregates: they decide with `&self` and change only through `apply`.
mod decision;
mod persistence;
mod repository;
pub(crate) mod unit_of_work;

pub use decision::{Decision, IntoEvents};
pub use persistence::{EventSourced, Persistence, StateStored};
pub(crate) use persistence::{Persisted, persisted};
pub use repository::Repo;

use crate::{event::Event, message::Stored};
use std::{fmt::Display, hash::Hash};

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
/// pub enum Counted { Started { id: u64 }, Up }
///
/// impl Evolve<Counted> for Counter {
///     fn create(event: &Counted) -> Option<Self> {
///         match event {
///             Counted::Started { id } => Some(Counter { id: *id, count: 0 }),
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
    type Id: Clone + Eq + Hash + Display + Send + Sync + 'static;
    /// The type of the aggregate's events.
    type Event: Event;
    /// Returns the id.
    fn id(&self) -> &Self::Id;
    /// Returns the unique values as (field, value): no two aggregates of this kind may share one. `#[unique]` writes
    /// this method.
    fn unique(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The creation and change of a state by events. It cannot fail, because events are facts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Evolve<{E}>`",
    note = "write `impl Evolve<{E}> for {Self}`: `create` makes the first state, `apply` the next"
)]
pub trait Evolve<E>: Sized {
    /// Returns the first state, or `None` if this event does not create an aggregate.
    fn create(event: &E) -> Option<Self>;
    /// Changes the state to the next one.
    fn apply(&mut self, event: &E);
}

/// Folds events into a state. Returns `None` if no event creates one; events before the creating one are skipped.
///
/// ```
/// # use cqrs_core::{Evolve, replay};
/// struct Sum(u32);
/// impl Evolve<u32> for Sum {
///     fn create(first: &u32) -> Option<Self> { Some(Sum(*first)) }
///     fn apply(&mut self, next: &u32) { self.0 += next }
/// }
/// assert_eq!(replay::<Sum, u32>(&[1, 2, 3]).unwrap().0, 6);
/// ```
pub fn replay<'e, A: Evolve<E>, E: 'e>(events: impl IntoIterator<Item = &'e E>) -> Option<A> {
    events.into_iter().fold(None, |state, event| match state {
        None => A::create(event),
        Some(mut state) => {
            state.apply(event);
            Some(state)
        }
    })
}
