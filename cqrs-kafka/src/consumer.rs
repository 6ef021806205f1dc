//! A group's member. A thread of its own polls: rebalances run inside the poll and wait, which async code must not.
mod lag;
mod member;
mod thread;

use crate::{KafkaConfig, trouble};
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

/// librdkafka's default, which does not look at the session: with one of 3 s a member would be taken for dead again and again.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How long the polling thread may be silent before its partitions go to others. No handler holds it up, and it waits for nothing but
/// the work of a partition that is revoked.
fn silence(config: &KafkaConfig) -> Duration {
    config.session + 2 * config.drain
}

/// Joins a group. Returns before it has partitions: they come as signals.
fn join(
    config: &KafkaConfig,
    group: &str,
    topics: &[&str],
    consumers: &watch::Sender<usize>,
) -> Result<Joined, TransportError> {
    let mut settings = config.client();
    settings
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky") // a rebalance stops only what moves
        .set("enable.auto.offset.store", "false") // stored when it is done, not when it is read
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest") // a new group reads everything, and none skips what it lost track of
        .set("session.timeout.ms", config.session.as_millis().to_string())
        .set("heartbeat.interval.ms", (config.session / 3).min(HEARTBEAT).as_millis().to_string())
        .set("max.poll.interval.ms", silence(config).as_millis().to_string())
        .set("topic.metadata.refresh.interval.ms", "5000") // a topic that is created later is found soon
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        .set("statistics.interval.ms", "5000") // how far behind it is
        .set("fetch.queue.backoff.ms", "50"); // the default is a second of idling when the queue is full
    if let Some(instance) = &config.instance {
        settings.set("group.instance.id", instance);
    }
    let (out, signals) = mpsc::unbounded_channel(); // bounded by what may be unacknowledged
    let asked = Arc::new(Asked::default());
    let what = format!("group {group}");
    let member = Member::new(what.clone(), Lag::new(group, topics), config.drain, asked.clone(), out);
    let consumer = BaseConsumer::from_config_and_context(&settings, member)
        .map_err(|error| TransportError::permanent(format!("{what} cannot join")).because(trouble::of_config(error)))?;
    consumer.subscribe(topics).map_err(|error| trouble::of(&what, &error))?;
    thread::start(consumer, asked.clone(), consumers.clone());
    Ok((signals, asked))
}

/// Joins a group, and joins again after an error that ends a consumer: a group is left when the reader leaves it.
pub(crate) fn subscribe(
    config: &KafkaConfig,
    group: &str,
    topics: &[&str],
    consumers: &watch::Sender<usize>,
) -> Result<Membership, TransportError> {
    let (config, group, consumers) = (config.clone(), group.to_owned(), consumers.clone());
    let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    let join = move || join(&config, &group, &topics.iter().map(String::as_str).collect::<Vec<_>>(), &consumers);
    let (signals, asked) = join()?;
    Ok(Membership {
        signals,
        asked,
        join: Box::new(join),
        again_at: None,
        ours: HashSet::new(),
        seeking: HashMap::new(),
    })
}

type Joined = (mpsc::UnboundedReceiver<Told>, Arc<Asked>);

/// How long after its end a consumer is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// What the async side asks of the thread.
#[derive(Default)]
struct Asked(Mutex<Wishes>);
#[derive(Default)]
struct Wishes {
    /// Only the last counts.
    acknowledged: HashMap<Partition, u64>,
    seek: Vec<(Partition, u64)>,
    pause: Vec<(Partition, bool)>,
    leave: bool,
}
impl Asked {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread tells.
enum Told {
    Signal(Signal),
    /// What was read before a seek is over.
    Sought(Partition),
    Trouble(TransportError),
}

pub(crate) struct Membership {
    signals: mpsc::UnboundedReceiver<Told>,
    asked: Arc<Asked>,
    join: Box<dyn Fn() -> Result<Joined, TransportError> + Send>,
    again_at: Option<Instant>,
    /// Partitions that the reader has been told are its own.
    ours: HashSet<Partition>,
    /// Partitions whose records are from before a seek, and how many seeks are under way.
    seeking: HashMap<Partition, usize>,
}

#[async_trait]
impl Subscription for Membership {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        loop {
            match self.signals.recv().await {
                None => {
                    if !self.ours.is_empty() {
                        return Ok(Signal::Revoked(self.ours.drain().collect(), Drained::unwaited()));
                    }
                    sleep_until(*self.again_at.get_or_insert_with(|| Instant::now() + AGAIN)).await;
                    (self.again_at, self.seeking) = (None, HashMap::new());
                    (self.signals, self.asked) = (self.join)()?;
                }
                Some(Told::Trouble(error)) => return Err(error),
                Some(Told::Sought(partition)) => {
                    if let Some(seeks) = self.seeking.get_mut(&partition) {
                        *seeks -= 1;
                    }
                    self.seeking.retain(|_, seeks| *seeks > 0);
                }
                Some(Told::Signal(Signal::Records(mut records))) => {
                    records.retain(|it: &Received| !self.seeking.contains_key(&it.partition));
                    if !records.is_empty() {
                        return Ok(Signal::Records(records));
                    }
                }
                Some(Told::Signal(signal)) => {
                    match &signal {
                        Signal::Assigned(partitions) => self.ours.extend(partitions.iter().cloned()),
                        Signal::Revoked(partitions, _) => self.ours.retain(|it| !partitions.contains(it)),
                        Signal::Records(_) => {}
                    }
                    return Ok(signal);
                }
            }
        }
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        let mut wishes = self.asked.wishes();
        let done = wishes.acknowledged.entry(partition.clone()).or_default();
        *done = offset.max(*done);
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        *self.seeking.entry(partition.clone()).or_default() += 1;
        self.asked.wishes().seek.push((partition.clone(), offset));
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.asked.wishes().pause.push((partition.clone(), paused));
    }
}
impl Drop for Membership {
    fn drop(&mut self) {
        self.asked.wishes().leave = true;
    }
}
