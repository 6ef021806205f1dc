//! The parking filter of a follower: parks events that cannot be applied, with the later events of their keys.
use crate::{
    consumer::Follower,
    consumer::follower::FailedEvent,
    consumer::parking::failure::{FailureKind, failure_kind},
    consumer::parking::{head, in_words},
    error::BoxError,
    event::RawEvent,
    runtime::Runtime,
    storage::{Batch, CommitError, Park},
};
use std::{collections::BTreeSet, error::Error, sync::Arc};
use uuid::Uuid;

/// An event for a follower, with the message to park when the event cannot be applied.
pub(crate) struct Item {
    pub(crate) event: Result<RawEvent, BoxError>,
    pub(crate) park: Park,
}

#[derive(Default)]
pub(crate) struct ParkingFilter {
    /// Keys with parked messages. Others park for this reader only with a move of its checkpoint, so after the first
    /// read the set can only hold too many keys.
    keys: Option<BTreeSet<String>>,
    /// The event that could not be applied the last time.
    failure: Option<EventFailure>,
}
struct EventFailure {
    message: Uuid,
    failures: u32,
    /// The reason for which it is parked next; `None` while it is tried again.
    reason: Option<String>,
}

impl ParkingFilter {
    /// Applies the events that can be applied and parks the others, in one transaction with the batch, which holds the
    /// checkpoint move and the inbox records.
    pub(crate) async fn pass(
        &mut self,
        runtime: &Arc<Runtime>,
        follower: &Follower,
        items: Vec<Item>,
        base: Batch,
    ) -> Result<(), CommitError> {
        if self.keys.is_none() {
            let parked = runtime.storage.parked_keys(&[follower.reader()]).await?;
            self.keys = Some(parked.into_iter().map(|parked| parked.key).collect());
        }
        let mut fresh = BTreeSet::new();
        let (mut events, mut parks) = (Vec::new(), Vec::new());
        for Item { event, park } in items {
            if event.as_ref().is_ok_and(|event| !follower.handles(&event.name)) {
                continue;
            }
            let failure = self.failure.as_ref().filter(|failure| failure.message == park.message);
            let given_up = failure.and_then(|failure| Some((failure.reason.clone()?, failure.failures)));
            if fresh.contains(&park.key) {
                // The first message of the key is parked in the same batch.
                parks.push(Park { behind: false, ..park });
            } else if self.keys.as_ref().is_some_and(|keys| keys.contains(&park.key)) {
                parks.push(park);
            } else if let Some((reason, failures)) = given_up {
                fresh.insert(park.key.clone());
                parks.push(head(park, reason, failures));
            } else {
                match event {
                    Ok(event) => events.push(event),
                    Err(error) => {
                        fresh.insert(park.key.clone());
                        parks.push(head(park, in_words(&*error), 1));
                    }
                }
            }
        }
        for parked in parks.iter().filter(|park| park.attempts > 0) {
            let (reader, key, message) = (&parked.reader, &parked.key, parked.message);
            let error = &parked.error;
            tracing::error!(reader, key, %message, error, "message parked, with the later messages of its key");
        }
        let only = (events.len() == 1).then(|| events[0].id);
        match follower.apply(runtime, events, Batch { parks, ..base }).await {
            Ok(()) => {
                self.failure = None;
                self.keys.get_or_insert_default().extend(fresh);
                Ok(())
            }
            Err(rejected) => {
                // Another process may have moved the checkpoint, or the batch was committed and the response was lost.
                // Read the parked keys again in both cases.
                self.keys = None;
                if let Some(message) = failed_event(&rejected).or(only) {
                    self.note(runtime, message, &rejected);
                }
                Err(rejected)
            }
        }
    }
    /// Counts the failure. After the last attempt, the next step parks the event.
    fn note(&mut self, runtime: &Runtime, message: Uuid, rejected: &CommitError) {
        let kind = failure_kind(rejected);
        if kind == FailureKind::Transient {
            return;
        }
        let before = self.failure.take().filter(|failure| failure.message == message);
        let failures = before.map_or(0, |failure| failure.failures) + 1;
        let over = kind == FailureKind::Permanent || failures >= runtime.retry_policy.attempts;
        self.failure = Some(EventFailure { message, failures, reason: over.then(|| in_words(rejected)) });
    }
}

/// Returns the event that could not be applied, if the error names it.
fn failed_event(rejected: &CommitError) -> Option<Uuid> {
    let CommitError::Fault(fault) = rejected else { return None };
    let mut next: Option<&(dyn Error + 'static)> = Some(fault);
    while let Some(cause) = next {
        if let Some(FailedEvent { event, .. }) = cause.downcast_ref() {
            return Some(*event);
        }
        next = cause.source();
    }
    None
}
