//! Runs a subscriber: commits the effect of one message and its inbox record in one batch.
use crate::{
    aggregate::unit_of_work::UnitOfWork,
    consumer::{follower::retry_after_conflict, inbox::Inbox},
    context::Context,
    error::Fault,
    event::RawEvent,
    metadata::Metadata,
    registry::{Subscriber, SubscriberError},
    runtime::Runtime,
    storage::{Batch, CommitError},
    telemetry::spans,
};
use futures_util::FutureExt;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tracing::Instrument;

pub(super) async fn subscribe(
    runtime: &Arc<Runtime>,
    subscribers: &[Subscriber],
    events: Vec<RawEvent>,
    base: Batch,
) -> Result<(), CommitError> {
    let event = events.into_iter().next();
    let subscriber = |name: &str| subscribers.iter().find(|subscriber| subscriber.source.handles(name));
    let handled = event.and_then(|event| Some((subscriber(&event.name)?, event)));
    let Some((subscriber, event)) = handled else {
        return runtime.storage.commit(base).await.map(|_| ());
    };
    let mut attempt = 0;
    loop {
        let done = handle(runtime, subscriber, event.clone(), base.clone(), None).await;
        if let Err(CommitError::AlreadyHandled) = done {
            // The message was handled outside this follower: otherwise the checkpoint would have moved in the same
            // batch.
            return runtime.storage.commit(base).await.map(|_| ());
        }
        if !retry_after_conflict(runtime, &done, &mut attempt).await {
            return done;
        }
    }
}

/// Runs a subscriber and commits its effect with the inbox record and the batch.
///
/// An inbox combines the commit with those of other messages. A parked message has its inbox record already.
pub(crate) async fn handle(
    runtime: &Arc<Runtime>,
    subscriber: &Subscriber,
    event: RawEvent,
    base: Batch,
    inbox: Option<&Inbox>,
) -> Result<(), CommitError> {
    let (at, span) = (
        event.occurred_at,
        spans::process(runtime.transport.system(), &runtime.service, subscriber.group, subscriber.source, &event),
    );
    let done = run_and_commit(runtime, subscriber, event, base, inbox).instrument(span).await;
    runtime.meter.tried(subscriber.group, at, &*runtime.environment, &done);
    done
}

async fn run_and_commit(
    runtime: &Arc<Runtime>,
    subscriber: &Subscriber,
    event: RawEvent,
    base: Batch,
    inbox: Option<&Inbox>,
) -> Result<(), CommitError> {
    let (id, metadata) = (event.id, Arc::new(caused_by(&event)));
    let unit = UnitOfWork::caused_by(subscriber.group, id);
    let context = Context { runtime, unit: Some(&unit), metadata: &metadata };
    let run = AssertUnwindSafe((subscriber.run)(&context, event)).catch_unwind().await;
    run.unwrap_or_else(|_| Err(SubscriberError::Failed("the subscriber panicked".into()))).map_err(|unhandled| {
        let message = format!("group {} cannot handle message {id}", subscriber.group);
        let fault = if unit.failed_transiently() { Fault::unavailable(message) } else { Fault::internal(message) };
        fault.because(unhandled)
    })?;
    // Publishers and `Serialize` are the application's, too.
    let taken = catch_unwind(AssertUnwindSafe(|| unit.take(&*runtime.environment, &runtime.service, &metadata)));
    let panicked = |_| Err(Fault::internal(format!("a publisher or an event of group {} panicked", subscriber.group)));
    let mut batch = taken.unwrap_or_else(panicked)?;
    if !base.unparks.is_empty() {
        batch.inbox_records.clear();
    }
    let Batch { events, checkpoint_moves, parks, unparks, .. } = base;
    batch.events.extend(events);
    (batch.checkpoint_moves, batch.parks, batch.unparks) = (checkpoint_moves, parks, unparks);
    let projections = runtime.projections_of(&batch.events);
    let position = match inbox {
        Some(inbox) => inbox.commit(&*runtime.storage, batch).await?,
        None => runtime.storage.commit(batch).await?,
    };
    projections.iter().for_each(|reader| reader.committed(position));
    Ok(())
}

/// Returns the metadata of an effect of this event, with the correlation id of its process.
pub(super) fn caused_by(event: &RawEvent) -> Metadata {
    let correlation = event.metadata.correlation.or(Some(event.id));
    let Metadata { traceparent, tracestate, .. } = event.metadata.clone();
    Metadata { traceparent, tracestate, ..Metadata::default().caused_by(event.id, correlation) }
}
