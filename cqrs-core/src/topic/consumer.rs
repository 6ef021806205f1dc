//! Subscribers on a topic: one key in order, keys beside each other, acknowledged when everything before is done or parked.
mod attempt;
mod tracker;

use crate::{
    app::{Shared, Subscriber},
    inbox::Inbox,
    log::Step,
    transport::{Drained, Partition, Received, Signal, Subscription, TransportError},
    world::backoff,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tracker::Tracker;

/// How many messages are handled at once, and so may be committed together. What waits to be tried again is not counted: any number of
/// keys may be stuck.
const WORKERS: usize = 64;

/// One group's consumer.
pub struct Consumer {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    subscribers: Arc<[Subscriber]>,
    subscription: Box<dyn Subscription>,
    partitions: HashMap<Partition, Tracker>,
    /// What waits behind the message of its key that is being handled.
    waiting: HashMap<Key, VecDeque<Received>>,
    /// Keys whose turn it is, in order of arrival.
    ready: VecDeque<Key>,
    working: FuturesUnordered<BoxFuture<'static, Worked>>,
    workers: Arc<Semaphore>,
    draining: Vec<(Vec<Partition>, Drained)>,
    /// Nothing new is begun.
    stopping: bool,
}
type Key = (Partition, Vec<u8>);
/// What became of a message, and the assignment it belonged to.
struct Worked {
    key: Key,
    offset: u64,
    gone: Arc<AtomicBool>,
    handled: Handled,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    Done,
    /// Its partition is gone, or we stop: whoever has it next handles it.
    GivenUp,
}

impl Consumer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        group: &'static str,
        subscribers: Arc<[Subscriber]>,
        subscription: Box<dyn Subscription>,
    ) -> Self {
        Consumer {
            shared,
            inbox: Arc::new(Inbox::new(group)),
            subscribers,
            subscription,
            partitions: HashMap::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            working: FuturesUnordered::new(),
            workers: Arc::new(Semaphore::new(WORKERS)),
            draining: Vec::new(),
            stopping: false,
        }
    }
    /// The group's name.
    pub fn group(&self) -> &'static str {
        self.inbox.group()
    }
    /// Waits for the next thing to happen, and does what follows from it.
    ///
    /// # Errors
    /// When the transport fails; what was received stays ours, call it again.
    pub async fn step(&mut self) -> Result<Step, TransportError> {
        self.begin();
        tokio::select! {
            biased;
            Some(worked) = self.working.next() => {
                self.finish(worked);
                Ok(Step::Did(1))
            }
            signal = self.subscription.next(), if !self.stopping => {
                let signal = signal?;
                Ok(Step::Did(self.take(signal)))
            }
        }
    }
    /// Finishes what is being handled and begins nothing new.
    pub async fn drain(&mut self) {
        self.stopping = true;
        self.partitions.values().for_each(Tracker::give_up);
        while let Some(worked) = self.working.next().await {
            self.finish(worked);
        }
    }

    fn take(&mut self, signal: Signal) -> usize {
        match signal {
            Signal::Assigned(partitions) => {
                // What is still under way of one that went and came back is nobody's: whoever ends it ends nothing of ours.
                self.draining.iter_mut().for_each(|(revoked, _)| revoked.retain(|it| !partitions.contains(it)));
                self.let_go();
                self.partitions.extend(partitions.into_iter().map(|it| (it, Tracker::default())));
                0
            }
            Signal::Revoked(partitions, drained) => {
                // What waits is handled by whoever has the partition next.
                self.waiting.retain(|(of, _), _| !partitions.contains(of));
                self.ready.retain(|(of, _)| !partitions.contains(of));
                partitions.iter().filter_map(|it| self.partitions.get(it)).for_each(Tracker::give_up);
                self.draining.push((partitions, drained));
                self.let_go();
                0
            }
            Signal::Records(records) => {
                let count = records.len();
                records.into_iter().for_each(|record| self.receive(record));
                count
            }
        }
    }
    fn receive(&mut self, record: Received) {
        let tracker = self.partitions.entry(record.partition.clone()).or_default();
        if !tracker.received(record.offset) {
            return;
        }
        let key = (record.partition.clone(), record.key.clone().unwrap_or_default());
        match self.waiting.get_mut(&key) {
            Some(waiting) => waiting.push_back(record),
            None => {
                self.waiting.insert(key.clone(), VecDeque::from([record]));
                self.ready.push_back(key);
            }
        }
    }
    /// Begins with the keys whose turn it is; each then waits for a worker.
    fn begin(&mut self) {
        while !self.stopping {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(record) = self.waiting.get_mut(&key).and_then(VecDeque::pop_front) else { continue };
            let gone = self.partitions.entry(key.0.clone()).or_default().begin();
            let (offset, shared, subscribers) = (record.offset, self.shared.clone(), self.subscribers.clone());
            let (workers, inbox) = (self.workers.clone(), self.inbox.clone());
            self.working.push(Box::pin(async move {
                let handled = attempt::until_handled(&shared, &inbox, &subscribers, &workers, &record, &gone).await;
                Worked { key, offset, gone, handled }
            }));
        }
    }
    fn finish(&mut self, Worked { key, offset, gone, handled }: Worked) {
        let Some(tracker) = self.partitions.get_mut(&key.0).filter(|it| it.is_of(&gone)) else { return };
        tracker.finished(offset, handled == Handled::Done);
        if let Some(upto) = tracker.acknowledge() {
            self.subscription.acknowledge(&key.0, upto);
        }
        match self.waiting.get(&key).map(VecDeque::len) {
            Some(0) | None => drop(self.waiting.remove(&key)),
            Some(_) if handled == Handled::Done => self.ready.push_back(key),
            Some(_) => (),
        }
        self.let_go();
    }
    /// Lets revoked partitions go once nothing of them is being handled.
    fn let_go(&mut self) {
        let partitions = &mut self.partitions;
        self.draining.retain(|(revoked, _)| {
            let busy = revoked.iter().any(|it| partitions.get(it).is_some_and(Tracker::is_busy));
            if !busy {
                revoked.iter().for_each(|partition| drop(partitions.remove(partition)));
            }
            busy
        });
    }
}

/// Waits in short pieces, so that a partition that is taken away is let go soon.
async fn wait(shared: &Shared, attempt: u32, gone: &AtomicBool) {
    let mut left = backoff(&*shared.world, attempt, shared.retries.first, shared.retries.longest);
    while !left.is_zero() && !gone.load(Ordering::Relaxed) {
        let piece = left.min(Duration::from_millis(100));
        shared.world.sleep(piece).await;
        left -= piece;
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({}, {} partitions, {} at work)", self.group(), self.partitions.len(), self.working.len())
    }
}
