//! The state of a member on its polling thread: assigned partitions, records in flight, and rebalances.
use super::{Notice, Requests, lag::Lag};
use crate::{KafkaConfig, error, known_brokers::KnownBrokers, names::Names};
use cqrs_core::transport::{Drained, Partition, Received, Signal};
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc::UnboundedSender, watch};

/// Limit of the unacknowledged records of a partition. The partition is paused above 80 % of it and resumed at 30 %.
/// The two thresholds are far apart because pausing discards the records that were fetched ahead, so it must be rare.
const MAX_RECORDS: usize = 4_000;
/// The largest number of records in one signal.
const MAX_BATCH: usize = 500;
/// The size of the records at which a signal is sent. The limits are checked between two signals.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// The memory of a record and of a header beside their texts, in bytes.
const RECORD: usize = 256;
const HEADER: usize = 64;
/// The time to leave the group, beside that for the work on revoked partitions. A broker that refuses the credentials of a
/// consumer does not let it leave, and librdkafka tries for up to a minute.
const LEAVE: Duration = Duration::from_secs(3);
/// The longest request that the polling thread waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) type Consumers = BaseConsumer<Member>;

pub(super) struct Member {
    group: String,
    names: Names,
    lag: Lag,
    known_brokers: KnownBrokers,
    drain: Duration,
    /// The limit in bytes of all consumers of this process, and their number.
    buffer_bytes: usize,
    consumers: watch::Receiver<usize>,
    requests: Arc<Requests>,
    notices: UnboundedSender<Notice>,
    in_flight: Mutex<HashMap<Partition, InFlight>>,
    /// Records that were read and are not sent yet. They must be sent before the signal of a rebalance in which a poll
    /// ends.
    buffered: Mutex<Buffered>,
    /// The gaps in the offsets of the records that were read, until the broker was asked for their cause.
    gaps: Mutex<HashMap<Partition, Vec<Range<u64>>>>,
}

/// The records of the next signal, and their size in bytes.
#[derive(Default)]
struct Buffered {
    records: Vec<Received>,
    bytes: usize,
}

/// The records of an assigned partition that were read and are not acknowledged.
#[derive(Default)]
pub(super) struct InFlight {
    /// Offset and size in bytes of each record.
    read: VecDeque<(u64, usize)>,
    bytes: usize,
    /// The offset of the next record; `None` where nothing was read before.
    next: Option<u64>,
    /// The reader requested the pause.
    held: bool,
    /// A limit on unacknowledged records requires the pause.
    full: bool,
    paused: bool,
}

impl InFlight {
    /// Returns whether the records are more than this percentage of a limit.
    fn exceeds(&self, percent: usize, max_bytes: usize) -> bool {
        self.read.len() * 100 > MAX_RECORDS * percent || self.bytes * 100 > max_bytes * percent
    }
}

impl Member {
    pub(super) fn new(
        group: &str,
        names: Names,
        lag: Lag,
        config: &KafkaConfig,
        requests: Arc<Requests>,
        notices: UnboundedSender<Notice>,
        consumers: watch::Receiver<usize>,
    ) -> Self {
        let (in_flight, buffered, gaps) = (Mutex::default(), Mutex::default(), Mutex::default());
        let KafkaConfig { drain, buffer_bytes, .. } = *config;
        let group = group.to_owned();
        let known_brokers = KnownBrokers::default();
        Member {
            group,
            names,
            lag,
            known_brokers,
            drain,
            buffer_bytes,
            consumers,
            requests,
            notices,
            in_flight,
            buffered,
            gaps,
        }
    }
    /// Returns the time after which a consumer that has not left its group holds up the next one no longer.
    pub(super) fn longest_leave(&self) -> Duration {
        self.drain + LEAVE
    }
    /// Sends a notice to the async side, after the buffered records.
    pub(super) fn send(&self, notice: Notice) {
        self.flush();
        let _ = self.notices.send(notice); // fails once the subscription is dropped
    }
    /// Sends the buffered records to the async side.
    pub(super) fn flush(&self) {
        let Buffered { records, .. } =
            std::mem::take(&mut *self.buffered.lock().unwrap_or_else(PoisonError::into_inner));
        if !records.is_empty() {
            let _ = self.notices.send(Notice::Signal(Signal::Records(records)));
        }
    }
    pub(super) fn group(&self) -> &str {
        &self.group
    }
    /// Returns whether the consumer knows no broker any more, and has to be created anew.
    pub(super) fn has_lost_brokers(&self) -> bool {
        self.known_brokers.are_lost()
    }
    /// Returns the partition of a topic on the brokers.
    pub(super) fn partition(&self, topic: &str, number: i32) -> Partition {
        Partition { topic: self.names.in_code(topic).to_owned(), part: number.to_string() }
    }
    /// Copies the partitions. A list that is kept would block the drop of the consumer for ever.
    fn partitions(&self, list: &TopicPartitionList) -> Vec<Partition> {
        list.elements().iter().map(|element| self.partition(element.topic(), element.partition())).collect()
    }
    fn add(&self, list: &mut TopicPartitionList, partition: &Partition, offset: Offset) {
        if let Ok(number) = partition.part.parse() {
            // It fails only for an invalid offset.
            let _ = list.add_partition_offset(&self.names.topic(&partition.topic), number, offset);
        }
    }
    /// Returns the subject of error messages.
    pub(super) fn subject(&self) -> String {
        format!("group {}", self.group)
    }
    fn in_flight(&self) -> MutexGuard<'_, HashMap<Partition, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the reader of records that the broker has dropped, before the buffered ones. Other gaps in the offsets are
    /// records of transactions, and those that compaction removed. One request for each partition with gaps is enough,
    /// since the first offset only grows.
    pub(super) fn look_at_gaps(&self, consumer: &Consumers) {
        let gaps = std::mem::take(&mut *self.gaps.lock().unwrap_or_else(PoisonError::into_inner));
        for (partition, gaps) in gaps {
            let Some(first) = self.first_offset(consumer, &partition) else { continue };
            for gap in gaps.into_iter().filter(|gap| gap.start < first) {
                let offsets = gap.start..first.min(gap.end);
                // Past the buffered records, which must not be acknowledged before the loss is recorded.
                let lost = Signal::Lost { partition: partition.clone(), offsets };
                let _ = self.notices.send(Notice::Signal(lost)); // fails once the subscription is dropped
            }
        }
    }

    /// Adds a record to the buffer, and returns whether there is room for another one.
    pub(super) fn buffer(&self, record: Received) -> bool {
        let next = self.in_flight().get_mut(&record.partition).and_then(|at| at.next.replace(record.offset + 1));
        if let Some(next) = next
            && next < record.offset
        {
            let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
            gaps.entry(record.partition.clone()).or_default().push(next..record.offset);
        }
        let bytes = size(&record);
        let mut has_room = true;
        let mut assigned = self.in_flight();
        let max_bytes = self.max_bytes(&assigned);
        if let Some(in_flight) = assigned.get_mut(&record.partition) {
            in_flight.read.push_back((record.offset, bytes));
            in_flight.bytes += bytes;
            has_room = !in_flight.exceeds(80, max_bytes);
        }
        drop(assigned);
        let mut buffered = self.buffered.lock().unwrap_or_else(PoisonError::into_inner);
        buffered.records.push(record);
        buffered.bytes += bytes;
        has_room && buffered.records.len() < MAX_BATCH && buffered.bytes < MAX_BATCH_BYTES
    }

    /// Returns the limit of a partition in bytes: the consumers of the process and the partitions of each share it.
    fn max_bytes(&self, assigned: &HashMap<Partition, InFlight>) -> usize {
        self.buffer_bytes / (*self.consumers.borrow()).max(1) / assigned.len().max(1)
    }

    /// Returns the offset of the first record that the broker still has.
    fn first_offset(&self, consumer: &Consumers, partition: &Partition) -> Option<u64> {
        let number = partition.part.parse().unwrap_or(-1);
        match consumer.fetch_watermarks(&self.names.topic(&partition.topic), number, REQUEST_TIMEOUT) {
            Ok((low, _)) => u64::try_from(low).ok(),
            Err(error) => {
                let group = self.group();
                tracing::warn!(group, %partition, %error, "Kafka consumer cannot tell whether records were lost");
                None
            }
        }
    }
    /// Reads the next offsets of partitions that were just assigned, as the group has committed them.
    fn committed(&self, consumer: &Consumers, list: &TopicPartitionList) -> HashMap<Partition, u64> {
        match consumer.committed_offsets(list.clone(), REQUEST_TIMEOUT) {
            Ok(committed) => {
                let offset = |(partition, offset): (Partition, Offset)| match offset {
                    Offset::Offset(offset) => Some((partition, u64::try_from(offset).ok()?)),
                    _ => None,
                };
                let offsets: Vec<_> = committed.elements().iter().map(|element| element.offset()).collect();
                self.partitions(&committed).into_iter().zip(offsets).filter_map(offset).collect()
            }
            Err(error) => {
                let group = self.group();
                tracing::warn!(group, %error, "Kafka consumer cannot tell whether records were lost");
                HashMap::new()
            }
        }
    }

    /// Stores the acknowledged offsets. librdkafka commits them within a second, or when the partition is revoked.
    pub(super) fn store_offsets(&self, consumer: &Consumers) {
        let acknowledged = std::mem::take(&mut self.requests.pending().acknowledged);
        let (mut assigned, mut stored) = (self.in_flight(), TopicPartitionList::new());
        for (partition, offset) in acknowledged {
            let Some(in_flight) = assigned.get_mut(&partition) else { continue }; // the partition was revoked
            // Stays `None` if the record was read before a seek, or before the partition was revoked and assigned
            // again.
            let mut last = None;
            while let Some((read, bytes)) = in_flight.read.pop_front_if(|(read, _)| *read <= offset) {
                in_flight.bytes -= bytes;
                last = Some(read);
            }
            if let Some(last) = last {
                self.add(&mut stored, &partition, Offset::Offset(last as i64 + 1)); // the next record to read
            }
        }
        if stored.count() > 0
            && let Err(error) = consumer.store_offsets(&stored)
        {
            tracing::debug!(group = self.group, %error, "Kafka consumer cannot store offsets of revoked partitions");
        }
    }

    /// Pauses the partitions that are full or held by the reader, and resumes the others.
    pub(super) fn pause_and_resume(&self, consumer: &Consumers) {
        let requested = std::mem::take(&mut self.requests.pending().pause);
        let mut assigned = self.in_flight();
        for (partition, held) in requested {
            if let Some(in_flight) = assigned.get_mut(&partition) {
                in_flight.held = held;
            }
        }
        let max_bytes = self.max_bytes(&assigned);
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (partition, in_flight) in assigned.iter_mut() {
            let percent = if in_flight.full { 30 } else { 80 };
            in_flight.full = in_flight.exceeds(percent, max_bytes);
            let paused = in_flight.full || in_flight.held;
            if paused != in_flight.paused {
                in_flight.paused = paused;
                self.add(if paused { &mut pause } else { &mut resume }, partition, Offset::Invalid);
            }
        }
        if pause.count() > 0
            && let Err(error) = consumer.pause(&pause)
        {
            tracing::warn!(group = self.group, %error, "Kafka consumer cannot pause partitions");
        }
        if resume.count() > 0 {
            self.resume(consumer, &resume);
        }
    }
    fn resume(&self, consumer: &Consumers, partitions: &TopicPartitionList) {
        if let Err(error) = consumer.resume(partitions) {
            tracing::warn!(group = self.group, %error, "Kafka consumer cannot resume partitions");
        }
    }

    /// Carries out the requested seeks. A seek that fails stays requested: right after an assignment a partition cannot
    /// seek yet.
    pub(super) fn seek(&self, consumer: &Consumers) {
        let requested = std::mem::take(&mut self.requests.pending().seek);
        for (partition, offset) in requested {
            let (topic, number) = (self.names.topic(&partition.topic), partition.part.parse().unwrap_or(-1));
            if let Some(in_flight) = self.in_flight().get_mut(&partition) {
                let result = consumer.seek(&topic, number, Offset::Offset(offset as i64), Duration::from_secs(1));
                if let Err(error) = result {
                    tracing::debug!(group = self.group, %partition, %error, "Kafka consumer cannot seek yet");
                    self.requests.pending().seek.push((partition, offset));
                    continue;
                }
                (in_flight.bytes, in_flight.full) = (0, false);
                // A reader at the first offset has read nothing yet.
                in_flight.next = Some(offset).filter(|offset| *offset > 0);
                in_flight.read.clear();
            }
            self.send(Notice::SeekDone(partition));
        }
    }

    fn revoke(&self, consumer: &Consumers, partitions: Vec<Partition>) {
        if consumer.assignment_lost() {
            // Other members own the partitions already, so work that finishes now cannot be acknowledged.
            self.in_flight().retain(|partition, _| !partitions.contains(partition));
            return self.send(Notice::Signal(Signal::Revoked(partitions, Drained::unwaited())));
        }
        let (sender, drained) = mpsc::channel::<()>(); // disconnected when the reader drops `Drained`
        self.send(Notice::Signal(Signal::Revoked(partitions.clone(), Drained::then(move || drop(sender)))));
        let deadline = Instant::now() + self.drain;
        while drained.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.store_offsets(consumer);
            if Instant::now() > deadline {
                tracing::warn!(
                    group = self.group,
                    drain = ?self.drain,
                    "Kafka consumer gave up waiting for work on revoked partitions"
                );
                break;
            }
        }
        // librdkafka commits the stored offsets before it gives the partitions up.
        self.store_offsets(consumer);
        self.in_flight().retain(|partition, _| !partitions.contains(partition));
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        error::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(group = self.group, %error, reason, "Kafka consumer reports an error");
    }
    fn stats(&self, statistics: Statistics) {
        self.lag.measure(&statistics);
        self.known_brokers.measure(&statistics);
    }
}
impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &Consumers, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance
            && list.count() > 0
        {
            self.revoke(consumer, self.partitions(list));
        }
    }
    fn post_rebalance(&self, consumer: &Consumers, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) if list.count() > 0 => {
                // A partition that was paused when it was revoked is still paused when it is assigned again.
                self.resume(consumer, list);
                let partitions = self.partitions(list);
                let mut next = self.committed(consumer, list);
                let in_flight = |partition: &Partition| {
                    (partition.clone(), InFlight { next: next.remove(partition), ..InFlight::default() })
                };
                self.in_flight().extend(partitions.iter().map(in_flight));
                self.send(Notice::Signal(Signal::Assigned(partitions)));
            }
            Rebalance::Error(error) => self.send(Notice::Error(error::from_kafka(&self.subject(), error))),
            _ => {}
        }
    }
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            // `NoOffset`: no offset was stored since the last commit.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(group = self.group, %error, "Kafka consumer cannot commit offsets and tries again");
            }
        }
    }
}

/// Returns the memory that a record takes, in bytes.
fn size(record: &Received) -> usize {
    let headers = record.headers.iter().map(|(name, value)| HEADER + name.len() + value.len());
    let texts = record.body.as_ref().map_or(0, Vec::len) + record.key.as_ref().map_or(0, Vec::len);
    RECORD + texts + headers.sum::<usize>()
}
