//! A member of a consumer group. It polls on its own thread, because rebalances run inside the poll and block.
mod lag;
mod member;
mod thread;

use crate::{
    KafkaConfig,
    blocking::drop_elsewhere,
    credentials::{Credentials, Held},
    error,
    known_brokers::STATISTICS_INTERVAL,
};
use async_trait::async_trait;
use cqrs_core::transport::{Drained, Partition, Received, Signal, Subscription, TransportError};
use lag::Lag;
use member::Member;
use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// The longest heartbeat interval: librdkafka's default. The default does not depend on the session time-out, so with a
/// session of 3 s the broker would repeatedly take a live member for dead.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// The least size of a fetch that librdkafka accepts, rounded up, in bytes.
const LEAST_FETCH: usize = 1 << 20;
/// The largest size of the records that a consumer fetches ahead, in bytes. More would not make it faster.
const MAX_FETCHED_AHEAD: usize = 16 << 20;

/// Returns the time without a poll after which the partitions of a member go to other members. Handlers do not run on
/// the polling thread, so it waits only for the work on revoked partitions.
fn max_poll_interval(config: &KafkaConfig) -> Duration {
    config.session + 2 * config.drain
}

/// Joins a group. Returns before partitions are assigned, which is a signal.
fn join(
    credentials: &Arc<Credentials>,
    group: &str,
    topics: &[&str],
    consumers: &watch::Sender<usize>,
) -> Result<Joined, TransportError> {
    let config = credentials.config();
    let fetched_ahead = (config.buffer_bytes / 8).min(MAX_FETCHED_AHEAD);
    let ((mut settings, version), names) = (credentials.client(), config.names());
    let on_broker = names.topics(topics)?;
    settings
        .set("group.id", names.group(group))
        .set("partition.assignment.strategy", "cooperative-sticky") // a rebalance stops only the partitions that move
        .set("enable.auto.offset.store", "false") // stored when a record is acknowledged, not when it is read
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest") // without a committed offset, start with the oldest record
        .set("session.timeout.ms", config.session.as_millis().to_string())
        .set("heartbeat.interval.ms", (config.session / 3).min(HEARTBEAT).as_millis().to_string())
        .set("max.poll.interval.ms", max_poll_interval(config).as_millis().to_string())
        .set("topic.metadata.refresh.interval.ms", "5000") // a topic that is created later is found within 5 s
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", (fetched_ahead / 1024).to_string())
        .set("fetch.max.bytes", fetched_ahead.max(LEAST_FETCH).to_string()) // a larger record is fetched alone
        .set("statistics.interval.ms", STATISTICS_INTERVAL) // measures the lag of the group
        .set("fetch.queue.backoff.ms", "50"); // with the default, a full queue stops fetching for a second
    if let Some(instance) = &config.instance {
        settings.set("group.instance.id", instance);
    }
    let (sender, notices) = mpsc::unbounded_channel(); // bounded by the limits on unacknowledged records
    let requests = Arc::new(Requests::default());
    let lag = Lag::new(group, topics, names.clone());
    let member = Member::new(group, names, lag, config, requests.clone(), sender, consumers.subscribe());
    let consumer = BaseConsumer::from_config_and_context(&settings, member).map_err(|error| {
        TransportError::permanent(format!("group {group} cannot be joined")).because(error::from_client_creation(error))
    })?;
    let on_broker: Vec<_> = on_broker.iter().map(String::as_str).collect();
    if let Err(error) = consumer.subscribe(&on_broker) {
        drop_elsewhere(consumer);
        return Err(error::from_kafka(&format!("group {group}"), &error));
    }
    let credentials = Held { credentials: credentials.clone(), version };
    thread::start(consumer, credentials, requests.clone(), consumers.clone());
    Ok((notices, requests))
}

/// Joins a group, and joins it again after an error that ends the consumer and after a change of its certificates. Dropping
/// the membership leaves the group.
pub(crate) fn subscribe(
    credentials: &Arc<Credentials>,
    group: &str,
    topics: &[&str],
    consumers: &watch::Sender<usize>,
) -> Result<Membership, TransportError> {
    let (credentials, group, consumers) = (credentials.clone(), group.to_owned(), consumers.clone());
    let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    let join = move || join(&credentials, &group, &topics.iter().map(String::as_str).collect::<Vec<_>>(), &consumers);
    let (notices, requests) = join()?;
    Ok(Membership {
        notices,
        requests,
        join: Box::new(join),
        rejoin_at: None,
        assigned: HashSet::new(),
        seeking: HashMap::new(),
    })
}

type Joined = (mpsc::UnboundedReceiver<Notice>, Arc<Requests>);

/// The delay between the end of a consumer and the creation of the next one.
const REJOIN_DELAY: Duration = Duration::from_secs(1);

/// Requests of the async side to the polling thread.
#[derive(Default)]
struct Requests(Mutex<PendingRequests>);
#[derive(Default)]
struct PendingRequests {
    /// The highest acknowledged offset of each partition.
    acknowledged: HashMap<Partition, u64>,
    seek: Vec<(Partition, u64)>,
    pause: Vec<(Partition, bool)>,
    leave: bool,
}
impl Requests {
    fn pending(&self) -> MutexGuard<'_, PendingRequests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message from the polling thread to the async side.
enum Notice {
    Signal(Signal),
    /// A seek is done: the next records of this partition were read after it.
    SeekDone(Partition),
    Error(TransportError),
    /// The consumer has ended, and has not left its group yet. It reads nothing more.
    Ended,
}

pub(crate) struct Membership {
    notices: mpsc::UnboundedReceiver<Notice>,
    requests: Arc<Requests>,
    join: Box<dyn Fn() -> Result<Joined, TransportError> + Send>,
    rejoin_at: Option<Instant>,
    /// Partitions for which the reader has received the signal of their assignment.
    assigned: HashSet<Partition>,
    /// Number of unfinished seeks by partition. Records of such a partition were read before the seek and are dropped.
    seeking: HashMap<Partition, usize>,
}

#[async_trait]
impl Subscription for Membership {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        loop {
            match self.notices.recv().await {
                None => {
                    if !self.assigned.is_empty() {
                        return Ok(Signal::Revoked(self.assigned.drain().collect(), Drained::unwaited()));
                    }
                    sleep_until(*self.rejoin_at.get_or_insert_with(|| Instant::now() + REJOIN_DELAY)).await;
                    (self.rejoin_at, self.seeking) = (None, HashMap::new());
                    (self.notices, self.requests) = (self.join)()?;
                }
                Some(Notice::Error(error)) => return Err(error),
                Some(Notice::Ended) => self.notices = mpsc::unbounded_channel().1,
                Some(Notice::SeekDone(partition)) => {
                    if let Some(seeks) = self.seeking.get_mut(&partition) {
                        *seeks -= 1;
                    }
                    self.seeking.retain(|_, seeks| *seeks > 0);
                }
                Some(Notice::Signal(Signal::Records(mut records))) => {
                    records.retain(|record: &Received| !self.seeking.contains_key(&record.partition));
                    if !records.is_empty() {
                        return Ok(Signal::Records(records));
                    }
                }
                Some(Notice::Signal(signal)) => {
                    match &signal {
                        Signal::Assigned(partitions) => self.assigned.extend(partitions.iter().cloned()),
                        Signal::Revoked(partitions, _) => {
                            self.assigned.retain(|partition| !partitions.contains(partition));
                        }
                        Signal::Records(_) | Signal::Lost { .. } => {}
                    }
                    return Ok(signal);
                }
            }
        }
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        let mut pending = self.requests.pending();
        let highest = pending.acknowledged.entry(partition.clone()).or_default();
        *highest = offset.max(*highest);
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        *self.seeking.entry(partition.clone()).or_default() += 1;
        self.requests.pending().seek.push((partition.clone(), offset));
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.requests.pending().pause.push((partition.clone(), paused));
    }
}
impl Drop for Membership {
    fn drop(&mut self) {
        self.requests.pending().leave = true;
    }
}
