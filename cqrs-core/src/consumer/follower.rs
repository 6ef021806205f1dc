//! Followers: projections, projectors and subscribers to the service's own log, each with its own checkpoint.
use crate::{
    consumer::{projection::project, projector::run_sql, subscriber::subscribe, written_values::WrittenValues},
    environment::backoff,
    error::BoxError,
    event::{Entry, RawEvent},
    registry::{Projection, Projector, Subscriber, group_reader, reader},
    runtime::Runtime,
    storage::{Batch, CommitError, copy_of, split_copy},
    telemetry::spans,
};
use std::{sync::Arc, time::Duration};
use tracing::Instrument;
use uuid::Uuid;

/// A reader of events with its own checkpoint.
#[derive(Clone)]
pub(crate) enum Follower {
    /// The functions of one projection. They change one view and share one checkpoint and one batch; each event is handled by
    /// one of them. That of a rebuild keeps the values that it has written.
    View(&'static str, Arc<[Projection]>, Option<Arc<WrittenValues>>),
    Sql(Projector),
    /// The subscribers of one group to the service's own log. They share one checkpoint and commit one batch per event.
    Group(&'static str, Arc<[Subscriber]>),
}

impl Follower {
    /// Returns whether the follower handles events of this name.
    pub(crate) fn handles(&self, name: &str) -> bool {
        match self {
            Follower::View(_, functions, _) => functions.iter().any(|function| function.source.handles(name)),
            Follower::Sql(projector) => projector.source.handles(name),
            Follower::Group(_, subscribers) => subscribers.iter().any(|subscriber| subscriber.source.handles(name)),
        }
    }
    /// Returns whether the batch that appended the entry has applied it.
    pub(crate) fn has_applied(&self, entry: &Entry) -> bool {
        matches!(self, Follower::View(name, ..) if entry.metadata.applied_by.iter().any(|applied| applied == name))
    }
    /// Returns whether the changes are part of the batches of commands.
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self, Follower::View(_, functions, _) if functions.iter().any(|function| function.is_inline))
    }
    /// Returns the names of the events of the service's own log that the follower handles.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        match self {
            Follower::View(_, functions, _) => {
                functions.iter().flat_map(|function| function.source.names_on_log()).copied().collect()
            }
            Follower::Sql(projector) => projector.source.names_on_log().to_vec(),
            Follower::Group(_, subscribers) => {
                subscribers.iter().flat_map(|subscriber| subscriber.source.names_on_log()).copied().collect()
            }
        }
    }
    /// Returns the event by which the circuit breaker of its failures is found: each subscriber of a group has its own.
    pub(crate) fn breaker_of<'a>(&self, event: &'a str) -> &'a str {
        if let Follower::Group(..) = self { event } else { "" }
    }
    /// Returns the follower of the same projection that fills one copy of its view; `None` if it is no projection.
    pub(crate) fn of_copy(&self, copy: u64) -> Option<Follower> {
        let Follower::View(name, functions, _) = self else { return None };
        let of_copy = |function: &Projection| {
            let view = copy_of(function.view, copy);
            Projection { name: copy_of(name, copy), view, ..*function }
        };
        Some(Follower::View(copy_of(name, copy), functions.iter().map(of_copy).collect(), Some(Arc::default())))
    }
    pub(crate) fn reader(&self) -> String {
        match self {
            Follower::View(name, ..) => reader(name),
            Follower::Sql(projector) => reader(projector.name),
            Follower::Group(group, _) => group_reader(group),
        }
    }
    /// Returns the reader under which programs declare the events that the follower handles. The follower of a rebuild has
    /// that of the view.
    pub(crate) fn declared_reader(&self) -> String {
        let reader = self.reader();
        match split_copy(&reader) {
            (of, Some(_)) => of.to_owned(),
            (_, None) => reader,
        }
    }
    /// Returns the consumer group that the follower joins when it follows a topic.
    pub(crate) fn group(&self, service: &str) -> String {
        match self {
            Follower::View(name, ..) => format!("{service}.{name}"),
            Follower::Sql(projector) => format!("{service}.{}", projector.name),
            Follower::Group(group, _) => (*group).to_owned(),
        }
    }
    /// Returns the largest number of events in one batch. A subscriber's batch holds the effect of a single event.
    pub(crate) fn batch_size(&self) -> usize {
        match self {
            Follower::View(..) | Follower::Sql(_) => 500,
            Follower::Group(..) => 1,
        }
    }
    /// Applies the events in one transaction with the batch, which holds the checkpoint move and the parked messages.
    pub(crate) async fn apply(
        &self,
        runtime: &Arc<Runtime>,
        events: Vec<RawEvent>,
        base: Batch,
    ) -> Result<(), CommitError> {
        let handled: Vec<_> = events.into_iter().filter(|event| self.handles(&event.name)).collect();
        let count = handled.len();
        let (name, done) = match self {
            Follower::View(name, functions, written) => {
                let span = spans::project(name, &handled);
                let done = project(runtime, functions, handled, base, written.as_deref()).instrument(span).await;
                if let Some(first) = functions.first().filter(|_| count > 0) {
                    // Also after an error: the batch may have been committed all the same.
                    runtime.view_changed(first.view);
                }
                (*name, done)
            }
            Follower::Sql(projector) => {
                let span = spans::project(projector.name, &handled);
                (projector.name, run_sql(runtime, projector, handled, base).instrument(span).await)
            }
            Follower::Group(_, subscribers) => return subscribe(runtime, subscribers, handled, base).await,
        };
        if done.is_ok() {
            runtime.meter.projected(name, count);
        }
        done
    }
}

/// The error of an event that a follower could not apply.
#[derive(Debug, thiserror::Error)]
#[error("event {event}")]
pub(crate) struct FailedEvent {
    pub(crate) event: Uuid,
    pub(crate) source: BoxError,
}

/// After a conflict, waits and returns whether to try again.
///
/// The number of attempts is limited, so that a batch that always conflicts does not occupy its job. The job's own
/// back-off is longer.
pub(super) async fn retry_after_conflict(runtime: &Runtime, done: &Result<(), CommitError>, attempt: &mut u32) -> bool {
    let conflict = matches!(done, Err(CommitError::Conflict { exists: false, .. }));
    if !conflict || *attempt == CONFLICTS {
        return false;
    }
    runtime.environment.sleep(backoff(&*runtime.environment, *attempt, FIRST_WAIT, LONGEST_WAIT)).await;
    *attempt += 1;
    true
}

const CONFLICTS: u32 = 12;

const FIRST_WAIT: Duration = Duration::from_millis(1);

const LONGEST_WAIT: Duration = Duration::from_millis(128);
