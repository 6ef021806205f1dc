//! One message until it is done: handled, or put aside. Passing it otherwise would lose it, or break its key's order.
use super::{Handled, wait};
use crate::{
    BoxError, Fault,
    app::{Shared, Subscriber},
    batch::{Batch, Mark, Park, Rejected},
    envelope,
    inbox::Inbox,
    parking::{Class, class, head, id_of_place, in_words, key_of, park, permanent},
    projection::handle,
    transport::Received,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(super) async fn until_handled(
    shared: &Arc<Shared>,
    inbox: &Inbox,
    subscribers: &[Subscriber],
    workers: &Semaphore,
    record: &Received,
    gone: &AtomicBool,
) -> Handled {
    let (group, mut failures) = (inbox.group(), 0);
    for attempt in 0.. {
        // Given back before the wait for the next attempt. It is never closed, so there is always one in the end.
        let worker = workers.acquire().await;
        if gone.load(Ordering::Relaxed) {
            break;
        }
        let Err(rejected) = once(shared, inbox, subscribers, record).await else { return Handled::Done };
        let kind = class(&rejected);
        failures += u32::from(kind == Class::Failing);
        let (partition, offset) = (&record.partition, record.offset);
        if kind == Class::Permanent || failures >= shared.retries.attempts {
            let why = in_words(&rejected);
            tracing::error!(group, %partition, offset, attempt, error = why, "parked, with what comes after it of its key");
            let failed = head(park(group, key_of(record), id_of(record), record), why, attempt + 1);
            let Err(error) = put_aside(shared, failed).await else {
                shared.meter.message(group, "parked");
                return Handled::Done;
            };
            tracing::warn!(group, %partition, offset, error = &error as &dyn std::error::Error, "it cannot be parked now");
        } else if !matches!(rejected, Rejected::Conflict { .. }) {
            let error: &dyn std::error::Error = &rejected;
            tracing::warn!(group, %partition, offset, attempt, error, "a message failed; its key waits");
        }
        drop(worker);
        wait(shared, attempt, gone).await;
    }
    Handled::GivenUp
}

async fn once(
    shared: &Arc<Shared>,
    inbox: &Inbox,
    subscribers: &[Subscriber],
    record: &Received,
) -> Result<(), Rejected> {
    // Whoever is not asked for may be unreadable for us.
    let hears = |name: &str| subscribers.iter().find(|it| it.source.hears(name));
    if record.header("ce_type").is_some_and(|name| hears(name).is_none()) {
        return Ok(());
    }
    let (group, key, id) = (inbox.group(), key_of(record), id_of(record));
    loop {
        let known = inbox.look_up(&*shared.storage, id, key.clone()).await?;
        if known.handled {
            shared.meter.message(group, "known");
            return Ok(());
        }
        if known.behind {
            match put_aside(shared, park(group, key.clone(), id, record)).await {
                // What it was to wait behind has been replayed meanwhile.
                Err(Rejected::Moved(_)) => continue,
                done => {
                    shared.meter.message(group, "parked");
                    return done;
                }
            }
        }
        let message = envelope::message(record).map_err(|error| {
            shared.meter.message(group, "unreadable");
            unreadable(error)
        })?;
        let Some(subscriber) = hears(&message.event.name) else { return Ok(()) };
        return match handle(shared, subscriber, message, Batch::default(), Some(inbox)).await {
            Err(Rejected::Seen) => Ok(()),
            done => done,
        };
    }
}

/// The mark says that the group need not handle it when it comes again; whoever replays it does.
async fn put_aside(shared: &Shared, park: Park) -> Result<(), Rejected> {
    let marks = vec![Mark { group: park.reader.clone(), message: park.message }];
    match shared.storage.commit(Batch { marks, parks: vec![park], ..Batch::default() }).await {
        Ok(_) | Err(Rejected::Seen) => Ok(()),
        Err(rejected) => Err(rejected),
    }
}

fn id_of(record: &Received) -> Uuid {
    record.header("ce_id").and_then(|id| id.parse().ok()).unwrap_or_else(|| id_of_place(record))
}

fn unreadable(error: BoxError) -> Fault {
    Fault::internal("the record cannot be read").because(permanent(error))
}
