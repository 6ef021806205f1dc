//! Attempts to handle one message until it is handled or parked.
//!
//! Skipping the message would lose it or break the order of its key.
use crate::{
    consumer::crashes::{Crashes, Suspect},
    consumer::group::{Completion, PIECE, pause, wait},
    consumer::handle,
    consumer::inbox::Inbox,
    consumer::newer_program::{LeftToNewerProgram, is_left},
    consumer::parking::{FailureKind, admits, behind, class_of, failure_kind, head, park, permanent},
    environment::within,
    error::{BoxError, Fault, describe},
    limit::{self, Limiter, Permits},
    registry::Subscriber,
    runtime::Runtime,
    storage::{Batch, CommitError, InboxRecord, Park},
    transport::{Incoming, Received},
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Semaphore;

/// The end of an attempt without an error.
enum Attempt {
    Done,
    /// The circuit breaker of the subscriber is open, so the message waits until it may be tried.
    Paused {
        event: String,
    },
}

pub(super) async fn until_handled(
    runtime: &Arc<Runtime>,
    inbox: &Inbox,
    crashes: &Arc<Crashes>,
    subscribers: &[Subscriber],
    workers: &Semaphore,
    record: &Received,
    gone: &AtomicBool,
) -> Completion {
    let (group, mut attempt, mut failures) = (inbox.group(), 0, 0);
    // Set when the circuit breaker lets the next attempt pass.
    let mut admitted = false;
    loop {
        let mut suspect = suspect(runtime, crashes, record);
        if let Some(suspect) = suspect.as_mut().filter(|suspect| suspect.is_tried_alone()) {
            while !suspect.wait_alone(runtime, PIECE).await {
                if gone.load(Ordering::Relaxed) {
                    return Completion::Abandoned;
                }
            }
        }
        // A message that waits for a permit of its limits keeps no worker from the others.
        let limiters = limiters(runtime, group, subscribers, record);
        let permits = match limiters.is_empty() {
            true => Some(Permits::default()),
            false => unless_gone(runtime, gone, limit::acquire(limiters)).await,
        };
        let Some(mut permits) = permits else { return Completion::Abandoned };
        // The worker is released before the wait for the next attempt. The semaphore is never closed, so `acquire`
        // cannot fail.
        let Ok(worker) = permits.hold(workers.acquire()).await else { continue };
        if gone.load(Ordering::Relaxed) {
            return Completion::Abandoned;
        }
        let suspect = suspect.map(|suspect| (suspect, crashes));
        let tried = once(runtime, inbox, subscribers, record, suspect, std::mem::take(&mut admitted), attempt > 0);
        let tried = permits.hold(AssertUnwindSafe(tried).catch_unwind()).await;
        let tried = tried.unwrap_or_else(|lost| Ok(Err(lost.into())));
        let panicked = |_| Err(Fault::internal(format!("the attempt of group {group} panicked")).into());
        let rejected = match tried.unwrap_or_else(panicked) {
            Ok(Attempt::Done) => return Completion::Done,
            Ok(Attempt::Paused { event }) => {
                drop((worker, permits));
                admitted = pause(runtime, (group, &event), attempt > 0, gone).await;
                continue;
            }
            Err(rejected) => rejected,
        };
        let kind = failure_kind(&rejected);
        let failed = (kind == FailureKind::Unclassified).then(|| Failed::of(runtime, record, &rejected));
        let counts = failed.as_ref().is_some_and(|failed| failed.counts(runtime, group));
        failures += u32::from(counts);
        let (partition, offset) = (&record.partition, record.offset);
        if kind == FailureKind::Permanent || (counts && failures >= runtime.retry_policy.attempts) {
            let reason = if is_left(&rejected) { LeftToNewerProgram.to_string() } else { describe(&rejected) };
            tracing::error!(
                group,
                %partition,
                offset,
                attempt,
                error = reason,
                "message parked, with the later messages of its key"
            );
            let Incoming { id, key, .. } = runtime.decoders.read(record);
            let parked = head(park(group, key, id, record), reason, attempt + 1);
            let Err(error) = park_message(runtime, parked).await else {
                runtime.meter.message(group, "parked");
                failed.iter().for_each(|failed| runtime.breakers.parked((group, &failed.event), &failed.key, false));
                return Completion::Done;
            };
            let error = describe(&error);
            tracing::warn!(group, %partition, offset, error, "the message could not be parked; trying again");
        } else if !matches!(rejected, CommitError::Conflict { .. }) {
            let error = describe(&rejected);
            tracing::warn!(
                group,
                %partition,
                offset,
                attempt,
                error,
                "a message failed; it is tried again, and its key waits"
            );
        }
        drop((worker, permits));
        wait(runtime, attempt, gone).await;
        attempt += 1;
    }
}

/// Returns the limits of the subscriber that handles a record.
fn limiters(runtime: &Runtime, group: &str, subscribers: &[Subscriber], record: &Received) -> Vec<Arc<Limiter>> {
    if runtime.limits.is_empty() {
        return Vec::new();
    }
    let is_foreign = runtime.decoders.has(&record.partition.topic);
    let name = match record.header("ce_type").filter(|_| !is_foreign) {
        Some(name) => Some(name.to_owned()),
        None => runtime.decoders.read(record).message.ok().flatten().map(|message| message.name),
    };
    let handles = |name: String| subscribers.iter().find(|subscriber| subscriber.source.handles(&name));
    let Some(subscriber) = name.and_then(handles) else { return Vec::new() };
    runtime.limits.of(Some(group), subscriber.limit.map(|limit| limit.name))
}

/// Waits for something, or returns `None` once the partition was revoked.
async fn unless_gone<T>(runtime: &Runtime, gone: &AtomicBool, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = std::pin::pin!(wait);
    loop {
        if let Some(done) = within(&*runtime.environment, PIECE, wait.as_mut()).await {
            return Some(done);
        }
        if gone.load(Ordering::Relaxed) {
            return None;
        }
    }
}

/// A failure whose prospects are unknown, as its circuit breaker sees it.
struct Failed {
    event: String,
    key: String,
    class: String,
}
impl Failed {
    fn of(runtime: &Runtime, record: &Received, rejected: &CommitError) -> Self {
        let Incoming { key, message, .. } = runtime.decoders.read(record);
        let event = message.ok().flatten().map(|message| message.name).unwrap_or_default();
        let class = class_of(rejected, &key);
        Failed { event, key, class }
    }
    /// Returns whether the failure counts as an attempt. It does not while the circuit breaker is open.
    fn counts(&self, runtime: &Runtime, group: &str) -> bool {
        let Some(policy) = &runtime.retry_policy.circuit_breaker else { return true };
        let now = runtime.environment.uptime();
        !runtime.breakers.failed((group, &self.event), &self.key, &self.class, policy, now)
    }
}

async fn once(
    runtime: &Arc<Runtime>,
    inbox: &Inbox,
    subscribers: &[Subscriber],
    record: &Received,
    suspect: Option<(Suspect, &Arc<Crashes>)>,
    admitted: bool,
    tried: bool,
) -> Result<Attempt, CommitError> {
    // Events that no subscriber handles are skipped before they are decoded, because this service may be unable to read
    // them.
    let group = inbox.group();
    runtime.refresh_newer_programs().await?;
    let handles = |name: &str| subscribers.iter().find(|subscriber| subscriber.source.handles(name));
    let left = |name: &str| runtime.newer_programs.handle(group, name);
    let foreign = runtime.decoders.has(&record.partition.topic);
    if !foreign && record.header("ce_type").is_some_and(|name| handles(name).is_none() && !left(name)) {
        return Ok(Attempt::Done);
    }
    let Incoming { id, key, message } = runtime.decoders.read(record);
    let message = match message {
        Ok(None) => return Ok(Attempt::Done),
        Ok(Some(message)) => match handles(&message.name) {
            Some(subscriber) => Ok((subscriber, message)),
            None if left(&message.name) => Err(LeftToNewerProgram.into()),
            None => return Ok(Attempt::Done),
        },
        Err(error) => Err(error),
    };
    loop {
        let status = inbox.look_up(&*runtime.storage, id, key.clone()).await?;
        if status.handled {
            runtime.meter.message(group, "known");
            return Ok(Attempt::Done);
        }
        if status.behind {
            let first = runtime.storage.parked(group, &key, 0, 1).await?;
            let first = first.first().map_or("", |first| &*first.error);
            match park_message(runtime, behind(park(group, key.clone(), id, record), first)).await {
                // The parked messages of the key were redelivered or discarded meanwhile.
                Err(CommitError::Moved(_)) => continue,
                done => {
                    runtime.meter.message(group, "parked");
                    return done.map(|()| Attempt::Done);
                }
            }
        }
        let (subscriber, message) = message.map_err(|error| {
            let left = error.is::<LeftToNewerProgram>();
            runtime.meter.message(group, if left { "left" } else { "unreadable" });
            unreadable(error)
        })?;
        let (event, mut message) = (message.name.clone(), message);
        runtime.open_messages(std::iter::once(&mut message)).await?;
        if !admitted && !admits(runtime, (group, &event), tried) {
            return Ok(Attempt::Paused { event });
        }
        // It exists until the message is handled, or its attempt is given up.
        let _trying = match suspect {
            Some((suspect, crashes)) => {
                suspect
                    .check(runtime)
                    .map_err(|ended| Fault::internal("the message is not tried again").because(ended))?;
                Some(suspect.begin(runtime, crashes).await?)
            }
            None => None,
        };
        return match handle(runtime, subscriber, message, Batch::default(), Some(inbox)).await {
            Ok(()) => {
                runtime.breakers.succeeded((group, &event));
                Ok(Attempt::Done)
            }
            Err(CommitError::AlreadyHandled) => Ok(Attempt::Done),
            Err(rejected) => Err(rejected),
        };
    }
}

/// Returns the message if an earlier process may have died with it.
fn suspect(runtime: &Runtime, crashes: &Crashes, record: &Received) -> Option<Suspect> {
    let place = crashes.is_watching().then(|| runtime.decoders.place_of(record))?;
    crashes.suspect(&record.partition.to_string(), &[place])
}

/// Parks a message with an inbox record, so that the group does not handle it when it is delivered again. A redelivery
/// handles it.
async fn park_message(runtime: &Runtime, park: Park) -> Result<(), CommitError> {
    let inbox_records = vec![InboxRecord { group: park.reader.clone(), message: park.message }];
    match runtime.storage.commit(Batch { inbox_records, parks: vec![park], ..Batch::default() }).await {
        Ok(_) | Err(CommitError::AlreadyHandled) => Ok(()),
        Err(rejected) => Err(rejected),
    }
}

fn unreadable(error: BoxError) -> Fault {
    let error = match error.downcast::<LeftToNewerProgram>() {
        Ok(left) => return Fault::internal("the record is not this program's").because(*left),
        Err(error) => error,
    };
    Fault::internal("the record cannot be read").because(permanent(error))
}
