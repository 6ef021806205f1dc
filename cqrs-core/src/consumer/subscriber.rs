//! Runs a subscriber: commits the effect of one message and its inbox record in one batch.
use crate::{
    aggregate::mapped,
    aggregate::unit_of_work::UnitOfWork,
    consumer::{follower::retry_after_conflict, inbox::Inbox},
    context::Context,
    environment::within,
    error::Fault,
    event::RawEvent,
    limit::{self, Permits},
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
    time::Duration,
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
    // Those of a topic have their permits before a worker.
    let mut permits = match inbox {
        Some(_) => Permits::default(),
        None => permitted(runtime, subscriber).await?,
    };
    let (at, span) = (
        event.occurred_at,
        spans::process(runtime.transport.system(), &runtime.service, subscriber.group, subscriber.source, &event),
    );
    let done = permits.hold(run_and_commit(runtime, subscriber, event, base, inbox).instrument(span)).await;
    let done = done.unwrap_or_else(|lost| Err(lost.into()));
    runtime.meter.tried(subscriber.group, at, &*runtime.environment, &done);
    done
}

/// Waits for the permits of a subscriber. It waits no longer once the app stops.
async fn permitted(runtime: &Runtime, subscriber: &Subscriber) -> Result<Permits, Fault> {
    let limiters = runtime.limits.of(Some(subscriber.group), subscriber.limit.map(|limit| limit.name));
    if limiters.is_empty() {
        return Ok(Permits::default());
    }
    let stops = async {
        // The sender lives as long as the runtime.
        let _ = runtime.stopping.subscribe().wait_for(|stopping| *stopping).await;
    };
    tokio::select! {
        biased;
        permits = limit::acquire(limiters) => Ok(permits),
        () = stops => {
            Err(Fault::unavailable("the app stops; the message waits for a permit of its limit"))
        }
    }
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
    let run = (subscriber.run)(&context, event);
    let run = AssertUnwindSafe(in_time(runtime, run)).catch_unwind().await;
    let run = run.unwrap_or_else(|_| Err(SubscriberError::Failed("the subscriber panicked".into())));
    run.map_err(|unhandled| {
        if matches!(&unhandled, SubscriberError::Failed(error) if error.is::<TimeLimitExceeded>()) {
            runtime.meter.message(subscriber.group, "timed_out");
        }
        let message = format!("group {} cannot handle message {id}", subscriber.group);
        let fault = if unit.failed_transiently() { Fault::unavailable(message) } else { Fault::internal(message) };
        fault.because(unhandled)
    })?;
    if unit.may_reuse_ids() {
        unit.reuse_ids(&*runtime.storage).await?;
    }
    let tables = unit.table_changes();
    // Publishers and `Serialize` are the application's, too.
    let is_newest = runtime.newer_programs.is_declared_newest();
    let taken = || unit.take(&*runtime.environment, &runtime.service, &metadata, is_newest);
    let taken = catch_unwind(AssertUnwindSafe(taken));
    let panicked = |_| Err(Fault::internal(format!("a publisher or an event of group {} panicked", subscriber.group)));
    let mut batch = taken.unwrap_or_else(panicked)?;
    runtime.apply_inline(&mut batch, is_newest).await?;
    if !base.unparks.is_empty() {
        batch.inbox_records.clear();
    }
    let Batch { events, checkpoint_moves, parks, unparks, .. } = base;
    batch.events.extend(events);
    (batch.checkpoint_moves, batch.parks, batch.unparks) = (checkpoint_moves, parks, unparks);
    let (projections, sets_timers) = (runtime.projections_of(&batch.events), batch.sets_timers());
    let position = match inbox {
        Some(inbox) if tables.is_empty() => inbox.commit(&*runtime.storage, batch).await?,
        _ => mapped::commit(&*runtime.storage, batch, &tables).await?,
    };
    projections.iter().for_each(|reader| reader.committed(position));
    if sets_timers {
        runtime.timers_set.notify_one();
    }
    Ok(())
}

/// The error of an attempt that took longer than the retry policy allows.
#[derive(Debug, thiserror::Error)]
#[error("the attempt did not end within {0:?}")]
struct TimeLimitExceeded(Duration);

/// Drops an attempt that takes too long. Otherwise a few handlers that never end would stop their group.
pub(super) async fn in_time(
    runtime: &Runtime,
    run: impl Future<Output = Result<(), SubscriberError>>,
) -> Result<(), SubscriberError> {
    let limit = runtime.retry_policy.time_limit;
    let done = within(&*runtime.environment, limit, run).await;
    done.unwrap_or_else(|| Err(SubscriberError::Failed(TimeLimitExceeded(limit).into())))
}

/// Returns the metadata of an effect of this event, with the correlation id of its process.
pub(super) fn caused_by(event: &RawEvent) -> Metadata {
    let correlation = event.metadata.correlation.or(Some(event.id));
    let Metadata { traceparent, tracestate, .. } = event.metadata.clone();
    Metadata { traceparent, tracestate, ..Metadata::default().caused_by(event.id, correlation) }
}
