//! Sends records in order and remembers the records in flight, so that a repeated publish sends no record twice.
//!
//! The relay publishes a window that starts at its checkpoint, and repeats this. For each relay shard the publisher
//! keeps the records that were sent and lie after the checkpoint. It waits for such a record and does not send it
//! again. An unreachable broker therefore causes neither duplicates nor growing memory, and the order of the shard is
//! kept. After a failure the shard is sent again from the failed record on, without gaps, so the first occurrences of
//! the records stay in order.
use crate::{
    ConfigError,
    credentials::{Credentials, Version},
    error,
    names::Names,
};
use cqrs_core::transport::{Published, Record, TransportError};
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

pub(crate) struct Publisher {
    credentials: Arc<Credentials>,
    names: Names,
    patience: Duration,
    /// Notified at every delivery report, which frees space in the producer's queue.
    queue_space: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    producer: Option<Current>,
    /// By service and shard number.
    shards: HashMap<(String, u16), Shard>,
}

/// The producer in use.
struct Current {
    producer: Arc<ThreadedProducer<Reports>>,
    /// The credentials that it has.
    version: Version,
    /// The time at which it was noticed that its certificates have changed.
    outdated_since: Option<Instant>,
}

/// The sent records of a relay shard from the relay's checkpoint on.
#[derive(Default)]
struct Shard {
    sent: VecDeque<Arc<Sent>>,
    /// Notified at every delivery report of this shard.
    delivered: Arc<Notify>,
}

/// A sent record. librdkafka holds a reference to it until the delivery report.
pub(crate) struct Sent {
    position: u64,
    /// Set by the delivery report.
    outcome: OnceLock<Result<(), RDKafkaErrorCode>>,
    delivered: Arc<Notify>,
}

/// The reason why not all records were sent.
enum Stopped {
    /// The producer's queue is full, or it is replaced as soon as no record is in flight. Sending continues at a delivery
    /// report.
    Waiting,
    Failed(TransportError),
}

impl Publisher {
    pub(crate) fn new(credentials: &Arc<Credentials>) -> Result<Self, ConfigError> {
        let (credentials, config) = (credentials.clone(), credentials.config());
        let (names, patience) = (config.names(), config.patience);
        let publisher =
            Publisher { credentials, names, patience, queue_space: Arc::default(), state: Mutex::default() };
        // A setting that librdkafka refuses is reported at start-up, and not by the first publish.
        let producer = publisher.producer().map_err(error::from_client_creation)?;
        publisher.state().producer = Some(producer);
        Ok(publisher)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the producer, whose connections also serve requests about topics. There is none after a fatal error, until
    /// the next publish.
    pub(crate) async fn current(&self) -> Option<Arc<ThreadedProducer<Reports>>> {
        self.look_at_credentials().await;
        let mut state = self.state();
        self.renew(&mut state);
        state.producer.as_ref().map(|current| current.producer.clone())
    }

    fn producer(&self) -> Result<Current, KafkaError> {
        let (mut settings, version) = self.credentials.client();
        settings
            .set("enable.idempotence", "true") // acks=all, unlimited retries, in order
            .set("enable.gapless.guarantee", "true") // an error that would leave a gap is fatal instead
            .set("message.timeout.ms", "0") // no time limit: a message that times out leaves a gap
            .set("partitioner", "murmur2_random") // the same partition for a key as Java clients
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("batch.size", "131072") // a larger record is a batch of its own: only it is refused for its size
            .set("queue.buffering.max.messages", "50000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("topic.metadata.refresh.interval.ms", "10000") // a right that was granted again is noticed in 10 s
            .set("topic.metadata.propagation.max.ms", "5000"); // a missing topic is an error after 5 s
        let reports = Reports { queue_space: self.queue_space.clone() };
        let producer = ThreadedProducer::from_config_and_context(&settings, reports)?;
        Ok(Current { producer: Arc::new(producer), version, outdated_since: None })
    }

    /// Reads changed credentials before the next step, which may need them.
    async fn look_at_credentials(&self) {
        if self.credentials.is_due() {
            let credentials = self.credentials.clone();
            let _ = tokio::task::spawn_blocking(move || credentials.look()).await;
        }
    }

    /// Gives the producer a changed password, or replaces it after a change of its certificates. Returns whether no record
    /// may be sent yet, because the producer still has to be replaced.
    ///
    /// The next producer begins once every record that is in flight has an outcome. If one has none for `patience`, the
    /// brokers may refuse the former certificates already: then the records in flight are sent again, as after a fatal
    /// error, so they keep their order.
    fn renew(&self, state: &mut State) -> bool {
        let State { producer, shards } = state;
        let Some(current) = producer else { return false };
        let version = self.credentials.version();
        if version.password != current.version.password {
            self.credentials.hand_to(current.producer.client());
            current.version.password = version.password;
        }
        if version.certificates == current.version.certificates {
            return false;
        }
        let has_outcome = |sent: &Arc<Sent>| sent.outcome.get().is_some();
        let is_idle = shards.values().flat_map(|shard| &shard.sent).all(has_outcome);
        let outdated_for = current.outdated_since.get_or_insert_with(Instant::now).elapsed();
        if !is_idle && outdated_for < self.patience {
            return true;
        }
        let next = match self.producer() {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "a Kafka producer with the changed certificates cannot be created yet");
                return false;
            }
        };
        if !is_idle {
            tracing::warn!("records in flight are sent again with the changed certificates");
            shards.clear();
        }
        producer.replace(next).into_iter().for_each(|former| drop_on_a_thread(former.producer));
        false
    }

    /// Sends the records that are not in flight yet. Returns when at least the first record is acknowledged, when it
    /// failed, or when no acknowledgement arrives within `patience`.
    pub(crate) async fn publish(&self, records: &[Record]) -> Published {
        self.look_at_credentials().await;
        let mut out_of_patience = std::pin::pin!(tokio::time::sleep(self.patience));
        let (mut sent, mut stopped) = self.send(records);
        loop {
            let pending = sent.iter().find(|record| record.outcome.get().is_none());
            let delivered = pending.map(|record| record.delivered.clone()).unwrap_or_default();
            let mut delivered = std::pin::pin!(delivered.notified());
            let mut queue_space = std::pin::pin!(self.queue_space.notified());
            // Register for notifications before the outcomes are read, or a report between the two would be missed.
            delivered.as_mut().enable();
            queue_space.as_mut().enable();
            if matches!(stopped, Some(Stopped::Waiting)) {
                (sent, stopped) = self.send(records);
            }
            let acknowledged = sent.iter().take_while(|record| record.outcome.get() == Some(&Ok(()))).count();
            if let Some(Some(Err(code))) = sent.get(acknowledged).map(|record| record.outcome.get()) {
                self.send_again_from(&records[acknowledged]);
                let error = error::from_record_code(&describe(&records[acknowledged]), *code);
                return Published { acknowledged, error: Some(error) };
            }
            if acknowledged == sent.len()
                && let Some(Stopped::Failed(error)) = stopped
            {
                return Published { acknowledged, error: Some(error) };
            }
            if acknowledged > 0 || records.is_empty() {
                return Published { acknowledged, error: None };
            }
            let is_waiting = matches!(stopped, Some(Stopped::Waiting));
            tokio::select! {
                () = delivered => {}
                () = queue_space, if is_waiting => {}
                () = &mut out_of_patience => {
                    let error = format!("{}: not acknowledged within {:?}", describe(&records[0]), self.patience);
                    return Published { acknowledged, error: Some(TransportError::transient(error)) };
                }
            }
        }
    }

    /// Sends the records that are not in flight yet, in order, until one cannot be sent.
    fn send(&self, records: &[Record]) -> (Vec<Arc<Sent>>, Option<Stopped>) {
        let mut state = self.state();
        let fatal = state.producer.as_ref().and_then(|current| current.producer.client().fatal_error());
        if let Some((code, reason)) = fatal {
            tracing::warn!(%code, reason, "Kafka producer failed; a new one is created");
            state.producer.take().into_iter().for_each(|failed| drop_on_a_thread(failed.producer));
            state.shards.clear();
        }
        let must_wait = self.renew(&mut state);
        let State { producer, shards } = &mut *state;
        let (mut all, mut advanced) = (Vec::with_capacity(records.len()), HashSet::new());
        let current = match producer {
            Some(current) => current,
            None => match self.producer() {
                Ok(created) => producer.insert(created),
                Err(error) => {
                    let error = error::from_kafka("the Kafka producer cannot be created", &error);
                    return (all, Some(Stopped::Failed(error)));
                }
            },
        };
        for record in records {
            let shard = shards.entry((record.service.clone(), record.shard)).or_default();
            if advanced.insert((&record.service, record.shard)) {
                shard.advance_to(record.position.0);
            }
            let sent = match shard.sent_before(record) {
                Some(sent) => Ok(sent),
                None if must_wait => Err(Stopped::Waiting),
                None => shard.send(&current.producer, &self.names, record),
            };
            match sent {
                Ok(sent) => all.push(sent),
                Err(stopped) => return (all, Some(stopped)),
            }
        }
        (all, None)
    }

    /// Makes the next publish send the shard again from this record on.
    fn send_again_from(&self, record: &Record) {
        let mut state = self.state();
        if let Some(shard) = state.shards.get_mut(&(record.service.clone(), record.shard)) {
            shard.sent.retain(|sent| sent.position < record.position.0);
        }
    }
}

impl Shard {
    /// Drops the records before this position, the relay's checkpoint.
    fn advance_to(&mut self, position: u64) {
        while self.sent.front().is_some_and(|first| first.position < position) {
            self.sent.pop_front();
        }
    }

    /// Returns the record if it was sent already, and may be in flight.
    fn sent_before(&self, record: &Record) -> Option<Arc<Sent>> {
        let index = self.sent.binary_search_by_key(&record.position.0, |sent| sent.position).ok()?;
        Some(self.sent[index].clone())
    }

    /// Sends a record that was not sent before.
    fn send(
        &mut self,
        producer: &ThreadedProducer<Reports>,
        names: &Names,
        record: &Record,
    ) -> Result<Arc<Sent>, Stopped> {
        let position = record.position.0;
        if self.sent.back().is_some_and(|last| last.position > position) {
            self.sent.clear(); // the relay went back: send everything from there again, in order
        }
        let sent = Arc::new(Sent { position, outcome: OnceLock::new(), delivered: self.delivered.clone() });
        match producer.send(to_kafka(&names.topic(&record.topic), record, sent.clone())) {
            Ok(()) => self.sent.push_back(sent.clone()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return Err(Stopped::Waiting),
            Err((error, _)) => return Err(Stopped::Failed(error::from_record(&describe(record), &error))),
        }
        Ok(sent)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.producer.take().into_iter().for_each(|current| drop_on_a_thread(current.producer));
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive() // the settings may contain a password
    }
}

/// Drops a producer on a thread of its own: the drop waits for the producer's thread, which async code must not.
fn drop_on_a_thread(producer: Arc<ThreadedProducer<Reports>>) {
    thread::spawn(move || drop(producer));
}

/// Returns the subject of error messages about this record.
fn describe(record: &Record) -> String {
    format!("{} of {} {}", record.topic, record.service, record.position.0)
}

fn to_kafka<'a>(topic: &'a str, record: &'a Record, sent: Arc<Sent>) -> BaseRecord<'a, str, [u8], Arc<Sent>> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |all, (key, value)| all.insert(Header { key, value: Some(value.as_str()) }));
    // Without a timestamp the client sets the time of sending. The broker's retention uses the timestamp, so with the
    // time of the commit an old record could be deleted before it is read. The header `ce_time` has the time of the
    // commit.
    BaseRecord::with_opaque_to(topic, sent).key(record.key.as_str()).payload(record.body.as_slice()).headers(headers)
}

/// Receives delivery reports on librdkafka's thread, so it must never block.
pub(crate) struct Reports {
    queue_space: Arc<Notify>,
}
impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        error::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka producer reports an error");
    }
}
impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Sent>;
    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        let outcome = result.as_ref().map(drop).map_err(|(error, _)| error.rdkafka_error_code());
        let _ = sent.outcome.set(outcome.map_err(|code| code.unwrap_or(RDKafkaErrorCode::Fail)));
        sent.delivered.notify_waiters();
        self.queue_space.notify_waiters();
    }
}
