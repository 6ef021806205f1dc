//! What the polling thread knows of its partitions, and what happens when they come and go.
use super::{Asked, Told, lag::Lag};
use crate::trouble;
use cqrs_core::transport::{Drained, Partition, Received, Signal};
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// Records of a partition that may be read and not acknowledged; at 80 % it is paused, below 30 % it goes on: pausing throws
/// away what was fetched ahead, so it must be rare.
const RECORDS: usize = 4_000;
/// The same in bytes.
const BYTES: usize = 16 << 20;

pub(super) type Consumers = BaseConsumer<Member>;

pub(super) struct Member {
    what: String,
    lag: Lag,
    drain: Duration,
    asked: Arc<Asked>,
    out: UnboundedSender<Told>,
    hands: Mutex<HashMap<Partition, Hand>>,
    /// Read and not told yet. A poll may end in a rebalance, which must be told after them.
    records: Mutex<Vec<Received>>,
}

/// What is read of a partition and not acknowledged.
#[derive(Default)]
pub(super) struct Hand {
    read: VecDeque<(u64, usize)>,
    bytes: usize,
    /// By the reader's wish.
    held: bool,
    full: bool,
    paused: bool,
}

impl Member {
    pub(super) fn new(what: String, lag: Lag, drain: Duration, asked: Arc<Asked>, out: UnboundedSender<Told>) -> Self {
        Member { what, lag, drain, asked, out, hands: Mutex::default(), records: Mutex::default() }
    }
    /// After the records that were read before.
    pub(super) fn tell(&self, told: Told) {
        self.flush();
        let _ = self.out.send(told); // nobody listens once the subscription is dropped
    }
    pub(super) fn flush(&self) {
        let records = std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        if !records.is_empty() {
            let _ = self.out.send(Told::Signal(Signal::Records(records)));
        }
    }
    pub(super) fn what(&self) -> &str {
        &self.what
    }
    fn hands(&self) -> MutexGuard<'_, HashMap<Partition, Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record, and says how many wait to be told.
    pub(super) fn took(&self, record: Received) -> usize {
        if let Some(hand) = self.hands().get_mut(&record.partition) {
            let bytes = record.body.as_ref().map_or(0, Vec::len) + record.key.as_ref().map_or(0, Vec::len);
            hand.read.push_back((record.offset, bytes));
            hand.bytes += bytes;
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
        records.len()
    }

    /// Stores what is done; librdkafka commits it within a second, or when the partition goes.
    pub(super) fn store(&self, consumer: &Consumers) {
        let done = std::mem::take(&mut self.asked.wishes().acknowledged);
        let (mut hands, mut stored) = (self.hands(), TopicPartitionList::new());
        for (partition, offset) in done {
            let Some(hand) = hands.get_mut(&partition) else { continue }; // not ours any more
            let mut last = None; // none: it was read before the partition went and came back, or before a seek
            while let Some((read, bytes)) = hand.read.pop_front_if(|(read, _)| *read <= offset) {
                hand.bytes -= bytes;
                last = Some(read);
            }
            if let Some(last) = last {
                add(&mut stored, &partition, Offset::Offset(last as i64 + 1)); // the next one to be read
            }
        }
        if stored.count() > 0
            && let Err(error) = consumer.store_offsets(&stored)
        {
            tracing::debug!(%error, "{}: offsets of partitions that are gone", self.what);
        }
    }

    /// Pauses what is full or held back by the reader, and lets the rest go on.
    pub(super) fn flow(&self, consumer: &Consumers) {
        let wished = std::mem::take(&mut self.asked.wishes().pause);
        let mut hands = self.hands();
        for (partition, held) in wished {
            if let Some(hand) = hands.get_mut(&partition) {
                hand.held = held;
            }
        }
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (partition, hand) in hands.iter_mut() {
            let percent = if hand.full { 30 } else { 80 };
            hand.full = hand.read.len() * 100 > RECORDS * percent || hand.bytes * 100 > BYTES * percent;
            let paused = hand.full || hand.held;
            if paused != hand.paused {
                hand.paused = paused;
                add(if paused { &mut pause } else { &mut resume }, partition, Offset::Invalid);
            }
        }
        if pause.count() > 0 {
            self.check("pause", consumer.pause(&pause));
        }
        if resume.count() > 0 {
            self.check("resume", consumer.resume(&resume));
        }
    }

    /// Seeks that cannot be done yet stay asked: right after an assignment a partition is not fetched yet.
    pub(super) fn seek(&self, consumer: &Consumers) {
        let wished = std::mem::take(&mut self.asked.wishes().seek);
        for (partition, offset) in wished {
            let (topic, number) = (partition.topic.as_str(), partition.part.parse().unwrap_or(-1));
            if let Some(hand) = self.hands().get_mut(&partition) {
                let done = consumer.seek(topic, number, Offset::Offset(offset as i64), Duration::from_secs(1));
                if let Err(error) = done {
                    tracing::debug!(%error, "{}: {partition} cannot be moved yet", self.what);
                    self.asked.wishes().seek.push((partition, offset));
                    continue;
                }
                (hand.bytes, hand.full) = (0, false);
                hand.read.clear();
            }
            self.tell(Told::Sought(partition));
        }
    }

    fn check(&self, what: &str, done: KafkaResult<()>) {
        if let Err(error) = done {
            tracing::warn!(%error, "{}: {what}", self.what);
        }
    }

    fn revoke(&self, consumer: &Consumers, partitions: Vec<Partition>) {
        if consumer.assignment_lost() {
            // Others have them already: what is finished now cannot be acknowledged.
            self.hands().retain(|partition, _| !partitions.contains(partition));
            return self.tell(Told::Signal(Signal::Revoked(partitions, Drained::unwaited())));
        }
        let (holds, drained) = mpsc::channel::<()>();
        self.tell(Told::Signal(Signal::Revoked(partitions.clone(), Drained::then(move || drop(holds)))));
        let until = Instant::now() + self.drain;
        while drained.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.store(consumer);
            if Instant::now() > until {
                tracing::warn!("{}: work on revoked partitions was not finished in {:?}", self.what, self.drain);
                break;
            }
        }
        // librdkafka commits what is stored before it lets the partitions go.
        self.store(consumer);
        self.hands().retain(|partition, _| !partitions.contains(partition));
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trouble::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka consumer of {}", self.what);
    }
    fn stats(&self, statistics: Statistics) {
        self.lag.measure(&statistics);
    }
}
impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &Consumers, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance
            && list.count() > 0
        {
            self.revoke(consumer, partitions(list));
        }
    }
    fn post_rebalance(&self, consumer: &Consumers, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) if list.count() > 0 => {
                // One that was paused when it went is paused when it comes back.
                self.check("resume", consumer.resume(list));
                let partitions = partitions(list);
                self.hands().extend(partitions.iter().map(|partition| (partition.clone(), Hand::default())));
                self.tell(Told::Signal(Signal::Assigned(partitions)));
            }
            Rebalance::Error(error) => self.tell(Told::Trouble(trouble::of(&self.what, error))),
            _ => {}
        }
    }
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            // Nothing was stored since the last time.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::warn!(%error, "{}: offsets were not committed, and will be again", self.what),
        }
    }
}

/// Copied out at once: a list that outlives its use hangs the consumer's drop.
fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let one = |topic: &str, number: i32| Partition { topic: topic.to_owned(), part: number.to_string() };
    list.elements().iter().map(|it| one(it.topic(), it.partition())).collect()
}

fn add(list: &mut TopicPartitionList, partition: &Partition, offset: Offset) {
    if let Ok(number) = partition.part.parse() {
        let _ = list.add_partition_offset(&partition.topic, number, offset); // fails only for offsets that are none
    }
}
