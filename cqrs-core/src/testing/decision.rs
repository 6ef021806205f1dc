//! Given-when-then tests of an aggregate, without a storage.
use crate::aggregate::{Aggregate, IntoEvents, replay};
use std::fmt::Debug;

/// Starts a test of the aggregate with this id and with the events of its past.
///
/// ```
/// use cqrs_core::{Aggregate, DomainError, Event, Evolve, testing::given};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "door", event = DoorEvent)]
/// # struct Door { #[id] id: u64, open: bool }
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "door", version = 1)]
/// # enum DoorEvent { Built, Opened }
/// # #[derive(Debug, PartialEq, thiserror::Error, DomainError)]
/// # #[kind(precondition)]
/// # enum DoorError { #[error("open already")] Open }
/// # impl Door { fn open(&self) -> Result<DoorEvent, DoorError> { if self.open { Err(DoorError::Open) } else { Ok(DoorEvent::Opened) } } }
/// # impl Evolve<DoorEvent> for Door {
/// #     fn create(id: u64, event: &DoorEvent) -> Option<Self> { match event { DoorEvent::Built => Some(Door { id, open: false }), _ => None } }
/// #     fn apply(&mut self, event: &DoorEvent) { if let DoorEvent::Opened = event { self.open = true } }
/// # }
/// given::<Door>(1, [DoorEvent::Built]).when(Door::open).then([DoorEvent::Opened]);
/// given::<Door>(1, [DoorEvent::Built, DoorEvent::Opened]).when(Door::open).then_rejected(DoorError::Open);
/// ```
///
/// # Panics
/// Panics if the events do not create the aggregate.
#[track_caller]
pub fn given<A: Aggregate>(id: A::Id, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let events: Vec<_> = events.into_iter().collect();
    let Some(state) = replay::<A, A::Event>(&id, &events) else { panic!("these events do not create a {}", A::NAME) };
    Given { state }
}

/// An aggregate under test, built from the events of its past.
#[derive(Debug)]
#[must_use = "continue with `when`"]
pub struct Given<A> {
    state: A,
}
impl<A: Aggregate> Given<A> {
    /// Makes the decision under test.
    pub fn when<D: IntoEvents<A::Event>, E>(self, decide: impl FnOnce(&A) -> Result<D, E>) -> When<A, E> {
        let decided = decide(&self.state).map(IntoEvents::into_events);
        When { state: self.state, decided }
    }
}

/// The decision of an aggregate under test.
#[derive(Debug)]
#[must_use = "check the decision with `then`, `then_rejected` or `then_state`"]
pub struct When<A: Aggregate, E> {
    state: A,
    decided: Result<Vec<A::Event>, E>,
}
impl<A: Aggregate, E: Debug> When<A, E> {
    /// Checks that the decision returned exactly these events.
    ///
    /// # Panics
    /// Panics if it returned other events or an error.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>)
    where
        A::Event: Debug + PartialEq,
    {
        match self.decided {
            Ok(decided) => assert_eq!(decided, events.into_iter().collect::<Vec<_>>()),
            Err(error) => panic!("rejected: {error:?}"),
        }
    }
    /// Checks that the decision was rejected with this error.
    ///
    /// # Panics
    /// Panics if it returned events or another error.
    #[track_caller]
    pub fn then_rejected(self, error: E)
    where
        A::Event: Debug,
        E: PartialEq,
    {
        match self.decided {
            Ok(events) => panic!("not rejected: {events:?}"),
            Err(rejection) => assert_eq!(rejection, error),
        }
    }
    /// Applies the decided events and passes the new state to `look`.
    ///
    /// # Panics
    /// Panics if the decision returned an error, or if `look` panics.
    #[track_caller]
    pub fn then_state(mut self, look: impl FnOnce(&A)) {
        match self.decided {
            Ok(events) => events.iter().for_each(|event| self.state.apply(event)),
            Err(error) => panic!("rejected: {error:?}"),
        }
        look(&self.state);
    }
}
