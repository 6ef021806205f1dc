//! The parking filter of a follower: parks events that cannot be applied, with the later events of their keys.
use crate::{
    consumer::Follower,
    consumer::follower::FailedEvent,
    consumer::newer_program::{LeftToNewerProgram, is_left},
    consumer::parking::batch_size::BatchSize,
    consumer::parking::failure::{FailureKind, class_of, failure_kind},
    consumer::parking::{ParkedKeys, behind, head},
    error::{BoxError, Fault, causes, describe},
    event::RawEvent,
    runtime::Runtime,
    storage::{Batch, CheckpointMove, CommitError, Park},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// An event for a follower, with the message to park when the event cannot be applied.
pub(crate) struct Item {
    pub(crate) event: Result<RawEvent, BoxError>,
    pub(crate) park: Park,
}

#[derive(Default)]
pub(crate) struct ParkingFilter {
    /// The keys with parked messages; `None` until they are read.
    keys: Option<ParkedKeys>,
    /// The events after the checkpoint that could not be applied.
    failures: HashMap<Uuid, EventFailure>,
    pub(crate) size: BatchSize,
}
/// A message of a batch, with its key and the event by which its circuit breaker is found.
struct Message {
    id: Uuid,
    key: String,
    breaker: String,
}
/// The failures of one event.
#[derive(Default)]
struct EventFailure {
    failures: u32,
    /// The failures while the circuit breaker was open.
    probes: u32,
    /// The reason for which it is parked next; `None` while it is tried again.
    reason: Option<String>,
    /// Set when its prospects were unknown to the last attempt.
    is_suspect: bool,
}

impl ParkingFilter {
    /// Applies the events that can be applied and parks the others, in one transaction with the batch, which holds the
    /// checkpoint move and the inbox records. `count` is the number of events that [`BatchSize::next`] has returned.
    pub(crate) async fn pass(
        &mut self,
        runtime: &Arc<Runtime>,
        follower: &Follower,
        items: Vec<Item>,
        count: usize,
        base: Batch,
    ) -> Result<(), CommitError> {
        let reader = follower.reader();
        let keys = match &mut self.keys {
            Some(keys) => keys,
            unread => unread.insert(ParkedKeys::read(&*runtime.storage, &reader).await?),
        };
        keys.look_up(&*runtime.storage, &reader, items.iter().map(|item| &*item.park.key)).await?;
        let message = |item: &Item| Message {
            id: item.park.message,
            key: item.park.key.clone(),
            breaker: item.event.as_ref().map_or("", |event| follower.breaker_of(&event.name)).to_owned(),
        };
        let messages: Vec<_> = items.iter().map(message).collect();
        let (events, parks) = self.sort_out(follower, items);
        let heads: Vec<_> = parks.iter().filter(|park| park.attempts > 0).cloned().collect();
        let breakers: BTreeSet<_> = events.iter().map(|event| follower.breaker_of(&event.name).to_owned()).collect();
        let only = (events.len() == 1).then(|| events[0].id);
        let moves = base.checkpoint_moves.clone();
        let Err(rejected) = follower.apply(runtime, events, Batch { parks, ..base }).await else {
            for Park { reader, key, message, error, .. } in &heads {
                tracing::error!(reader, key, %message, error, "message parked, with the later messages of its key");
            }
            for Message { id, key, breaker } in &messages {
                let failure = self.failures.remove(id).filter(|failure| failure.is_suspect && failure.reason.is_some());
                if let Some(failure) = failure {
                    runtime.breakers.parked((&reader, breaker), key, failure.probes > 0);
                }
            }
            breakers.iter().for_each(|breaker| runtime.breakers.succeeded((&reader, breaker)));
            self.size.committed(count);
            self.keys.get_or_insert_default().extend(heads.into_iter().map(|park| (park.key, park.error)));
            return Ok(());
        };
        // Another process may have moved the checkpoint, or the batch was committed and the response was lost. Read the
        // parked keys again in both cases.
        self.keys = None;
        let moved = match rejected {
            CommitError::Moved(_) | CommitError::AlreadyHandled => return Err(self.forget(rejected)),
            _ => has_moved(runtime, &moves).await,
        };
        match (moved, failed_event(&rejected).or(only)) {
            (Ok(Some(reader)), _) => return Err(self.forget(CommitError::Moved(reader))),
            (Ok(None), Some(message)) => {
                if let Some(message) = messages.iter().find(|of| of.id == message) {
                    self.note(runtime, &reader, message, &rejected);
                }
            }
            (Ok(None), None) => self.size.refused(count),
            // Without the checkpoint the event may have been applied already.
            (Err(_), _) => (),
        }
        Err(rejected)
    }
    /// Returns whether there may be parked messages, after a batch was committed.
    pub(crate) fn has_parked(&self) -> bool {
        self.keys.as_ref().is_none_or(ParkedKeys::may_have_any)
    }
    /// Separates the events to apply from the messages to park.
    fn sort_out(&self, follower: &Follower, items: Vec<Item>) -> (Vec<RawEvent>, Vec<Park>) {
        let mut fresh: BTreeMap<String, String> = BTreeMap::new();
        let (mut events, mut parks) = (Vec::new(), Vec::new());
        for Item { event, park } in items {
            if event.as_ref().is_ok_and(|event| !follower.handles(&event.name)) {
                continue;
            }
            let failure = self.failures.get(&park.message);
            let given_up =
                failure.and_then(|failure| Some((failure.reason.clone()?, failure.failures + failure.probes)));
            if let Some(first) = fresh.get(&park.key) {
                // The first message of the key is parked in the same batch.
                parks.push(Park { behind: false, ..behind(park, first) });
            } else if let Some(first) = self.keys.as_ref().and_then(|keys| keys.first_error(&park.key)) {
                parks.push(behind(park, first));
            } else if let Some((reason, failures)) = given_up {
                fresh.insert(park.key.clone(), reason.clone());
                parks.push(head(park, reason, failures));
            } else {
                match event {
                    Ok(event) => events.push(event),
                    Err(error) => {
                        let reason = describe(&*error);
                        fresh.insert(park.key.clone(), reason.clone());
                        parks.push(head(park, reason, 1));
                    }
                }
            }
        }
        (events, parks)
    }
    /// Counts the failure. After the last attempt, the next step parks the event.
    ///
    /// While the circuit breaker is open, the failure of a probe does not count. Since a follower cannot try a later event
    /// before this one, it is parked all the same after as many probes, and redelivered when the breaker closes.
    fn note(&mut self, runtime: &Runtime, reader: &str, message: &Message, rejected: &CommitError) {
        let kind = failure_kind(rejected);
        if kind == FailureKind::Transient {
            return;
        }
        let attempts = runtime.retry_policy.attempts;
        let failure = self.failures.entry(message.id).or_default();
        failure.is_suspect = kind == FailureKind::Unclassified;
        let now = runtime.environment.uptime();
        let is_open = failure.is_suspect
            && runtime.retry_policy.circuit_breaker.is_some_and(|policy| {
                let Message { key, breaker, .. } = message;
                runtime.breakers.failed((reader, breaker), key, &class_of(rejected, key), &policy, now)
            });
        match is_open {
            true => failure.probes += 1,
            false => failure.failures += 1,
        }
        if kind == FailureKind::Permanent || failure.failures >= attempts || failure.probes >= attempts {
            let reason = if is_left(rejected) { LeftToNewerProgram.to_string() } else { describe(rejected) };
            failure.reason = Some(reason);
        }
    }
    /// Forgets the failures, because other events come next.
    fn forget(&mut self, rejected: CommitError) -> CommitError {
        self.failures.clear();
        self.size.forget_suspects();
        rejected
    }
}

/// Returns the reader of the batch whose checkpoint is not the expected one.
///
/// The SQL of a projector can fail because another process has applied the same event, before the checkpoints are
/// compared.
async fn has_moved(runtime: &Runtime, moves: &[CheckpointMove]) -> Result<Option<String>, Fault> {
    let readers: Vec<_> = moves.iter().map(|moved| moved.reader.clone()).collect();
    let stored = runtime.storage.checkpoints(&readers).await?;
    let mut pairs = moves.iter().zip(stored);
    Ok(pairs.find(|(moved, stored)| moved.from != *stored).map(|(moved, _)| moved.reader.clone()))
}

/// Returns the event that could not be applied, if the error names it.
fn failed_event(rejected: &CommitError) -> Option<Uuid> {
    let CommitError::Fault(fault) = rejected else { return None };
    causes(fault).find_map(|cause| cause.downcast_ref::<FailedEvent>().map(|failed| failed.event))
}
