//! Aggregates decide with `&self` and change only by `apply`.
use crate::{Event, Stored};
use std::{fmt::Display, hash::Hash};

/// A consistency boundary: it decides what happens, and changes only by what happened.
///
/// Decisions are plain methods with `&self` that return events or a domain error. Whether the state or the events are stored is
/// not visible here; it is one line of wiring ([`Rows`](crate::Rows) or [`Streams`](crate::Streams)).
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
    /// The name rows and streams are stored under.
    const NAME: &'static str;
    /// What identifies one.
    type Id: Clone + Eq + Hash + Display + Send + Sync + 'static;
    /// What can happen to it.
    type Event: Event;
    /// Its identity.
    fn id(&self) -> &Self::Id;
    /// The values that no two of its kind may share: (field, value). Written by `#[unique]`.
    fn unique(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// How events make and change a state. Cannot fail: what happened, happened.
#[diagnostic::on_unimplemented(
    message = "nothing says how `{E}` changes `{Self}`",
    note = "write `impl Evolve<{E}> for {Self}`: `create` makes the first state, `apply` the next"
)]
pub trait Evolve<E>: Sized {
    /// The first state, if this event is one that creates.
    fn create(event: &E) -> Option<Self>;
    /// The next state.
    fn apply(&mut self, event: &E);
}

/// Folds events into a state; `None` before the first creating one.
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

/// What a decision may return: an event, an `Option`, a `Vec` or an array of events, or `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a decision about `{E}` returns",
    note = "return an event, an `Option`, a `Vec` or an array of events"
)]
pub trait IntoEvents<E> {
    /// The events, in order.
    fn into_events(self) -> Vec<E>;
}
impl<E: Event> IntoEvents<E> for E {
    fn into_events(self) -> Vec<E> {
        vec![self]
    }
}
impl<E: Event> IntoEvents<E> for Vec<E> {
    fn into_events(self) -> Vec<E> {
        self
    }
}
impl<E: Event> IntoEvents<E> for Option<E> {
    fn into_events(self) -> Vec<E> {
        self.into_iter().collect()
    }
}
impl<E: Event, const N: usize> IntoEvents<E> for [E; N] {
    fn into_events(self) -> Vec<E> {
        self.into()
    }
}
