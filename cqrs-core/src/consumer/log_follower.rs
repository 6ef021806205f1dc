//! The follower of the service's own log: reads up to the high-water mark, applies the events and moves the checkpoint.
use crate::{
    consumer::crashes::Crashes,
    consumer::follower::Follower,
    consumer::lease::GroupLease,
    consumer::parking::{Item, ParkingFilter, park_entry},
    consumer::read_ahead::{NextRead, ReadBatch},
    error::{Fault, describe},
    event::Entry,
    job::{Step, next_tick},
    position::Position,
    runtime::{ReaderProgress, Runtime},
    storage::{Batch, CheckpointMove, CommitError, ReadLimit, Reading},
    transport::envelope::from_log,
};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// A projection, or a group of subscribers, that follows the service's own log.
#[must_use = "it does nothing unless `step` is called"]
pub struct LogFollower {
    runtime: Arc<Runtime>,
    follower: Follower,
    reader: String,
    /// The name under which programs declare what they handle.
    declared: String,
    /// The last position that the follower reads; `None` is the end of the log.
    upto: Option<Position>,
    /// The largest number of events of a batch, if it is not the follower's own.
    batch: Option<usize>,
    /// Receives the position up to which the follower has handled everything, so that queries can wait for it.
    progress: Option<Arc<ReaderProgress>>,
    /// The lease of a group; `None` for a projection, and where only one process can open the database.
    lease: Option<GroupLease>,
    /// The messages with which a process may have died.
    crashes: Arc<Crashes>,
    /// Set when it is stored that this process handles the messages.
    is_claimed: bool,
    /// The checkpoint, or `None` when it has to be read because another process may have moved it.
    checkpoint: Option<Checkpoint>,
    /// Set when the last step has read entries, so that the high-water mark need not be read again at once.
    just_read: bool,
    filter: ParkingFilter,
    /// Set when the last batch was full, so that more events are waiting.
    is_behind: bool,
    /// Set when the next batch is read while one is written.
    reads_ahead: bool,
    /// The batch that was read while the last one was written.
    read_ahead: Option<ReadBatch>,
}
/// The stored checkpoint, and the position that the follower has reached beyond it.
///
/// Between the two lies no event that the follower handles. Such a move is stored with the next batch that changes
/// something, or after [`STORE_INTERVAL`], since a commit for each would cost as much as a change.
#[derive(Debug, Clone, Copy)]
struct Checkpoint {
    stored: u64,
    reached: u64,
    /// The uptime at which the follower first reached beyond the stored checkpoint.
    since: Duration,
}

/// The longest time until a checkpoint is stored that no handled event moves. Another process may wait for it.
const STORE_INTERVAL: Duration = Duration::from_millis(200);

/// The interval at which a group looks whether another suspect message of this process is still being tried.
const ALONE_INTERVAL: Duration = Duration::from_millis(100);

impl LogFollower {
    pub(crate) fn new(runtime: Arc<Runtime>, follower: Follower) -> Self {
        let reader = follower.reader();
        let progress = runtime.readers.iter().find(|progress| progress.name == reader).cloned();
        let is_group = matches!(follower, Follower::Group(..));
        let crashes = Crashes::new(&runtime, &reader);
        let lease = (is_group && !runtime.storage.is_exclusive()).then(|| GroupLease::new(&runtime));
        LogFollower {
            runtime,
            declared: follower.declared_reader(),
            follower,
            reader,
            upto: None,
            batch: None,
            progress,
            lease,
            crashes,
            is_claimed: false,
            checkpoint: None,
            just_read: false,
            filter: ParkingFilter::default(),
            is_behind: false,
            reads_ahead: false,
            read_ahead: None,
        }
    }
    /// Returns the stored name of the checkpoint.
    pub fn name(&self) -> &str {
        &self.reader
    }
    /// Returns `projection`, or `group` for a group of subscribers.
    pub(crate) fn kind(&self) -> &'static str {
        if matches!(self.follower, Follower::Group(..)) { "group" } else { "projection" }
    }
    /// Returns the position up to which this process has handled everything.
    pub(crate) fn seen(&self) -> Position {
        self.progress.as_ref().map_or(Position(0), |progress| progress.seen())
    }
    /// Applies the next batch of events after the checkpoint and moves the checkpoint.
    ///
    /// The subscribers of a group run in one process at a time, which holds the group's lease; in the others a step does
    /// nothing.
    ///
    /// # Errors
    /// Fails when the database fails or an event cannot be applied. Nothing has changed then; call it again. An event
    /// that fails on every attempt is parked, with the later events of its aggregate. A batch that the database refuses
    /// as a whole is halved until one event is to blame.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        if let Some(lease) = &mut self.lease {
            let changed = lease.hold(&self.runtime, &self.reader).await?;
            let (epoch, left) = (lease.epoch(), lease.left(&self.runtime));
            if changed {
                self.reset();
                self.is_claimed = false;
            }
            if epoch.is_none() {
                return Ok(Step::Paused(left));
            }
        }
        if !self.is_claimed && !self.claim().await? {
            // No commit of this process ends the attempts of another one.
            return Ok(Step::Paused(ALONE_INTERVAL));
        }
        let storage = self.runtime.storage.clone();
        let checkpoint = match self.checkpoint {
            Some(checkpoint) => checkpoint,
            None => {
                let stored = storage.checkpoints(std::slice::from_ref(&self.reader)).await?;
                let stored = stored.first().copied().unwrap_or(0);
                self.progress.iter().for_each(|progress| progress.saw_stored(Position(stored)));
                Checkpoint { stored, reached: stored, since: Duration::ZERO }
            }
        };
        self.reached(checkpoint);
        let (from, just_read) = (Position(checkpoint.reached), std::mem::take(&mut self.just_read));
        let limit = self.batch_limit();
        let batch = match self.read_ahead.take().filter(|batch| batch.is_next(from, limit)) {
            Some(batch) => batch,
            None => self.next_read(from, just_read).run().await?,
        };
        let runtime = &self.runtime;
        let ReadBatch { last_program, reading: Reading { mut entries, mut to, mut is_full }, .. } = batch;
        if let Some(upto) = self.upto.filter(|upto| *upto < to) {
            entries.retain(|entry| entry.position <= upto);
            (to, is_full) = (upto.max(from), false);
        }
        // After the read, so that a program is known which was declared a while before one of these entries. If this or
        // another follower has learned of one meanwhile, its entries may have been left out, so they are read again.
        runtime.refresh_newer_programs().await?;
        if runtime.newer_programs.last() != last_program {
            return Ok(Step::Did(0));
        }
        entries.retain(|entry| !self.follower.has_applied(entry));
        self.is_behind = is_full;
        let mut count = self.filter.size.next(entries.len());
        if self.crashes.is_watching() {
            let messages: Vec<_> = entries.iter().map(|entry| entry.id).take(count).collect();
            count = count.min(self.crashes.together(&self.reader, &messages));
        }
        if count < entries.len() {
            entries.truncate(count);
            to = entries.last().map_or(to, |last| last.position);
            self.is_behind = true;
        }
        if to <= from {
            if self.crashes.is_watching() {
                self.crashes.idle(&self.runtime, &self.reader).await;
            }
            return match self.until_stored(checkpoint) {
                // The lease of a group has to be renewed meanwhile, and the watch on its events ends by a look.
                None => {
                    let lease = self.lease.as_ref().map(|lease| lease.left(&self.runtime));
                    let left =
                        [lease, self.crashes.until_quiet(&self.runtime, &self.reader)].into_iter().flatten().min();
                    Ok(left.map_or(Step::Idle(to), |left| Step::IdleFor(to, left)))
                }
                Some(Duration::ZERO) => self.commit(checkpoint, from.0, Vec::new()).await,
                Some(left) => Ok(Step::IdleFor(to, left)),
            };
        }
        self.just_read = true;
        if entries.is_empty() && self.until_stored(checkpoint) != Some(Duration::ZERO) {
            let first = checkpoint.reached == checkpoint.stored;
            let since = if first { self.runtime.environment.uptime() } else { checkpoint.since };
            self.reached(Checkpoint { reached: to.0, since, ..checkpoint });
            return Ok(Step::Did(0));
        }
        self.commit(checkpoint, to.0, entries).await
    }
    /// Returns the read of the next batch after a position.
    fn next_read(&self, from: Position, just_read: bool) -> NextRead {
        // Before the names, so that a program that is learned of meanwhile counts as one that they lack.
        let last_program = self.runtime.newer_programs.last();
        let (runtime, limit, names) = (self.runtime.clone(), self.batch_limit(), self.handled_names());
        NextRead { runtime, from, just_read, limit, names, last_program }
    }
    /// Returns the names of the events that the follower handles, or leaves to a newer program.
    pub(crate) fn handled_names(&self) -> Vec<Cow<'static, str>> {
        let newer = self.runtime.newer_programs.handled_by(&self.declared);
        self.follower.names().into_iter().map(Cow::Borrowed).chain(newer.into_iter().map(Cow::Owned)).collect()
    }
    /// Limits the events of a batch, of a follower whose batches are one transaction.
    pub(crate) fn limit_batch(&mut self, events: usize) {
        self.batch = Some(events);
    }
    /// Reads each next batch while one is written. A batch has half of the follower's share of the budget then.
    pub(crate) fn read_ahead(&mut self) {
        self.reads_ahead = true;
    }
    /// Returns the limit of a batch. The followers of the log share the budget equally.
    fn batch_limit(&self) -> ReadLimit {
        let held = if self.reads_ahead { 2 } else { 1 };
        let bytes = self.runtime.byte_budget.log / self.runtime.readers.len().max(1) / held;
        ReadLimit { entries: self.batch.unwrap_or_else(|| self.follower.batch_size()), bytes: bytes.max(1) }
    }
    /// Waits until the next batch is due: at the next tick, or at once when a read waits for the follower.
    ///
    /// A subscriber has an effect of its own for each event, so it never waits.
    pub(crate) async fn due(&mut self) {
        let (Some(progress), "projection", false) = (&self.progress, self.kind(), self.is_behind) else { return };
        tokio::select! {
            biased;
            () = progress.awaited() => (),
            () = next_tick(&*self.runtime.environment) => (),
        }
    }
    /// Stores the position that the follower has reached, and releases the lease of a group, so that the next process
    /// need not wait.
    pub async fn release(&mut self) {
        self.store_checkpoint().await;
        self.crashes.give_up_all(&self.runtime).await;
        self.is_claimed = false;
        if let Some(lease) = &mut self.lease {
            lease.release(&self.runtime, &self.reader).await;
        }
    }
    /// Stores the position that the follower has reached. A rebuild compares it with that of the copy that serves.
    pub(crate) async fn store_checkpoint(&mut self) {
        if let Some(checkpoint) = self.checkpoint.filter(|checkpoint| checkpoint.reached > checkpoint.stored)
            && let Err(error) = self.commit(checkpoint, checkpoint.reached, Vec::new()).await
        {
            let error = describe(&error);
            tracing::debug!(reader = self.reader, error, "the checkpoint was not stored; it is reached again");
        }
    }
    /// Lets the follower read up to a position only: that of the copy that serves, with which a rebuild compares.
    pub(crate) fn read_up_to(&mut self, upto: Option<Position>) {
        self.upto = upto;
    }
    /// Returns whether the follower has reached the position up to which it reads.
    pub(crate) fn has_reached(&self) -> bool {
        self.upto.is_none_or(|upto| self.position() >= upto)
    }
    /// Returns the position that the follower has reached; 0 before its first step.
    pub(crate) fn position(&self) -> Position {
        Position(self.checkpoint.map_or(0, |checkpoint| checkpoint.reached))
    }
    /// Forgets everything that is not stored, after a panic in the middle of a step.
    pub(crate) fn reset(&mut self) {
        (self.checkpoint, self.just_read, self.filter) = (None, false, ParkingFilter::default());
        self.read_ahead = None;
        self.runtime.breakers.forget(&self.reader);
    }
    /// Returns the time until the checkpoint has to be stored, or `None` when it is.
    fn until_stored(&self, checkpoint: Checkpoint) -> Option<Duration> {
        let unstored = self.runtime.environment.uptime().saturating_sub(checkpoint.since);
        (checkpoint.reached > checkpoint.stored).then(|| STORE_INTERVAL.saturating_sub(unstored))
    }
    /// Applies the entries and moves the checkpoint to `to`, in one batch.
    async fn commit(&mut self, checkpoint: Checkpoint, to: u64, entries: Vec<Entry>) -> Result<Step, Fault> {
        let count = entries.len();
        let messages: Vec<_> = match self.crashes.is_watching() {
            true => entries.iter().map(|entry| entry.id).collect(),
            false => Vec::new(),
        };
        let mut suspect = self.crashes.suspect(&self.reader, &messages);
        if let Some(suspect) = suspect.as_mut().filter(|suspect| suspect.is_tried_alone())
            && !suspect.wait_alone(&self.runtime, ALONE_INTERVAL).await
        {
            return Ok(Step::Paused(ALONE_INTERVAL));
        }
        let ended = suspect.as_ref().and_then(|suspect| suspect.check(&self.runtime).err());
        let trying = match suspect {
            Some(suspect) if ended.is_none() => Some(suspect.begin(&self.runtime, &self.crashes).await?),
            _ => None,
        };
        let epoch = self.lease.as_ref().and_then(GroupLease::epoch);
        let moved = CheckpointMove { reader: self.reader.clone(), from: checkpoint.stored, to, epoch };
        // The stream is the key, so that the events of one aggregate stay in order.
        let item = |entry: Entry| {
            let park = park_entry(&self.reader, entry.stream.clone(), entry.id, entry.position.0);
            let handles = self.follower.handles(&entry.name);
            let left = self.runtime.left_to_newer(&self.declared, handles, &entry.name, entry.schema);
            Item { event: left.map(|()| from_log(entry)), park }
        };
        let mut items: Vec<_> = entries.into_iter().map(item).collect();
        if let (Some(ended), Some(item)) = (ended, items.first_mut()) {
            item.event = Err(ended);
        }
        let base = Batch { checkpoint_moves: vec![moved], ..Batch::default() };
        let ahead = (self.reads_ahead && self.is_behind && count > 0).then(|| self.next_read(Position(to), true));
        let parks = self.progress.as_ref().map(|progress| progress.parks());
        // On the heap, because a build without optimisation copies a future on the stack each time that it is handed over.
        let passing = Box::pin(self.filter.pass(&self.runtime, &self.follower, items, count, base));
        let passing = NextRead::beside(ahead, passing);
        let passed = match (&self.lease, &trying) {
            (Some(lease), _) => lease.held_during(&self.runtime, &self.reader, passing).await,
            (None, Some(trying)) => trying.kept_alive(passing).await,
            (None, None) => passing.await,
        };
        let (passed, ahead) = passed;
        self.read_ahead = ahead;
        drop(trying);
        if passed.is_err() && !messages.is_empty() {
            self.crashes.no_longer_tried(&self.runtime).await;
        }
        match passed {
            Ok(()) => {
                if !messages.is_empty() {
                    // The process before this one can have tried the batch after the checkpoint only.
                    let window = self.follower.batch_size();
                    self.crashes.passed(&self.runtime, &self.reader, &messages, window).await;
                }
                // The checkpoint was the expected one, so no other process has parked messages meanwhile.
                if let (Some(progress), Some(parks)) = (&self.progress, parks) {
                    if self.filter.has_parked() { progress.may_have_parked() } else { progress.none_parked(parks) }
                }
                self.reached(Checkpoint { stored: to, reached: to, since: Duration::ZERO });
                Ok(Step::Did(count))
            }
            // Another process follows with the same checkpoint and was faster, or has handled this message.
            Err(CommitError::Moved(_) | CommitError::AlreadyHandled) => {
                self.checkpoint = None;
                // After a switch of the view, the messages that were parked for the new copy are this reader's.
                self.progress.iter().for_each(|progress| progress.may_have_parked());
                self.lease.iter_mut().for_each(GroupLease::is_doubtful);
                Ok(Step::Did(0))
            }
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => {
                Err(Fault::internal(format!("the batch of {} was rejected", self.reader)).because(rejected))
            }
        }
    }
    /// Stores that this process handles the messages. Returns `false` while another process tries messages with which an
    /// earlier one may have died, since a projection runs in each of them.
    async fn claim(&mut self) -> Result<bool, Fault> {
        self.is_claimed = match self.follower {
            Follower::Group(..) => {
                self.crashes.claim(&self.runtime, std::slice::from_ref(&self.reader)).await?;
                true
            }
            Follower::View(..) | Follower::Sql(_) => self.crashes.claim_shared(&self.runtime, &self.reader).await?,
        };
        Ok(self.is_claimed)
    }
    fn reached(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = Some(checkpoint);
        if let Some(progress) = &self.progress {
            progress.saw(Position(checkpoint.reached));
        }
    }
}
impl fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFollower({} at {:?})", self.reader, self.checkpoint)
    }
}
