//! An event as a subscriber receives it: with its id, its cause and its place.
use crate::{Metadata, Timestamp};
use std::ops::Deref;
use uuid::Uuid;

/// An event with what is known of it. Derefs to the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// What happened.
    pub event: E,
    /// Made once; the same in every delivery.
    pub id: Uuid,
    /// The stream it belongs to.
    pub stream: String,
    /// Its number there.
    pub version: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// Who and why. `causation` is what caused the event; this event is [`id`](Recorded::id).
    pub metadata: Metadata,
}
impl<E> Deref for Recorded<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}
impl<E> Recorded<E> {
    /// The same with another event in it.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> Recorded<F> {
        let Recorded { event, id, stream, version, at, metadata } = self;
        Recorded { event: f(event), id, stream, version, at, metadata }
    }
}
