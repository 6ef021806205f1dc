//! Recorded events: an event with its id, stream, version, time and metadata.
use crate::{Timestamp, metadata::Metadata};
use std::ops::Deref;
use uuid::Uuid;

/// An event with its id, stream, version, time and metadata. Dereferences to the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// The event itself.
    pub event: E,
    /// Id of the event, created once. It is the same in every delivery.
    pub id: Uuid,
    /// The stream of the event: aggregate name and id, such as `user-0190...`.
    pub stream: String,
    /// The number of the event in its stream, from 1 without gaps.
    pub version: u64,
    /// Time at which the unit of work was closed, just before its commit, by the clock of the process that decided it.
    pub at: Timestamp,
    /// Caller, cause and trace context. `causation` is the id of the cause; the id of this event is
    /// [`id`](Recorded::id).
    pub metadata: Metadata,
}
impl<E> Deref for Recorded<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}
impl<E> Recorded<E> {
    /// Replaces the event and keeps everything else.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> Recorded<F> {
        let Recorded { event, id, stream, version, at, metadata } = self;
        Recorded { event: f(event), id, stream, version, at, metadata }
    }
}
