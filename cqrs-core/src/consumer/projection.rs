//! Runs a projection: commits the changed views and the checkpoint in one batch, so no event is applied twice.
//!
//! The batch names the copy of the view for which it was computed, as the epoch of its checkpoint moves. After a switch to
//! another copy it is refused.
use crate::{
    catalogue::index_set,
    codec::WrittenByNewerProgram,
    consumer::follower::{FailedEvent, retry_after_conflict},
    consumer::parking::permanent,
    error::{BoxError, Fault},
    event::RawEvent,
    registry::Projection,
    runtime::Runtime,
    storage::{Batch, CommitError, StoredView, ViewWrite, is_copy, stored_as},
};
use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
};
use uuid::Uuid;

pub(super) async fn project(
    runtime: &Arc<Runtime>,
    projection: &Projection,
    events: Vec<RawEvent>,
    base: Batch,
) -> Result<(), CommitError> {
    let (mut attempt, mut is_newest) = (0, false);
    loop {
        let mut batch = base.clone();
        let copy = target(runtime, projection, &mut batch).await?;
        batch.views = match changed(runtime, projection, copy, &events, is_newest).await {
            Err(fault) if !is_newest && WrittenByNewerProgram::is_cause_of(&fault) => {
                is_newest = runtime.is_newest_program().await?;
                if !is_newest {
                    return Err(fault.into());
                }
                continue;
            }
            changed => changed?,
        };
        batch.sort();
        let done = runtime.storage.commit(batch).await.map(|_| ());
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

/// The value of a key while the events of a batch are applied to it.
struct PendingWrite {
    expected: u64,
    value: Option<Vec<u8>>,
    entries: Vec<(&'static str, Vec<u8>)>,
}

async fn changed(
    runtime: &Arc<Runtime>,
    projection: &Projection,
    copy: &'static str,
    events: &[RawEvent],
    is_newest: bool,
) -> Result<Vec<ViewWrite>, Fault> {
    let cannot = |id: Uuid, error: BoxError| {
        let error = FailedEvent { event: id, source: error };
        Fault::internal(format!("projection {} cannot apply event {id}", projection.name)).because(error)
    };
    let mut alters = Vec::new();
    for event in events {
        let change = unless_it_panics(|| (projection.project)(event.clone())).map_err(|e| cannot(event.id, e))?;
        alters.extend(change.0.into_iter().map(|(key, alter)| (event.id, key, alter)));
    }
    let mut keys: Vec<_> = alters.iter().map(|(_, key, _)| key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let stored = runtime.storage.views(copy, &keys).await?;
    let mut stored: HashMap<String, StoredView> = stored.into_iter().map(|view| (view.key.clone(), view)).collect();
    let mut pending: BTreeMap<String, PendingWrite> = BTreeMap::new();
    for (id, key, alter) in alters {
        let write = pending.entry(key).or_insert_with_key(|key| {
            let found = stored.remove(key);
            let (expected, value) = found.map_or((0, None), |view| (view.version, view.value));
            PendingWrite { expected, value, entries: Vec::new() }
        });
        let value = write.value.as_deref();
        let next = unless_it_panics(|| Ok(alter(value, is_newest)?)).map_err(|e| cannot(id, e))?;
        (write.value, write.entries) = next.map_or((None, Vec::new()), |next| (Some(next.value), next.entries));
    }
    let index_set = index_set(projection.indexes.iter().copied());
    let written = pending.into_iter().filter(|(_, write)| write.expected > 0 || write.value.is_some());
    let write = |(key, write): (String, PendingWrite)| ViewWrite {
        view: stored_as(copy),
        key,
        expected: write.expected,
        value: write.value,
        entries: write.entries,
        index_set,
    };
    Ok(written.map(write).collect())
}

/// Runs a projection and marks its error as permanent, because it is a function of the event alone. A panic can have
/// another cause, so it is retried.
fn unless_it_panics<T>(run: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(permanent),
        Err(_) => Err("the projection panicked".into()),
    }
}
