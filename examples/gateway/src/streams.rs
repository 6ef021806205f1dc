//! The open event streams: their number for each person, and their end at a logout or a shutdown.
use crate::error::Error;
use cqrs_core::net::connection_limit;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// The largest number of open streams of a person: some tabs on some devices.
const OPEN: usize = 8;
/// The largest number of streams on the one connection to the service, which allows 1,024 calls.
const ON_ONE_CONNECTION: usize = 1000;
/// The time after which a refused client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The open streams of this gateway.
pub(crate) struct OpenStreams {
    state: Arc<Mutex<State>>,
    /// The largest number of all streams.
    most: usize,
}

#[derive(Default)]
struct State {
    /// For each person with open streams, the sender whose end ends them.
    open: HashMap<Uuid, watch::Sender<()>>,
    /// The number of all streams.
    total: usize,
    /// Set when the gateway stops.
    is_ended: bool,
}

impl OpenStreams {
    /// Allows streams on half of the connections, so that the others stay free for requests.
    pub(crate) fn new() -> Self {
        OpenStreams::with((connection_limit() / 2).min(ON_ONE_CONNECTION))
    }
    fn with(most: usize) -> Self {
        OpenStreams { state: Arc::default(), most }
    }
    /// Counts a new stream of a person, until the result is dropped.
    ///
    /// # Errors
    /// Fails when there are too many open streams of the person or of all, and when the gateway stops.
    pub(crate) fn open(&self, person: Uuid) -> Result<StreamPermit, Error> {
        let mut state = locked(&self.state);
        if state.is_ended {
            return Err(Error::down(Vec::new()));
        }
        if state.total >= self.most {
            return Err(Error::too_many(RETRY_AFTER));
        }
        let end = state.open.entry(person).or_default();
        if end.receiver_count() >= OPEN {
            return Err(Error::too_many(RETRY_AFTER).because(format!("at most {OPEN} open event streams")));
        }
        let end = Some(end.subscribe());
        state.total += 1;
        Ok(StreamPermit { person, end, state: self.state.clone() })
    }
    /// Ends the open streams of a person. Their clients may open new ones while they have a session.
    pub(crate) fn end(&self, person: Uuid) {
        locked(&self.state).open.remove(&person);
    }
    /// Ends all open streams, and refuses new ones.
    pub(crate) fn end_all(&self) {
        let mut state = locked(&self.state);
        state.is_ended = true;
        state.open.clear();
    }
}

/// An open stream of a person.
pub(crate) struct StreamPermit {
    person: Uuid,
    end: Option<watch::Receiver<()>>,
    state: Arc<Mutex<State>>,
}
impl StreamPermit {
    /// Waits until the stream has to end.
    pub(crate) async fn ended(&mut self) {
        if let Some(end) = &mut self.end {
            // Nothing is ever sent, so this is the end of the sender.
            let _ = end.changed().await;
        }
    }
}
impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.end = None;
        let mut state = locked(&self.state);
        state.total -= 1;
        if state.open.get(&self.person).is_some_and(|end| end.receiver_count() == 0) {
            state.open.remove(&self.person);
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{OPEN, OpenStreams, locked};
    use uuid::Uuid;

    #[tokio::test]
    async fn each_person_has_a_number_of_streams_that_end_together() {
        let (streams, kim, lee) = (OpenStreams::with(OPEN + 2), Uuid::from_u128(1), Uuid::from_u128(2));
        let mut open: Vec<_> = (0..OPEN).map(|_| streams.open(kim).unwrap()).collect();
        assert!(streams.open(kim).is_err());
        let mut other = streams.open(lee).unwrap();
        let last = streams.open(lee).unwrap();
        assert!(streams.open(lee).is_err(), "there are too many of all persons");
        drop(last);
        drop(open.pop());
        open.push(streams.open(kim).unwrap());
        streams.end(kim);
        for stream in &mut open {
            stream.ended().await;
        }
        let again = streams.open(kim).unwrap();
        drop(open);
        assert_eq!(locked(&streams.state).open.len(), 2, "the former streams do not count");
        drop(again);
        assert_eq!(locked(&streams.state).open.len(), 1, "nothing is kept of a person without a stream");
        streams.end_all();
        other.ended().await;
        assert!(streams.open(lee).is_err(), "the gateway stops");
    }
}
