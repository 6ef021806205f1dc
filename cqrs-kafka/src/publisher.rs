//! Sends records in order and remembers what is on its way, so that asking again sends nothing twice.
//!
//! The relay calls with a window from its position, again and again. Of each lane the publisher keeps what was sent and not
//! moved over: a record in it is awaited, not sent. So a broker that is away costs neither duplicates nor memory, and
//! the order is the lane's. After a failure a lane is sent again from the failed record on: a run without gaps, so
//! first occurrences stay in order.
use crate::{ConfigError, KafkaConfig, trouble};
use cqrs_core::transport::{Published, Record, TransportError};
use rdkafka::{
    ClientConfig, ClientContext,
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
    time::Duration,
};
use tokio::sync::Notify;

pub(crate) struct Publisher {
    settings: ClientConfig,
    patience: Duration,
    /// Told at every delivery: there is room in the queue.
    room: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    producer: Option<ThreadedProducer<Reports>>,
    lanes: HashMap<(String, u16), Lane>,
}

/// What of a lane was sent, from the relay's position on.
#[derive(Default)]
struct Lane {
    sent: VecDeque<Arc<Sent>>,
    moved: Arc<Notify>,
}

/// A record on its way. librdkafka holds one count of it until the delivery report.
struct Sent {
    position: u64,
    outcome: OnceLock<Result<(), RDKafkaErrorCode>>,
    moved: Arc<Notify>,
}

/// Why sending stopped before the last record.
enum Stopped {
    /// The queue is full; goes on when there is room.
    Full,
    Failed(TransportError),
}

impl Publisher {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, ConfigError> {
        let mut settings = config.client();
        settings
            .set("enable.idempotence", "true") // acks=all, retried for ever, in order
            .set("enable.gapless.guarantee", "true") // an error that would leave a gap stops the producer instead
            .set("message.timeout.ms", "0") // a message that times out leaves a gap
            .set("partitioner", "murmur2_random") // where Java clients put the key
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("batch.size", "131072") // a record that is larger travels alone: a refusal for size is about it, not a neighbour
            .set("queue.buffering.max.messages", "50000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("topic.metadata.propagation.max.ms", "5000"); // a topic that is not there is said so soon
        let publisher =
            Publisher { settings, patience: config.patience, room: Arc::default(), state: Mutex::default() };
        let producer = publisher.producer().map_err(trouble::of_config)?; // what it refuses is known at the start
        publisher.state().producer = Some(producer);
        Ok(publisher)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn producer(&self) -> Result<ThreadedProducer<Reports>, KafkaError> {
        ThreadedProducer::from_config_and_context(&self.settings, Reports { room: self.room.clone() })
    }

    pub(crate) async fn publish(&self, records: &[Record]) -> Published {
        let mut waited = std::pin::pin!(tokio::time::sleep(self.patience));
        let (mut sent, mut stopped) = self.send(records);
        loop {
            let moved =
                sent.iter().find(|it| it.outcome.get().is_none()).map(|it| it.moved.clone()).unwrap_or_default();
            let (mut moved, mut room) = (std::pin::pin!(moved.notified()), std::pin::pin!(self.room.notified()));
            // Listen before looking, or a report between the two is missed.
            moved.as_mut().enable();
            room.as_mut().enable();
            if matches!(stopped, Some(Stopped::Full)) {
                (sent, stopped) = self.send(records);
            }
            let acknowledged = sent.iter().take_while(|it| it.outcome.get() == Some(&Ok(()))).count();
            if let Some(Some(Err(code))) = sent.get(acknowledged).map(|it| it.outcome.get()) {
                self.forget(&records[acknowledged]);
                let error = trouble::of_record(&name(&records[acknowledged]), *code);
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
            let full = matches!(stopped, Some(Stopped::Full));
            tokio::select! {
                () = moved => {}
                () = room, if full => {}
                () = &mut waited => {
                    let error = format!("{}: not acknowledged within {:?}", name(&records[0]), self.patience);
                    return Published { acknowledged, error: Some(TransportError::transient(error)) };
                }
            }
        }
    }

    /// Sends what is not on its way yet, in order, until one cannot be sent.
    fn send(&self, records: &[Record]) -> (Vec<Arc<Sent>>, Option<Stopped>) {
        let mut state = self.state();
        let State { producer, lanes } = &mut *state;
        if let Some((code, reason)) = producer.as_ref().and_then(|it| it.client().fatal_error()) {
            tracing::warn!(%code, reason, "the Kafka producer is made anew");
            producer.take().into_iter().for_each(drop_elsewhere);
            lanes.clear();
        }
        let (mut all, mut seen) = (Vec::with_capacity(records.len()), HashSet::new());
        let producer = match producer {
            Some(producer) => producer,
            None => match self.producer() {
                Ok(made) => producer.insert(made),
                Err(error) => return (all, Some(Stopped::Failed(trouble::of("no producer can be made", &error)))),
            },
        };
        for record in records {
            let lane = lanes.entry((record.service.clone(), record.lane)).or_default();
            if seen.insert((&record.service, record.lane)) {
                lane.moved_to(record.position.0);
            }
            match lane.send(producer, record) {
                Ok(sent) => all.push(sent),
                Err(stopped) => return (all, Some(stopped)),
            }
        }
        (all, None)
    }

    /// From this record on, the lane is sent again.
    fn forget(&self, record: &Record) {
        let mut state = self.state();
        if let Some(lane) = state.lanes.get_mut(&(record.service.clone(), record.lane)) {
            lane.sent.retain(|it| it.position < record.position.0);
        }
    }
}

impl Lane {
    /// The relay stands at this position: what lies before is done with.
    fn moved_to(&mut self, position: u64) {
        while self.sent.front().is_some_and(|it| it.position < position) {
            self.sent.pop_front();
        }
    }

    fn send(&mut self, producer: &ThreadedProducer<Reports>, record: &Record) -> Result<Arc<Sent>, Stopped> {
        let position = record.position.0;
        if let Ok(at) = self.sent.binary_search_by_key(&position, |it| it.position) {
            return Ok(self.sent[at].clone());
        }
        if self.sent.back().is_some_and(|last| last.position > position) {
            self.sent.clear(); // the relay went back: a run from there, in order
        }
        let sent = Arc::new(Sent { position, outcome: OnceLock::new(), moved: self.moved.clone() });
        match producer.send(to_kafka(record, sent.clone())) {
            Ok(()) => self.sent.push_back(sent.clone()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return Err(Stopped::Full),
            Err((error, _)) => return Err(Stopped::Failed(trouble::of(&name(record), &error))),
        }
        Ok(sent)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.producer.take().into_iter().for_each(drop_elsewhere);
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive() // the settings may hold a password
    }
}

/// A producer that is dropped waits for its thread: not where async code runs.
fn drop_elsewhere(producer: ThreadedProducer<Reports>) {
    thread::spawn(move || drop(producer));
}

fn name(record: &Record) -> String {
    format!("{} of {} {}", record.topic, record.service, record.position.0)
}

fn to_kafka<'a>(record: &'a Record, sent: Arc<Sent>) -> BaseRecord<'a, str, [u8], Arc<Sent>> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |all, (key, value)| all.insert(Header { key, value: Some(value.as_str()) }));
    // No timestamp: the client takes the time of sending. Retention goes by it, so a record that was committed long ago would
    // be deleted before anybody read it; when it was committed is in its header ce_time.
    BaseRecord::with_opaque_to(&record.topic, sent)
        .key(record.key.as_str())
        .payload(record.body.as_slice())
        .headers(headers)
}

/// Takes delivery reports on librdkafka's thread: it must never wait.
struct Reports {
    room: Arc<Notify>,
}
impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trouble::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka producer");
    }
}
impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Sent>;
    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        let outcome = result.as_ref().map(drop).map_err(|(error, _)| error.rdkafka_error_code());
        let _ = sent.outcome.set(outcome.map_err(|code| code.unwrap_or(RDKafkaErrorCode::Fail)));
        sent.moved.notify_waiters();
        self.room.notify_waiters();
    }
}
