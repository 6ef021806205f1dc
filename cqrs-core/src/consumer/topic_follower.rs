//! The follower of a topic, for projections of other services' events. It stores its checkpoint beside the view.
//!
//! The broker's offsets are therefore only a hint. Inbox records are stored there as well, because a broker can hold
//! one event at two offsets.
use crate::{
    consumer::crashes::{Crashes, Suspect, Trying},
    consumer::follower::Follower,
    consumer::newer_program::LeftToNewerProgram,
    consumer::parking::{Item, ParkingFilter, park},
    consumer::topics::{compare_topics, record_loss},
    environment::within,
    error::{Fault, describe},
    job::Step,
    runtime::Runtime,
    storage::{Batch, CheckpointMove, CommitError, InboxRecord, is_copy},
    transport::{Drained, Incoming, Partition, Received, Signal, Subscription},
};
use futures_util::FutureExt;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    ops::{Bound, Range},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

/// The longest time for which a step waits until another suspect message of this process is tried.
const ALONE: Duration = Duration::from_millis(100);

/// A projection that follows a topic, with a checkpoint for each partition.
#[must_use = "it does nothing unless `step` is called"]
pub struct TopicFollower {
    runtime: Arc<Runtime>,
    follower: Follower,
    topic: &'static str,
    /// The longest wait of a step for a signal; `None` is no limit.
    longest_wait: Option<Duration>,
    /// The generation of the topic to which the checkpoints below belong.
    generation: u64,
    subscription: Box<dyn Subscription>,
    /// The checkpoint of each assigned partition: the next offset, as the database has it.
    next: HashMap<Partition, u64>,
    assigned: BTreeSet<Partition>,
    /// Lost records that are not recorded yet.
    lost: Vec<(Partition, Range<u64>)>,
    /// The records that the broker has no more, of a projection that fills a copy of a view.
    expired: Vec<(Partition, Range<u64>)>,
    /// Assigned partitions that have not been set to their checkpoints yet.
    unplaced: Vec<Partition>,
    /// Records that were received and not applied yet.
    pending: BTreeMap<Partition, Vec<Received>>,
    /// The partition of the last step, so that the next step takes another one.
    last: Option<Partition>,
    filters: BTreeMap<Partition, ParkingFilter>,
    /// The records with which a process may have died, by their place.
    crashes: Arc<Crashes>,
    /// Assigned partitions of which it is not stored yet that this member holds them. No record is applied before.
    unclaimed: Vec<Partition>,
    /// Revoked partitions of which it is not stored yet that this member has given them up.
    unreleased: Vec<Partition>,
    draining: Vec<Drained>,
}
impl TopicFollower {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        follower: Follower,
        topic: &'static str,
        subscription: Box<dyn Subscription>,
    ) -> Self {
        TopicFollower {
            crashes: Crashes::new(&runtime, &follower.reader()),
            unclaimed: Vec::new(),
            unreleased: Vec::new(),
            draining: Vec::new(),
            runtime,
            follower,
            topic,
            longest_wait: None,
            generation: 0,
            subscription,
            next: HashMap::new(),
            assigned: BTreeSet::new(),
            lost: Vec::new(),
            expired: Vec::new(),
            unplaced: Vec::new(),
            pending: BTreeMap::new(),
            last: None,
            filters: BTreeMap::new(),
        }
    }
    /// Returns the stored name of the projection's checkpoints, without the partition.
    pub fn name(&self) -> String {
        self.follower.reader()
    }
    /// Lets a step wait no longer than this for a signal. A rebuild looks at the copy that serves meanwhile.
    pub(crate) fn wait_at_most(&mut self, time: Duration) {
        self.longest_wait = Some(time);
    }
    /// Returns whether the next step applies records instead of waiting for them.
    pub(crate) fn has_received(&self) -> bool {
        !self.pending.is_empty()
    }
    /// Returns the stored names of the checkpoints that this reader has for the assigned partitions.
    pub(crate) fn checkpoints_of(&self, reader: &str) -> Vec<String> {
        self.assigned.iter().map(|partition| self.checkpoint_of(reader, partition)).collect()
    }
    /// Returns the records that the broker has no more, of a projection that fills a copy of a view.
    pub(crate) fn expired(&self) -> &[(Partition, Range<u64>)] {
        &self.expired
    }
    fn reader(&self, partition: &Partition) -> String {
        self.checkpoint_of(&self.follower.reader(), partition)
    }
    fn checkpoint_of(&self, reader: &str, partition: &Partition) -> String {
        let reader = format!("{reader}/{partition}");
        match self.generation {
            0 => reader,
            generation => format!("{reader}#{generation}"),
        }
    }
    /// Applies the received records of one partition, or waits for the next signal when there are none.
    ///
    /// # Errors
    /// Fails when the database or the transport fails, or when an event cannot be applied. Nothing has changed then;
    /// call it again. An event that fails on every attempt is parked, with the later events of its key. A batch that the
    /// database refuses as a whole is halved until one event is to blame.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        while let Some((partition, offsets)) = self.lost.last().cloned() {
            if is_copy(&self.follower.reader()) {
                // The broker has removed them since the copy began, which is no loss of the view that serves.
                self.pass_expired(&partition, offsets.end).await?;
                self.expired.push((partition, offsets));
            } else {
                record_loss(&self.runtime, &self.follower.group(&self.runtime.service), &partition, &offsets).await?;
            }
            self.lost.pop();
        }
        self.give_up_revoked().await;
        self.place().await?;
        let Some((partition, mut records)) = self.take_pending() else { return self.receive().await };
        let done = AssertUnwindSafe(self.apply(&partition, &records)).catch_unwind().await.unwrap_or_else(|_| {
            self.next.remove(&partition);
            self.filters.remove(&partition);
            Err(Fault::internal(format!("the step of {} panicked", self.name())))
        });
        let before = records.len();
        if let Ok(next) = done {
            records.retain(|record| record.offset >= next);
        }
        let count = before - records.len();
        if !records.is_empty() {
            self.pending.insert(partition, records);
        }
        done.map(|_| Step::Did(count))
    }
    /// Moves the checkpoint of a copy past records that the broker has no more.
    async fn pass_expired(&mut self, partition: &Partition, end: u64) -> Result<(), Fault> {
        let reader = self.reader(partition);
        let from = stored(&self.runtime, reader.clone()).await?;
        if from < end {
            let moved = CheckpointMove { reader, from, to: end, epoch: None };
            let passed = self.runtime.storage.commit(Batch { checkpoint_moves: vec![moved], ..Batch::default() }).await;
            passed.map_err(|error| Fault::unavailable("a checkpoint could not be moved").because(error))?;
            self.next.insert(partition.clone(), end);
        }
        Ok(())
    }
    /// Stores that revoked partitions are given up, before another member gets them.
    async fn give_up_revoked(&mut self) {
        if !self.unreleased.is_empty() {
            self.crashes.give_up(&self.runtime, &names(&self.unreleased)).await;
            self.unreleased.clear();
        }
        self.draining.clear();
    }
    /// Stores that this member gives up its partitions, so that its end is no crash.
    pub async fn release(&mut self) {
        self.crashes.give_up_all(&self.runtime).await;
        self.unclaimed = self.assigned.iter().cloned().collect();
    }
    /// Takes the records of the next partition, in turn, so that one that fails does not hold up the others.
    fn take_pending(&mut self) -> Option<(Partition, Vec<Received>)> {
        let later = self.last.take().and_then(|last| {
            let next = self.pending.range((Bound::Excluded(last), Bound::Unbounded)).next();
            next.map(|(partition, _)| partition.clone())
        });
        let next = later.or_else(|| self.pending.keys().next().cloned())?;
        self.last = Some(next.clone());
        self.pending.remove_entry(&next)
    }
    /// Sets new partitions to their checkpoints. Nothing is applied until the database responds, because without the
    /// seek the broker would choose the first offset.
    async fn place(&mut self) -> Result<(), Fault> {
        if !self.unplaced.is_empty() {
            compare_topics(&self.runtime, &[self.topic]).await?;
        }
        if let Some(refusal) = self.runtime.topics.refusal(self.topic) {
            return Err(Fault::unavailable(refusal));
        }
        let generation = self.runtime.topics.generation(self.topic);
        if generation != self.generation {
            // Everything that is known belongs to the topic before.
            self.generation = generation;
            (self.next, self.pending, self.filters) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
            self.unplaced = self.assigned.iter().cloned().collect();
        }
        if !self.unclaimed.is_empty() {
            self.crashes.claim(&self.runtime, &names(&self.unclaimed)).await?;
            self.unclaimed.clear();
        }
        while let Some(partition) = self.unplaced.last().cloned() {
            let mut next = stored(&self.runtime, self.reader(&partition)).await?;
            if next == 0 && is_copy(&self.follower.reader()) {
                next = self.pass_removed(&partition).await?;
            }
            self.subscription.seek(&partition, next);
            self.next.extend(self.unplaced.pop().map(|partition| (partition, next)));
        }
        Ok(())
    }
    /// Begins a copy at the first record that the broker still has, which is no loss of the view that serves. Otherwise the copy
    /// would never reach the checkpoint of that view in a partition without records.
    async fn pass_removed(&mut self, partition: &Partition) -> Result<u64, Fault> {
        let found = self.runtime.transport.first_offsets(std::slice::from_ref(partition)).await;
        let found = found.map_err(|error| Fault::unavailable("the broker cannot be reached").because(error))?;
        let first = found.first().copied().unwrap_or(0);
        if first > 0 {
            self.pass_expired(partition, first).await?;
            self.expired.push((partition.clone(), 0..first));
        }
        Ok(first)
    }
    async fn receive(&mut self) -> Result<Step, Fault> {
        let signal = match self.longest_wait {
            Some(time) => within(&*self.runtime.environment, time, self.subscription.next()).await,
            None => Some(self.subscription.next().await),
        };
        let Some(signal) = signal else { return Ok(Step::Did(0)) };
        match signal.map_err(|e| Fault::unavailable("the broker cannot be reached").because(e))? {
            Signal::Assigned(partitions) => {
                self.assigned.extend(partitions.iter().cloned());
                self.unclaimed.extend(partitions.iter().cloned());
                self.unreleased.retain(|partition| !partitions.contains(partition));
                self.unplaced.extend(partitions);
                self.place().await?;
            }
            Signal::Revoked(partitions, drained) => {
                self.unclaimed.retain(|partition| !partitions.contains(partition));
                self.unreleased.extend(partitions.iter().cloned());
                self.draining.push(drained);
                self.unplaced.retain(|partition| !partitions.contains(partition));
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.next.remove(partition);
                    self.pending.remove(partition);
                    self.filters.remove(partition);
                }
                if self.next.is_empty() {
                    self.runtime.breakers.forget(&self.name());
                }
            }
            Signal::Lost { partition, offsets } => self.lost.push((partition, offsets)),
            Signal::Records(records) => {
                for record in records {
                    let pending = self.pending.entry(record.partition.clone()).or_default();
                    if self.crashes.is_watching() {
                        self.crashes.received(&self.runtime, &record.partition.to_string(), pending.is_empty());
                    }
                    pending.push(record);
                }
            }
        }
        Ok(Step::Did(0))
    }
    /// Applies the next batch of the records from the checkpoint on, and returns the next offset. Earlier records were
    /// applied before, even if the broker delivers them again.
    async fn apply(&mut self, partition: &Partition, records: &[Received]) -> Result<u64, Fault> {
        let from = match self.next.get(partition) {
            Some(next) => *next,
            None => stored(&self.runtime, self.reader(partition)).await?,
        };
        self.runtime.refresh_newer_programs().await?;
        let Some(end) = records.last().map(|record| record.offset) else { return Ok(from) };
        if end < from {
            self.subscription.acknowledge(partition, end);
            return Ok(from);
        }
        let checkpoint = self.reader(partition);
        let filter = self.filters.entry(partition.clone()).or_default();
        let records = &records[records.partition_point(|record| record.offset < from)..];
        let mut batch = &records[..filter.size.next(records.len())];
        let (name, decoders) = (partition.to_string(), &self.runtime.decoders);
        let (mut places, mut decodings) = (Vec::new(), Vec::new());
        if self.crashes.is_watching() {
            places.extend(batch.iter().map(|record| decoders.place_of(record)));
            if decoders.has(&partition.topic) {
                decodings.extend(batch.iter().map(|record| decoders.decoding_of(record)));
            }
            let count = self.crashes.together(&name, &places).min(self.crashes.together(&name, &decodings));
            batch = &batch[..count.min(batch.len())];
            places.truncate(batch.len());
            decodings.truncate(batch.len());
        }
        let mut suspect = self.crashes.suspect(&name, &decodings);
        if !is_alone(&self.runtime, &mut suspect).await {
            return Ok(from);
        }
        if let (Some(Err(ended)), [record]) = (suspect.as_ref().map(|suspect| suspect.check(&self.runtime)), batch) {
            decoders.refuse(record, describe(&*ended));
            suspect = None;
        }
        let decoding = begun(&self.runtime, &self.crashes, suspect).await?;
        let last = batch.last().map_or(end, |record| record.offset);
        let (reader, declared) = (self.follower.reader(), self.follower.declared_reader());
        let item = |record: &Received| {
            let Incoming { id, key, message } = self.runtime.decoders.read(record);
            let event = message.transpose()?.and_then(|event| {
                let handles = self.follower.handles(&event.name);
                let left = !handles && self.runtime.newer_programs.handle(&declared, &event.name);
                if left { Err(LeftToNewerProgram.into()) } else { Ok(event) }
            });
            Some(Item { event, park: park(&reader, key, id, record) })
        };
        let mut items: Vec<_> = batch.iter().filter_map(item).collect();
        drop(decoding);
        let mut suspect = self.crashes.suspect(&name, &places);
        if !is_alone(&self.runtime, &mut suspect).await {
            return Ok(from);
        }
        if let (Some(Err(ended)), [item]) = (suspect.as_ref().map(|suspect| suspect.check(&self.runtime)), &mut *items)
        {
            item.event = Err(ended);
            suspect = None;
        }
        let trying = begun(&self.runtime, &self.crashes, suspect).await?;
        let (mut items, inbox_records) = first_copies(&self.runtime, &self.follower, items).await?;
        self.runtime.open_messages(items.iter_mut().filter_map(|item| item.event.as_mut().ok())).await?;
        let moved = CheckpointMove { reader: checkpoint, from, to: last + 1, epoch: None };
        let base = Batch { checkpoint_moves: vec![moved], inbox_records, ..Batch::default() };
        let passed = filter.pass(&self.runtime, &self.follower, items, batch.len(), base).await;
        drop(trying);
        match passed {
            Ok(()) => {
                if !places.is_empty() {
                    places.extend(decodings);
                    self.crashes.handled(&self.runtime, &name, &places).await;
                }
                self.next.insert(partition.clone(), last + 1);
                self.subscription.acknowledge(partition, last);
                Ok(last + 1)
            }
            // Another run of the rebuild fills the copy, or has switched to it, which the caller looks for.
            Err(CommitError::Moved(_) | CommitError::AlreadyHandled) if is_copy(&self.follower.reader()) => {
                self.next.remove(partition);
                Err(Fault::unavailable("the checkpoint of a copy was moved by another run of the rebuild"))
            }
            // Another member had this partition meanwhile, so read the checkpoint again and skip the records before it.
            Err(CommitError::Moved(_) | CommitError::AlreadyHandled) => {
                self.next.remove(partition);
                Box::pin(self.apply(partition, records)).await
            }
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => {
                let fault = Fault::internal(format!("the batch of {} was rejected", self.name()));
                Err(fault.because(rejected))
            }
        }
    }
}
/// Keeps the events that the follower handles and that are new, each once, and returns them with their inbox records.
///
/// A relay that does not know the fate of a record sends it again, and the broker then holds it twice. With the
/// checkpoint alone, both copies would be applied.
async fn first_copies(
    runtime: &Runtime,
    follower: &Follower,
    mut items: Vec<Item>,
) -> Result<(Vec<Item>, Vec<InboxRecord>), Fault> {
    items.retain(|item| item.event.as_ref().map_or(true, |event| follower.handles(&event.name)));
    if items.is_empty() {
        return Ok((items, Vec::new()));
    }
    let group = follower.reader();
    let ids: Vec<_> = items.iter().map(|item| item.park.message).collect();
    let mut known: HashSet<_> = runtime.storage.lookup_inbox(&group, &ids, &[]).await?.handled.into_iter().collect();
    items.retain(|item| known.insert(item.park.message));
    let record = |item: &Item| InboxRecord { group: group.clone(), message: item.park.message };
    let inbox_records = items.iter().map(record).collect();
    Ok((items, inbox_records))
}
/// Waits for a short while, if a suspect message must be tried alone in this process. Returns whether it can be tried.
async fn is_alone(runtime: &Runtime, suspect: &mut Option<Suspect>) -> bool {
    match suspect.as_mut().filter(|suspect| suspect.is_tried_alone()) {
        Some(suspect) => suspect.wait_alone(runtime, ALONE).await,
        None => true,
    }
}
/// Stores that suspect messages are tried.
async fn begun(
    runtime: &Arc<Runtime>,
    crashes: &Arc<Crashes>,
    suspect: Option<Suspect>,
) -> Result<Option<Trying>, Fault> {
    match suspect {
        Some(suspect) => Ok(Some(suspect.begin(runtime, crashes).await?)),
        None => Ok(None),
    }
}
fn names(partitions: &[Partition]) -> Vec<String> {
    partitions.iter().map(Partition::to_string).collect()
}
async fn stored(runtime: &Runtime, reader: String) -> Result<u64, Fault> {
    let found = runtime.storage.checkpoints(&[reader]).await?;
    Ok(found.first().copied().unwrap_or(0))
}
impl fmt::Debug for TopicFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicFollower({}, {} partitions)", self.name(), self.next.len())
    }
}
