//! The consumer of a group's topics: handles each key in order and different keys concurrently.
//!
//! An offset is acknowledged when every message up to it was handled or parked.
mod attempt;
mod tracker;

use crate::{
    consumer::crashes::Crashes,
    consumer::inbox::Inbox,
    consumer::parking::admits,
    consumer::topics::{compare_topics, record_loss},
    environment::backoff,
    error::describe,
    job::Step,
    registry::Subscriber,
    runtime::Runtime,
    transport::{Drained, Partition, Received, Signal, Subscription, TransportError},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tracker::Tracker;

/// The number of messages that are handled at once, and can be committed together. Messages that wait for their next
/// attempt are not counted, so that any number of keys can be stuck.
const WORKERS: usize = 64;

/// The longest time until a message that waits notices that its partition was revoked.
const PIECE: Duration = Duration::from_millis(100);

/// The consumer of one subscriber group on its topics.
#[must_use = "it does nothing unless `step` is called"]
pub struct Consumer {
    runtime: Arc<Runtime>,
    inbox: Arc<Inbox>,
    crashes: Arc<Crashes>,
    subscribers: Arc<[Subscriber]>,
    topics: Vec<&'static str>,
    /// `None` while one of the topics is refused.
    subscription: Option<Box<dyn Subscription>>,
    /// Set when partitions were assigned and the topics were not compared since.
    uncompared: bool,
    /// Lost records that are not recorded yet.
    lost: Vec<(Partition, Range<u64>)>,
    /// Assigned partitions of which it is not stored yet that this member holds them. No message is started before.
    unclaimed: Vec<Partition>,
    /// Revoked partitions of which it is not stored yet that this member has given them up.
    unreleased: Vec<Partition>,
    partitions: HashMap<Partition, Tracker>,
    /// Records of foreign topics with which an earlier process may have died. They are decoded once it is stored.
    undecoded: VecDeque<Received>,
    /// Messages that wait until an earlier message of their key is handled.
    waiting: HashMap<Key, VecDeque<Received>>,
    /// Keys with a message that can be handled now, in order of arrival.
    ready: VecDeque<Key>,
    working: FuturesUnordered<BoxFuture<'static, Completed>>,
    workers: Arc<Semaphore>,
    draining: Vec<(Vec<Partition>, Drained)>,
    /// Set during a shutdown, when no further message is started.
    stopping: bool,
}
type Key = (Partition, Vec<u8>);
/// The outcome of a message, with the assignment of its partition to which it belonged.
struct Completed {
    key: Key,
    offset: u64,
    gone: Arc<AtomicBool>,
    handled: Completion,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completion {
    Done,
    /// The partition was revoked or the consumer stops, so the next owner of the partition handles the message.
    Abandoned,
}

impl Consumer {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        group: &'static str,
        topics: Vec<&'static str>,
        subscribers: Arc<[Subscriber]>,
        subscription: Box<dyn Subscription>,
    ) -> Self {
        Consumer {
            crashes: Crashes::new(&runtime, group),
            runtime,
            inbox: Arc::new(Inbox::new(group)),
            subscribers,
            topics,
            subscription: Some(subscription),
            uncompared: false,
            lost: Vec::new(),
            unclaimed: Vec::new(),
            unreleased: Vec::new(),
            partitions: HashMap::new(),
            undecoded: VecDeque::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            working: FuturesUnordered::new(),
            workers: Arc::new(Semaphore::new(WORKERS)),
            draining: Vec::new(),
            stopping: false,
        }
    }
    /// Returns the group's name.
    pub fn group(&self) -> &'static str {
        self.inbox.group()
    }
    /// Waits for the next signal or finished message, and processes it. While a topic is not the one that was read before,
    /// the group is left.
    ///
    /// # Errors
    /// Fails when the transport fails, or while a topic is refused. Received messages are kept; call it again.
    pub async fn step(&mut self) -> Result<Step, TransportError> {
        self.give_up_revoked().await;
        self.look_at_topics().await?;
        self.claim_assigned().await?;
        self.decode_suspects().await?;
        self.begin();
        let subscription = match &mut self.subscription {
            Some(subscription) => subscription,
            None => {
                let subscription = self.runtime.transport.subscribe(self.inbox.group(), &self.topics).await?;
                self.subscription.insert(subscription)
            }
        };
        tokio::select! {
            biased;
            Some(worked) = self.working.next() => {
                self.finish(worked);
                Ok(Step::Did(1))
            }
            signal = subscription.next(), if !self.stopping => {
                let signal = signal?;
                Ok(Step::Did(self.take(signal)))
            }
            () = self.runtime.topics.refused() => Ok(Step::Did(0)),
            () = self.runtime.environment.sleep(PIECE), if !self.undecoded.is_empty() => Ok(Step::Did(0)),
        }
    }
    /// Finishes the messages that are being handled and starts no further ones.
    pub async fn drain(&mut self) {
        self.stopping = true;
        self.partitions.values().for_each(Tracker::give_up);
        // First, so that the end of the process is no crash of the messages that take too long.
        let (crashes, runtime) = (self.crashes.clone(), self.runtime.clone());
        self.while_working(async move { crashes.give_up_all(&runtime).await }).await;
        while let Some(worked) = self.working.next().await {
            self.finish(worked);
        }
    }
    /// Stores that revoked partitions are given up, before another member gets them.
    async fn give_up_revoked(&mut self) {
        if !self.unreleased.is_empty() {
            let (crashes, runtime, names) = (self.crashes.clone(), self.runtime.clone(), names(&self.unreleased));
            self.while_working(async move { crashes.give_up(&runtime, &names).await }).await;
            self.unreleased.clear();
            self.let_go();
        }
    }
    /// Waits for a call to the database or the broker. Messages go on meanwhile: they may hold the lock of the note on
    /// attempts or every connection of the pool, and would never give them back otherwise.
    async fn while_working<T>(&mut self, change: impl Future<Output = T>) -> T {
        let mut change = std::pin::pin!(change);
        loop {
            tokio::select! {
                biased;
                changed = &mut change => return changed,
                Some(worked) = self.working.next() => self.finish(worked),
            }
        }
    }
    /// Stores which partitions this member holds, before their first message is started.
    async fn claim_assigned(&mut self) -> Result<(), TransportError> {
        if !self.unclaimed.is_empty() {
            let (crashes, runtime, names) = (self.crashes.clone(), self.runtime.clone(), names(&self.unclaimed));
            let claimed = self.while_working(async move { crashes.claim(&runtime, &names).await }).await;
            claimed.map_err(|fault| TransportError::transient("the partitions cannot be claimed").because(fault))?;
            self.unclaimed.clear();
        }
        Ok(())
    }

    /// Records losses, compares the topics after an assignment, and leaves the group while a topic is refused.
    async fn look_at_topics(&mut self) -> Result<(), TransportError> {
        let unavailable = |fault| TransportError::transient("the topics cannot be compared").because(fault);
        while let Some((partition, offsets)) = self.lost.last().cloned() {
            let (runtime, group) = (self.runtime.clone(), self.inbox.group());
            let recorded = async move { record_loss(&runtime, group, &partition, &offsets).await };
            self.while_working(recorded).await.map_err(unavailable)?;
            self.lost.pop();
        }
        if self.uncompared {
            let (runtime, topics) = (self.runtime.clone(), self.topics.clone());
            let compared = async move { compare_topics(&runtime, &topics).await };
            self.while_working(compared).await.map_err(unavailable)?;
            self.uncompared = false;
        }
        let Some(refusal) = self.topics.iter().find_map(|topic| self.runtime.topics.refusal(topic)) else {
            return Ok(());
        };
        // Compared again before the next step, because an operator may have accepted the topic.
        self.uncompared = true;
        // An empty group can be set back to the beginning of the topic.
        self.partitions.values().for_each(Tracker::give_up);
        while let Some(worked) = self.working.next().await {
            self.finish(worked);
        }
        (self.partitions, self.waiting, self.ready) = (HashMap::new(), HashMap::new(), VecDeque::new());
        self.undecoded = VecDeque::new();
        (self.draining, self.subscription) = (Vec::new(), None);
        (self.unclaimed, self.unreleased) = (Vec::new(), Vec::new());
        self.crashes.give_up_all(&self.runtime).await;
        Err(TransportError::transient(refusal))
    }

    fn take(&mut self, signal: Signal) -> usize {
        match signal {
            Signal::Assigned(partitions) => {
                // A partition that was revoked and assigned again starts anew: work of the old assignment no longer
                // counts for it.
                let assigned = |partition: &Partition| partitions.contains(partition);
                self.draining.iter_mut().for_each(|(revoked, _)| revoked.retain(|partition| !assigned(partition)));
                self.unreleased.retain(|partition| !partitions.contains(partition));
                self.let_go();
                self.uncompared = true;
                self.unclaimed.extend(partitions.iter().cloned());
                self.partitions.extend(partitions.into_iter().map(|partition| (partition, Tracker::default())));
                0
            }
            Signal::Revoked(partitions, drained) => {
                // The next owner of the partition handles the waiting messages.
                self.undecoded.retain(|record| !partitions.contains(&record.partition));
                self.waiting.retain(|(of, _), _| !partitions.contains(of));
                self.ready.retain(|(of, _)| !partitions.contains(of));
                partitions.iter().filter_map(|partition| self.partitions.get(partition)).for_each(Tracker::give_up);
                self.unclaimed.retain(|partition| !partitions.contains(partition));
                self.unreleased.extend(partitions.iter().cloned());
                self.draining.push((partitions, drained));
                0
            }
            Signal::Lost { partition, offsets } => {
                self.lost.push((partition, offsets));
                0
            }
            Signal::Records(records) => {
                let count = records.len();
                records.into_iter().for_each(|record| self.arrived(record));
                count
            }
        }
    }
    fn arrived(&mut self, record: Received) {
        let of_partition = |waiting: &Received| waiting.partition == record.partition;
        let waits = self.undecoded.iter().any(of_partition);
        if self.crashes.is_watching() {
            let tracker = self.partitions.entry(record.partition.clone()).or_default();
            let is_idle = tracker.is_idle() && !waits;
            self.crashes.received(&self.runtime, &record.partition.to_string(), is_idle);
        }
        // The order of a message needs its key, which only the decoder of a foreign topic knows.
        if waits || (self.crashes.is_watching() && self.runtime.decoders.has(&record.partition.topic)) {
            self.undecoded.push_back(record);
        } else {
            self.receive(record);
        }
    }
    /// Decodes the records that an earlier process may have died with, those of a partition at a time, once it is stored that
    /// they are tried. A record with which processes have died too often is not decoded.
    async fn decode_suspects(&mut self) -> Result<(), TransportError> {
        let unavailable = |fault| TransportError::transient("the attempts cannot be stored").because(fault);
        while let Some(first) = self.undecoded.front() {
            let (runtime, crashes, partition) = (self.runtime.clone(), self.crashes.clone(), first.partition.clone());
            let of_partition = self.undecoded.iter().take_while(|record| record.partition == partition);
            let messages: Vec<_> = of_partition.map(|record| runtime.decoders.decoding_of(record)).collect();
            let name = partition.to_string();
            let count = crashes.together(&name, &messages).min(messages.len());
            let mut trying = None;
            if let Some(mut suspect) = crashes.suspect(&name, &messages[..count]) {
                if suspect.is_tried_alone() && !self.while_working(suspect.wait_alone(&runtime, PIECE)).await {
                    return Ok(());
                }
                match (suspect.check(&runtime), self.undecoded.front()) {
                    (Err(ended), Some(record)) => runtime.decoders.refuse(record, describe(&*ended)),
                    _ => {
                        let begun = self.while_working(suspect.begin(&runtime, &crashes)).await;
                        trying = Some(begun.map_err(unavailable)?);
                    }
                }
            }
            let decoded: Vec<_> = self.undecoded.drain(..count).collect();
            decoded.into_iter().for_each(|record| self.receive(record));
            drop(trying);
        }
        Ok(())
    }
    fn receive(&mut self, record: Received) {
        let tracker = self.partitions.entry(record.partition.clone()).or_default();
        if !tracker.received(record.offset) {
            return;
        }
        let key = (record.partition.clone(), self.runtime.decoders.order_key(&record));
        match self.waiting.get_mut(&key) {
            Some(waiting) => waiting.push_back(record),
            None => {
                self.waiting.insert(key.clone(), VecDeque::from([record]));
                self.ready.push_back(key);
            }
        }
    }
    /// Starts the next message of every ready key. Each then waits for a worker.
    fn begin(&mut self) {
        while !self.stopping {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(record) = self.waiting.get_mut(&key).and_then(VecDeque::pop_front) else { continue };
            let gone = self.partitions.entry(key.0.clone()).or_default().begin();
            let (offset, runtime, subscribers) = (record.offset, self.runtime.clone(), self.subscribers.clone());
            let (workers, inbox, crashes) = (self.workers.clone(), self.inbox.clone(), self.crashes.clone());
            self.working.push(Box::pin(async move {
                let trying = attempt::until_handled(&runtime, &inbox, &crashes, &subscribers, &workers, &record, &gone);
                let handled = trying.await;
                if handled == Completion::Done && crashes.is_watching() {
                    let attempts = [runtime.decoders.decoding_of(&record), runtime.decoders.place_of(&record)];
                    crashes.handled(&runtime, &record.partition.to_string(), &attempts).await;
                }
                Completed { key, offset, gone, handled }
            }));
        }
    }
    fn finish(&mut self, Completed { key, offset, gone, handled }: Completed) {
        let Some(tracker) = self.partitions.get_mut(&key.0).filter(|tracker| tracker.is_of(&gone)) else {
            return;
        };
        tracker.finished(offset, handled == Completion::Done);
        if let Some(upto) = tracker.acknowledge()
            && let Some(subscription) = &mut self.subscription
        {
            subscription.acknowledge(&key.0, upto);
        }
        match self.waiting.get(&key).map(VecDeque::len) {
            Some(0) | None => drop(self.waiting.remove(&key)),
            Some(_) if handled == Completion::Done => self.ready.push_back(key),
            Some(_) => (),
        }
        self.let_go();
    }
    /// Releases revoked partitions once none of their messages is being handled.
    fn let_go(&mut self) {
        let (partitions, unreleased) = (&mut self.partitions, &self.unreleased);
        self.draining.retain(|(revoked, _)| {
            let is_busy = |partition| partitions.get(partition).is_some_and(Tracker::is_busy);
            let busy = revoked.iter().any(|partition| unreleased.contains(partition) || is_busy(partition));
            if !busy {
                revoked.iter().for_each(|partition| drop(partitions.remove(partition)));
            }
            busy
        });
        if self.partitions.is_empty() {
            self.runtime.breakers.forget(self.inbox.group());
        }
    }
}

fn names(partitions: &[Partition]) -> Vec<String> {
    partitions.iter().map(Partition::to_string).collect()
}

/// Waits until the circuit breaker lets a message pass. Returns `false` when its partition was revoked.
async fn pause(runtime: &Runtime, name: (&str, &str), tried: bool, gone: &AtomicBool) -> bool {
    while !gone.load(Ordering::Relaxed) {
        if admits(runtime, name, tried) {
            return true;
        }
        // The pieces are random, so that it is not always the same message which comes first.
        runtime
            .environment
            .sleep(PIECE / 2 + PIECE.mul_f64((runtime.environment.random() % 1024) as f64 / 1024.0))
            .await;
    }
    false
}

/// Waits for the next attempt in short pieces, so that a revoked partition is released soon.
async fn wait(runtime: &Runtime, attempt: u32, gone: &AtomicBool) {
    let mut left = backoff(&*runtime.environment, attempt, runtime.retry_policy.first, runtime.retry_policy.longest);
    while !left.is_zero() && !gone.load(Ordering::Relaxed) {
        let piece = left.min(PIECE);
        runtime.environment.sleep(piece).await;
        left -= piece;
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({}, {} partitions, {} at work)", self.group(), self.partitions.len(), self.working.len())
    }
}
