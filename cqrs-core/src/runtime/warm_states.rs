//! The states of event-sourced aggregates that this process has folded last. The next load folds only the events after them.
use super::RecentValues;
use crate::event::StreamEvent;
use serde::Serialize;
use std::{any::Any, io, sync::Arc};
use uuid::Uuid;

/// The states that an app keeps.
///
/// A state is only a base for the events that follow it, so it may be older than the stream. It is used if the stream still has
/// the event with which it ends. Another database, or one that was restored, has another event there.
#[derive(Debug)]
pub(crate) struct WarmStates(RecentValues<StateAtEvent>);

#[derive(Debug, Clone)]
struct StateAtEvent {
    state: Arc<dyn Any + Send + Sync>,
    version: u64,
    last: Uuid,
}
/// A state, and the event with which it ends.
pub(crate) struct WarmState<A> {
    pub(crate) state: Arc<A>,
    pub(crate) version: u64,
    last: Uuid,
}

impl WarmStates {
    /// Creates a store for states of up to this many bytes in their stored form.
    pub(crate) fn new(bytes: usize) -> Self {
        WarmStates(RecentValues::new(bytes))
    }
    /// Returns the state that was kept last for a stream.
    pub(crate) fn find<A: Send + Sync + 'static>(&self, stream: &str) -> Option<WarmState<A>> {
        let StateAtEvent { state, version, last } = self.0.get(stream)?;
        Some(WarmState { state: state.downcast().ok()?, version, last })
    }
    /// Keeps the state after an event of its stream.
    pub(crate) fn keep<A: Serialize + Send + Sync + 'static>(
        &self,
        stream: String,
        state: &Arc<A>,
        last: &StreamEvent,
    ) {
        if self.0.limit() == 0 {
            return;
        }
        let mut size = Size(0);
        // A state that has no stored form is not kept. The commit of its snapshot reports it.
        if serde_json::to_writer(&mut size, &**state).is_ok() {
            let kept = StateAtEvent { state: state.clone(), version: last.version, last: last.id };
            self.0.keep([(stream, kept, size.0)]);
        }
    }
}
impl<A> WarmState<A> {
    /// Returns the version after which the stream is read, so that it begins with the last event of the state.
    pub(crate) fn before(&self) -> u64 {
        self.version.saturating_sub(1)
    }
    /// Returns the events after the state, or `None` if the stream has another event in place of the last one.
    pub(crate) fn later(&self, mut events: Vec<StreamEvent>) -> Option<Vec<StreamEvent>> {
        let first = events.first()?;
        let is_last = first.version == self.version && first.id == self.last;
        is_last.then(|| events.split_off(1))
    }
}

/// Counts the bytes that are written to it.
struct Size(usize);
impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
