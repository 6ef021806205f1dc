//! Runs a projection: commits the changed views and the checkpoint in one batch, so no event is applied twice.
//!
//! The batch names the copy of the view for which it was computed, as the epoch of its checkpoint moves. After a switch to
//! another copy it is refused.
use crate::{
    codec::WrittenByNewerProgram,
    consumer::follower::{FailedEvent, retry_after_conflict},
    consumer::parking::permanent,
    consumer::pending_values::PendingValues,
    consumer::written_values::{self, WrittenValues},
    error::{BoxError, Fault},
    event::RawEvent,
    registry::Projection,
    runtime::Runtime,
    storage::{Batch, CommitError, ViewWrite, is_copy},
    view::ErasedStep,
};
use std::{panic::AssertUnwindSafe, sync::Arc};
use uuid::Uuid;

/// Commits the changes that the events make. With the values that were written before, those are not read again.
pub(crate) async fn project(
    runtime: &Arc<Runtime>,
    functions: &[Projection],
    events: Vec<RawEvent>,
    base: Batch,
    mut written: Option<&WrittenValues>,
) -> Result<(), CommitError> {
    let (mut attempt, mut is_newest) = (0, false);
    loop {
        let mut batch = base.clone();
        // All functions have the view and the name of the first.
        let Some(projection) = functions.first() else { return Ok(()) };
        let copy = target(runtime, projection, &mut batch).await?;
        batch.views = match changed(runtime, functions, copy, &events, is_newest, written).await {
            Err(fault) if !is_newest && WrittenByNewerProgram::is_cause_of(&fault) => {
                is_newest = runtime.is_newest_program().await?;
                if !is_newest {
                    return Err(fault.into());
                }
                continue;
            }
            // A value that was written before may not be the newest one, and the event failed on it alone.
            Err(_) if let Some(former) = written.take() => {
                former.forget();
                continue;
            }
            changed => changed?,
        };
        batch.sort();
        let values = written.map(|_| written_values::written(&batch.views)).unwrap_or_default();
        let done = runtime.storage.commit(batch).await.map(|_| ());
        if let Some(written) = written {
            if done.is_ok() { written.keep(values) } else { written.forget() }
        }
        if let Err(CommitError::Moved(_)) = done {
            runtime.copies.forget(projection.view);
        }
        // On a conflict another projection of the same view was faster, so compute the changes again from the current
        // values.
        if !retry_after_conflict(runtime, &done, &mut attempt).await {
            return done;
        }
    }
}

/// Returns the name of the copy to which the projection writes, and lets the batch be refused if another copy serves. The
/// projection of a rebuild writes to its own copy.
///
/// A redelivery moves no checkpoint. The switch gives its messages new numbers, so it is refused as well if it has read them
/// before; hence it reads the copy afterwards.
async fn target(runtime: &Runtime, projection: &Projection, batch: &mut Batch) -> Result<&'static str, Fault> {
    if is_copy(projection.view) {
        return Ok(projection.view);
    }
    let (storage, view) = (&*runtime.storage, projection.view);
    if batch.checkpoint_moves.is_empty() {
        return Ok(runtime.copies.read(storage, view).await?.name);
    }
    let copy = runtime.copies.of(storage, view).await?;
    batch.checkpoint_moves.iter_mut().for_each(|moved| moved.epoch = Some(copy.number));
    Ok(copy.name)
}

/// Returns the writes to a copy of the view that the events make.
pub(super) async fn changed(
    runtime: &Arc<Runtime>,
    functions: &[Projection],
    copy: &'static str,
    events: &[RawEvent],
    is_newest: bool,
    written: Option<&WrittenValues>,
) -> Result<Vec<ViewWrite>, Fault> {
    // All functions have the view and the name of the first.
    let Some(projection) = functions.first() else { return Ok(Vec::new()) };
    let cannot = |id: Uuid, error: BoxError| {
        let error = FailedEvent { event: id, source: error };
        Fault::internal(format!("projection {} cannot apply event {id}", projection.name)).because(error)
    };
    let mut steps = Vec::new();
    for event in events {
        let function = functions.iter().find(|function| function.source.handles(&event.name));
        let Some(function) = function else { continue };
        let change = unless_it_panics(|| (function.project)(event.clone())).map_err(|e| cannot(event.id, e))?;
        if projection.is_inline && change.0.iter().any(|step| matches!(step, ErasedStep::Range(..))) {
            return Err(cannot(event.id, permanent(RangeOfInline)));
        }
        steps.extend(change.0.into_iter().map(|step| (event.id, step)));
    }
    let has_ranges = steps.iter().any(|(_, step)| matches!(step, ErasedStep::Range(..)));
    let mut values = PendingValues::new(runtime, &Projection { view: copy, ..*projection }, has_ranges);
    let key = |(_, step): &(Uuid, ErasedStep)| match step {
        ErasedStep::Key(key, _) => Some(key.clone()),
        ErasedStep::Range(..) => None,
    };
    let keys: Vec<_> = steps.iter().filter_map(key).collect();
    // A range also finds values by their entries, which are not kept.
    if let Some(written) = written.filter(|_| !has_ranges) {
        values.take(&keys, written);
    }
    values.read(keys).await?;
    for (id, step) in steps {
        match step {
            ErasedStep::Key(key, alter) => {
                let value = values.value(&key);
                let next = unless_it_panics(|| Ok(alter(value, is_newest)?)).map_err(|e| cannot(id, e))?;
                values.set(&key, next);
            }
            ErasedStep::Range(range, alter) => {
                // A range that is too large, or has a value that cannot be read, is this event's failure alone.
                let keys = values.keys_in(&range).await.map_err(|fault| match fault.is_transient() {
                    true => fault,
                    false => cannot(id, permanent(fault)),
                })?;
                for key in keys {
                    let Some(value) = values.value(&key) else { continue };
                    let next = unless_it_panics(|| Ok(alter(value, is_newest)?)).map_err(|e| cannot(id, e))?;
                    values.set(&key, next);
                }
            }
        }
    }
    Ok(values.into_writes())
}

/// Runs a projection and marks its error as permanent, because it is a function of the event alone. A panic can have
/// another cause, so it is retried.
fn unless_it_panics<T>(run: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(permanent),
        Err(_) => Err("the projection panicked".into()),
    }
}

/// The error of an inline projection that changes the values of a range.
///
/// Concurrent commands would each read the range without the changes of the other. The values that a command changes by
/// their keys are compared at its commit.
#[derive(Debug, thiserror::Error)]
#[error("an inline projection changes values by their keys, not by a range of an index: leave `inline` out")]
struct RangeOfInline;
