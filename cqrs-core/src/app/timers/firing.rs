//! One firing of a timer: its command is sent, and the batch of the command ends the timer.
use crate::{
    Timestamp,
    consumer::{
        is_left,
        parking::{FailureKind, failure_kind},
    },
    context::Context,
    environment::within,
    error::{Fault, describe},
    metadata::{FiredTimer, Metadata, TimerEnd, framework_key},
    process::expire,
    registry::{ProcessDefinition, RunStored, StoredCommandError},
    runtime::Runtime,
    schedule::next_time,
    storage::{Batch, CommitError, Timer},
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// The part of the program that carries out the command of a timer.
#[derive(Clone)]
pub(super) enum Runner {
    /// The handler of a command.
    Command(RunStored),
    /// The process whose deadline it is.
    Deadline(Arc<ProcessDefinition>),
}

/// The result of one attempt to fire a timer.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The command was carried out, and the timer has ended or waits for its next time.
    Fired,
    /// The domain has refused the command, and the timer has ended or waits for its next time.
    Refused,
    /// The timer was fired, replaced or cancelled by another one.
    Gone,
    /// A component is down. The attempt does not count.
    Transient(String),
    /// Only a newer program can handle the command. The attempt does not count.
    Left(String),
    /// The attempt failed.
    Failed(String),
    /// This program cannot read the timer, or has no handler of its command. A newer program may.
    Unreadable(String),
    /// No attempt can succeed.
    Hopeless(String),
}
impl Attempt {
    /// Returns whether the next timer of the key may be fired.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Attempt::Fired | Attempt::Refused | Attempt::Gone)
    }
    /// Returns the outcome for the metric.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Attempt::Fired => "fired",
            Attempt::Refused => "refused",
            Attempt::Gone => "gone",
            Attempt::Transient(_) | Attempt::Left(_) => "unavailable",
            Attempt::Failed(_) | Attempt::Unreadable(_) | Attempt::Hopeless(_) => "failed",
        }
    }
}

/// The reading of the database's clock on which a firing is based.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The time of the database.
    pub(super) now: Timestamp,
    /// The uptime of this process at that time.
    pub(super) uptime: Duration,
    /// The readings between which the clock was last set forward.
    pub(super) jump: Option<(Timestamp, Timestamp)>,
}

/// Fires a timer that is due.
pub(super) async fn fire(runtime: &Arc<Runtime>, runner: Runner, timer: &Timer, clock: Clock) -> Attempt {
    let next = match next_time(timer, clock.now) {
        Ok(next) => next,
        Err(fault) => return Attempt::Unreadable(describe(&fault)),
    };
    let metadata = Arc::new(metadata(runtime, timer, clock, next));
    runtime.meter.timer_late(&timer.command, metadata.timer.as_ref().map_or(Duration::ZERO, |fired| fired.late));
    let context = Context { runtime, unit: None, metadata: &metadata };
    let limit = runtime.retry_policy.time_limit;
    let run = async {
        match &runner {
            Runner::Command(run) => run(&context, &timer.body).await,
            Runner::Deadline(process) => expire(runtime, process, &timer.body, &metadata).await,
        }
    };
    let sent = AssertUnwindSafe(within(&*runtime.environment, limit, run)).catch_unwind().await;
    match sent {
        Err(_) => Attempt::Failed("the handler panicked".to_owned()),
        Ok(None) => Attempt::Failed(format!("the attempt did not end within {limit:?}")),
        Ok(Some(Ok(()))) => Attempt::Fired,
        Ok(Some(Err(StoredCommandError::Gone))) => Attempt::Gone,
        Ok(Some(Err(StoredCommandError::Refused(reason)))) => {
            tracing::info!(timer = timer.name, command = timer.command, reason, "the command of a timer was refused");
            end(runtime, timer, next).await
        }
        Ok(Some(Err(error))) if is_left(&error) => Attempt::Left(describe(&error)),
        Ok(Some(Err(error @ StoredCommandError::Transient(_)))) => Attempt::Transient(describe(&error)),
        Ok(Some(Err(error @ StoredCommandError::Unreadable(_)))) => Attempt::Unreadable(describe(&error)),
        Ok(Some(Err(error @ StoredCommandError::Failed(_)))) => failed(error),
    }
}

/// Classifies a failure by the marks of the errors that have caused it, as that of a message.
fn failed(error: StoredCommandError) -> Attempt {
    let text = describe(&error);
    let rejected = CommitError::Fault(Fault::internal("the command of a timer has failed").because(error));
    match failure_kind(&rejected) {
        FailureKind::Transient => Attempt::Transient(text),
        FailureKind::Permanent => Attempt::Hopeless(text),
        _ => Attempt::Failed(text),
    }
}

/// Returns the metadata of the command: that of the command which has set the timer, caused by the timer.
fn metadata(runtime: &Runtime, timer: &Timer, clock: Clock, next: Option<Timestamp>) -> Metadata {
    let Timer { id, name, due, metadata, .. } = timer;
    let since = runtime.environment.uptime().saturating_sub(clock.uptime);
    let late = (clock.now - *due).to_std().unwrap_or_default() + since;
    let clock_was_set = clock.jump.is_some_and(|(from, to)| from < *due && *due <= to);
    let end = Some(next.map_or(TimerEnd::Removed, TimerEnd::Next));
    let fired = FiredTimer { id: *id, name: name.clone(), due: *due, late, clock_was_set, end };
    let metadata = metadata.clone().caused_by(*id, metadata.correlation.or(Some(*id)));
    Metadata { timer: Some(Box::new(fired)), ..metadata.key(framework_key::of_timer(*id, *due)) }
}

/// Ends a timer whose command has changed nothing, or gives it its next time.
async fn end(runtime: &Arc<Runtime>, timer: &Timer, next: Option<Timestamp>) -> Attempt {
    let mut batch = Batch::default();
    batch.fire(&timer.name, timer.firing(), next);
    match runtime.storage.commit(batch).await {
        Ok(_) => Attempt::Refused,
        Err(CommitError::Moved(_)) => Attempt::Gone,
        Err(refused) => Attempt::Transient(describe(&refused)),
    }
}
