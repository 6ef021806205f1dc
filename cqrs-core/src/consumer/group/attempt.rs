//! Attempts to handle one message until it is handled or parked.
//!
//! Skipping the message would lose it or break the order of its key.
use crate::{
    consumer::group::{Completion, wait},
    consumer::handle,
    consumer::inbox::Inbox,
    consumer::newer_program::{LeftToNewerProgram, is_left},
    consumer::parking::{FailureKind, behind, failure_kind, head, park, permanent},
    error::{BoxError, Fault, describe},
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

pub(super) async fn until_handled(
    runtime: &Arc<Runtime>,
    inbox: &Inbox,
    subscribers: &[Subscriber],
    workers: &Semaphore,
    record: &Received,
    gone: &AtomicBool,
) -> Completion {
    let (group, mut failures) = (inbox.group(), 0);
    for attempt in 0.. {
        // The permit is released before the wait for the next attempt. The semaphore is never closed, so `acquire`
        // cannot fail.
        let worker = workers.acquire().await;
        if gone.load(Ordering::Relaxed) {
            break;
        }
        let tried = AssertUnwindSafe(once(runtime, inbox, subscribers, record)).catch_unwind().await;
        let panicked = |_| Err(Fault::internal(format!("the attempt of group {group} panicked")).into());
        let Err(rejected) = tried.unwrap_or_else(panicked) else { return Completion::Done };
        let kind = failure_kind(&rejected);
        failures += u32::from(kind == FailureKind::Unclassified);
        let (partition, offset) = (&record.partition, record.offset);
        if kind == FailureKind::Permanent || failures >= runtime.retry_policy.attempts {
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
            let failed = head(park(group, key, id, record), reason, attempt + 1);
            let Err(error) = park_message(runtime, failed).await else {
                runtime.meter.message(group, "parked");
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
        drop(worker);
        wait(runtime, attempt, gone).await;
    }
    Completion::Abandoned
}

async fn once(
    runtime: &Arc<Runtime>,
    inbox: &Inbox,
    subscribers: &[Subscriber],
    record: &Received,
) -> Result<(), CommitError> {
    // Events that no subscriber handles are skipped before they are decoded, because this service may be unable to read
    // them.
    let group = inbox.group();
    runtime.refresh_newer_programs().await?;
    let handles = |name: &str| subscribers.iter().find(|subscriber| subscriber.source.handles(name));
    let left = |name: &str| runtime.newer_programs.handle(group, name);
    let foreign = runtime.decoders.has(&record.partition.topic);
    if !foreign && record.header("ce_type").is_some_and(|name| handles(name).is_none() && !left(name)) {
        return Ok(());
    }
    let Incoming { id, key, message } = runtime.decoders.read(record);
    let message = match message {
        Ok(None) => return Ok(()),
        Ok(Some(message)) => match handles(&message.name) {
            Some(subscriber) => Ok((subscriber, message)),
            None if left(&message.name) => Err(LeftToNewerProgram.into()),
            None => return Ok(()),
        },
        Err(error) => Err(error),
    };
    loop {
        let status = inbox.look_up(&*runtime.storage, id, key.clone()).await?;
        if status.handled {
            runtime.meter.message(group, "known");
            return Ok(());
        }
        if status.behind {
            let first = runtime.storage.parked(group, &key, 0, 1).await?;
            let first = first.first().map_or("", |first| &*first.error);
            match park_message(runtime, behind(park(group, key.clone(), id, record), first)).await {
                // The parked messages of the key were redelivered or discarded meanwhile.
                Err(CommitError::Moved(_)) => continue,
                done => {
                    runtime.meter.message(group, "parked");
                    return done;
                }
            }
        }
        let (subscriber, message) = message.map_err(|error| {
            let left = error.is::<LeftToNewerProgram>();
            runtime.meter.message(group, if left { "left" } else { "unreadable" });
            unreadable(error)
        })?;
        return match handle(runtime, subscriber, message, Batch::default(), Some(inbox)).await {
            Err(CommitError::AlreadyHandled) => Ok(()),
            done => done,
        };
    }
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
