//! Recorded events: an event with its aggregate's id, its own id, stream, version, time and metadata.
use crate::{Timestamp, event::Subscribable, metadata::Metadata};
use std::ops::Deref;
use uuid::Uuid;

/// An event with its aggregate's id, its own id, stream, version, time and metadata. Dereferences to the event.
///
/// ```
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "user", event = UserRegistered)]
/// # struct User { #[id] id: u64 }
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user.registered", version = 1)]
/// # pub struct UserRegistered { email: String }
/// # impl Evolve<UserRegistered> for User {
/// #     fn create(id: u64, _: &UserRegistered) -> Option<Self> { Some(User { id }) }
/// #     fn apply(&mut self, _: &UserRegistered) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, View)]
/// # #[view(name = "address", key = u64)]
/// # pub struct Address { email: String }
/// use cqrs_core::{Change, Recorded, View, projection};
///
/// #[projection(name = "address")]
/// fn address(event: &Recorded<UserRegistered>) -> Change<Address> {
///     Address { email: event.email.clone() }.put(event.aggregate_id)
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E: Subscribable> {
    /// The event itself.
    pub event: E,
    /// The id of the aggregate whose event this is, in its own type. It is `()` for an integration event, which names
    /// its subject in its own fields.
    pub aggregate_id: E::AggregateId,
    /// Id of the event, created once. It is the same in every delivery.
    pub id: Uuid,
    /// The stream of the event: aggregate name and id, such as `user/0190...`.
    pub stream: String,
    /// The number of the event in its stream, from 1. The end of an aggregate and a rebuilt row take a number as well.
    pub version: u64,
    /// Time at which the handler had returned and its unit of work was closed, before the commit, by the wall clock of
    /// the process that decided it. It is truncated to microseconds.
    ///
    /// All events of one command have the same time. A command that is retried after a conflict gets the time of its
    /// last attempt. The time does not order events: two processes have two clocks, and a clock can be set back, so a
    /// later event of the same aggregate can have an earlier time. [`version`](Recorded::version) orders the events of
    /// an aggregate.
    ///
    /// The time of an integration event is that of the domain event from which it was published (header `ce_time`).
    /// A record without this header has the start of 1970.
    pub occurred_at: Timestamp,
    /// Caller, cause and trace context. `causation` is the id of the cause; the id of this event is
    /// [`id`](Recorded::id).
    pub metadata: Metadata,
}
impl<E: Subscribable> Deref for Recorded<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}
