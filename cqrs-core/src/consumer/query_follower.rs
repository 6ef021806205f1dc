//! The follower of a projection on the query side: reads the log, and applies the changes with the checkpoint to the store.
use crate::{
    consumer::follower::{FailedEvent, retry_after_conflict},
    consumer::projection::changed,
    error::{Fault, causes},
    event::{Entry, FirstEvent},
    job::{Step, next_tick},
    position::Position,
    registry::{Projection, reader},
    runtime::{Names, ReaderProgress, Runtime, filled_mark},
    storage::{CheckpointMove, CommitError, ReadLimit, Reading, ViewBatch, ViewChange},
    transport::envelope::from_log,
};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};
use uuid::Uuid;

/// The largest number of events in one batch.
const EVENTS: usize = 500;

/// The interval at which an idle follower looks whether its store still has the checkpoint.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A projection that fills its view in the store of a query side.
///
/// It runs in each process of the query side. The store compares the checkpoint in the batch that moves it, so each event is applied
/// once. An event that cannot be applied is not parked: the projection waits at it, with an error, until a program can apply it. The
/// same projection of the service itself parks it, and tells its operator.
#[must_use = "it does nothing unless `step` is called"]
pub struct QueryFollower {
    runtime: Arc<Runtime>,
    /// The functions of the projection, all of one view.
    functions: Arc<[Projection]>,
    name: String,
    progress: Option<Arc<ReaderProgress>>,
    /// The checkpoint, or `None` when it has to be read: another process may have moved it, or the store may have lost it.
    checkpoint: Option<u64>,
    /// Set when the last step has read entries, so that the high-water mark need not be read again at once.
    just_read: bool,
    /// Set when the last batch was full, so that more events are waiting.
    is_behind: bool,
}

impl QueryFollower {
    pub(crate) fn new(runtime: Arc<Runtime>, functions: Vec<Projection>) -> Option<Self> {
        let name = reader(functions.first()?.name);
        let progress = runtime.readers.iter().find(|progress| progress.name == name).cloned();
        let functions = functions.into();
        Some(QueryFollower { runtime, functions, name, progress, checkpoint: None, just_read: false, is_behind: false })
    }
    /// Returns the name of the projection's reader, such as `projection/card`.
    pub fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn view(&self) -> &'static str {
        self.functions[0].view
    }
    /// Returns the names of the events that the projection handles.
    pub(crate) fn handled_names(&self) -> Vec<Cow<'static, str>> {
        self.functions.iter().flat_map(|function| function.source.names_on_log()).copied().map(Cow::Borrowed).collect()
    }
    /// Applies the next batch of events after the checkpoint and moves the checkpoint.
    ///
    /// # Errors
    /// Fails when the log or the store fails, or when an event cannot be applied. The events before it are applied then. Call it
    /// again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let runtime = self.runtime.clone();
        let Some(side) = &runtime.query_side else { return Ok(Step::Idle(Position(0))) };
        // After a failure, the checkpoint in the store is the truth: the store may have lost it, or applied the batch.
        let checkpoint = self.checkpoint.take();
        side.verify(&runtime).await?;
        let names = side.names(&runtime, self.view())?;
        let from = match checkpoint {
            Some(checkpoint) => checkpoint,
            None => match self.stored(&names).await? {
                Some(stored) => stored,
                None => return self.begin(&names).await,
            },
        };
        if let Some(progress) = &self.progress {
            progress.saw_stored(Position(from));
        }
        let (log, just_read) = (&runtime.recent_log, std::mem::take(&mut self.just_read));
        let names_on_log = self.handled_names();
        let handled: Vec<_> = names_on_log.iter().map(|name| &**name).collect();
        let bytes = runtime.byte_budget.log / runtime.readers.len().max(1);
        let limit = ReadLimit { entries: EVENTS, bytes: bytes.max(1) };
        let Reading { entries, to, is_full } =
            log.read(&*runtime.storage, Position(from), just_read, limit, &handled).await?;
        self.is_behind = is_full;
        if to.0 <= from {
            // The checkpoint is read again: the store may have lost it meanwhile.
            self.just_read = true;
            return Ok(Step::IdleFor(to, CHECK_INTERVAL));
        }
        let count = entries.len();
        let applied = self.apply(&names, from, to.0, entries).await?;
        self.checkpoint = applied;
        if let (Some(progress), Some(applied)) = (&self.progress, applied) {
            progress.saw_stored(Position(applied));
        }
        self.just_read = applied == Some(to.0);
        Ok(Step::Did(count))
    }
    /// Returns the stored checkpoint, or `None` if the store has none: it is new, or has lost its content.
    async fn stored(&self, names: &Names) -> Result<Option<u64>, Fault> {
        let Some(side) = &self.runtime.query_side else { return Ok(None) };
        let reader = names.reader(&self.name);
        let stored = side.store.positions(&[reader.clone(), filled_mark(&reader)]).await?;
        Ok(match stored[..] {
            [checkpoint, mark] if mark > 0 => Some(checkpoint),
            _ => None,
        })
    }
    /// Stores the first checkpoint, and the position at which the view is filled.
    async fn begin(&mut self, names: &Names) -> Result<Step, Fault> {
        let Some(side) = &self.runtime.query_side else { return Ok(Step::Did(0)) };
        let (end, reader) = (self.runtime.storage.high_water_mark().await?, names.reader(&self.name));
        let first = if self.functions[0].from == FirstEvent::Now { end.0 } else { 0 };
        let mut moves = vec![CheckpointMove { reader: filled_mark(&reader), from: 0, to: end.0 + 1, epoch: None }];
        if first > 0 {
            moves.push(CheckpointMove { reader, from: 0, to: first, epoch: None });
        }
        match side.store.apply(ViewBatch { view: names.view.clone(), writes: Vec::new(), moves }).await {
            // Another process may have been faster.
            Ok(()) | Err(CommitError::Moved(_)) => {
                // A store that has lost its content has lost the epoch, too.
                side.verify_again();
                tracing::info!(reader = self.name, upto = end.0, "a view of the query side is being filled");
                Ok(Step::Did(0))
            }
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => Err(Fault::internal("the first checkpoint was rejected").because(rejected)),
        }
    }
    /// Applies the entries and moves the checkpoint to `to`, or to the place before an entry that cannot be applied. Returns the new
    /// checkpoint, or `None` if another process has moved it.
    async fn apply(
        &self,
        names: &Names,
        from: u64,
        mut to: u64,
        mut entries: Vec<Entry>,
    ) -> Result<Option<u64>, Fault> {
        let (runtime, reader) = (&self.runtime, names.reader(&self.name));
        let Some(side) = &runtime.query_side else { return Ok(None) };
        let mut attempt = 0;
        loop {
            let events: Vec<_> = entries.iter().cloned().map(from_log).collect();
            let count = events.len();
            let writes = match changed(runtime, &self.functions, self.view(), &events, true, None).await {
                Ok(writes) => writes,
                Err(fault) => {
                    let failed = failed_event(&fault);
                    let place = failed.and_then(|event| entries.iter().position(|entry| entry.id == event));
                    match place.filter(|place| *place > 0) {
                        // The events before it are applied, so that only this one is left.
                        Some(place) => {
                            entries.truncate(place);
                            to = entries.last().map_or(from, |last| last.position.0);
                            continue;
                        }
                        None => return Err(fault),
                    }
                }
            };
            let writes = writes.into_iter().map(|write| ViewChange {
                key: write.key,
                expected: write.expected,
                value: write.value,
                entries: write.entries,
            });
            let moves = vec![CheckpointMove { reader: reader.clone(), from, to, epoch: None }];
            let batch = ViewBatch { view: names.view.clone(), writes: writes.collect(), moves };
            let done = side.store.apply(batch).await;
            if retry_after_conflict(runtime, &done, &mut attempt).await {
                continue;
            }
            return match done {
                Ok(()) => {
                    runtime.meter.projected(self.functions[0].name, count);
                    Ok(Some(to))
                }
                Err(CommitError::Moved(_)) => Ok(None),
                Err(CommitError::Fault(fault)) => Err(fault),
                Err(rejected) => {
                    Err(Fault::internal(format!("the batch of {} was rejected", self.name)).because(rejected))
                }
            };
        }
    }
    /// Waits until the next batch is due: at the next tick, or at once when a read waits for the follower.
    pub(crate) async fn due(&mut self) {
        if self.is_behind {
            return;
        }
        let awaited = async {
            match &self.progress {
                Some(progress) => progress.awaited().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = awaited => (),
            () = next_tick(&*self.runtime.environment) => (),
        }
    }
    /// Forgets everything that is not stored, after a panic in the middle of a step.
    pub(crate) fn reset(&mut self) {
        (self.checkpoint, self.just_read) = (None, false);
    }
}
impl fmt::Debug for QueryFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryFollower({} at {:?})", self.name, self.checkpoint)
    }
}

/// Returns the event that could not be applied, if the error names it.
fn failed_event(fault: &Fault) -> Option<Uuid> {
    causes(fault).find_map(|cause| cause.downcast_ref::<FailedEvent>().map(|failed| failed.event))
}
