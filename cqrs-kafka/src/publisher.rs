//! Sends records in order and remembers the records in flight, so that a repeated publish sends no record twice.
//!
//! The relay publishes a window that starts at its checkpoint, and repeats this. For each relay shard and topic the
//! publisher keeps the records that were sent and lie after the checkpoint. It waits for such a record and does not send
//! it again. An unreachable broker therefore causes neither duplicates nor growing memory, and the order of the shard is
//! kept. After a failure the topic is sent again from the failed record on, without gaps, so the first occurrences of
//! the records stay in order.
//!
//! A topic that the brokers refuse fails alone. Its next records are tried one by one, by a producer of their own: the
//! refusal of a record ends the producer that keeps all topics without gaps, together with what it has in flight.
mod in_flight;
mod producer;

pub(crate) use producer::Client;

use crate::{ConfigError, blocking::blocking, credentials::Credentials, error, names::Names};
use cqrs_core::transport::{Published, Record, TransportError};
use in_flight::{Deliveries, InFlight, Sent};
use producer::Producer;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
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
    producer: Option<Producer>,
    /// The producer of the topics that the brokers refuse.
    trial: Option<Producer>,
    /// The topics whose last record was refused.
    refused: HashSet<String>,
    /// By service and shard number, and by topic. The records that the relay had parked are kept apart.
    shards: HashMap<(String, u16, bool), BTreeMap<String, InFlight>>,
    /// The number of delivered records, in all and by topic.
    deliveries: Arc<Deliveries>,
    deliveries_of: HashMap<String, Arc<Deliveries>>,
}

impl State {
    /// Ends the producers that send nothing any more. The next publish creates others, which send the records in flight
    /// again.
    fn end_failed(&mut self) {
        for of_trial in [false, true] {
            let producer = if of_trial { &mut self.trial } else { &mut self.producer };
            if let Some(reason) = producer.as_ref().and_then(Producer::failure) {
                tracing::warn!(reason, "Kafka producer failed; a new one is created");
                producer.take().into_iter().for_each(Producer::end);
                self.forget(of_trial);
            }
        }
    }
    /// Forgets the records of a producer that has ended, so that the next publish sends them again.
    fn forget(&mut self, of_trial: bool) {
        let in_flight = self.shards.values_mut().flat_map(BTreeMap::values_mut);
        in_flight.for_each(|of_topic| of_topic.forget(of_trial));
    }
}

/// The reason why not all records were sent.
enum Stopped {
    /// The producer's queue is full, a record of the topic has to be delivered first, or the producer is replaced as soon as
    /// none of its records is in flight. Sending continues after the next delivery report.
    AwaitsReport,
    Failed(TransportError),
}

impl Publisher {
    pub(crate) fn new(credentials: &Arc<Credentials>) -> Result<Self, ConfigError> {
        let (credentials, config) = (credentials.clone(), credentials.config());
        let (names, patience) = (config.names(), config.patience);
        let publisher =
            Publisher { credentials, names, patience, queue_space: Arc::default(), state: Mutex::default() };
        // A setting that librdkafka refuses is reported at start-up, and not by the first publish.
        let producer = publisher.producer(true).map_err(error::from_client_creation)?;
        publisher.state().producer = Some(producer);
        Ok(publisher)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the client of the producer, whose connections also serve requests about topics.
    ///
    /// # Errors
    /// Fails when the producer has failed and a new one cannot be created.
    pub(crate) async fn current(&self) -> Result<Client, TransportError> {
        self.look_at_credentials().await;
        let mut state = self.state();
        state.end_failed();
        self.renew(&mut state, false);
        let producer = match &mut state.producer {
            Some(producer) => producer,
            none => none.insert(self.producer(true).map_err(|error| cannot_be_created(&error))?),
        };
        Ok(producer.client().clone())
    }

    fn producer(&self, gapless: bool) -> Result<Producer, KafkaError> {
        Producer::new(&self.credentials, gapless, &self.queue_space)
    }

    /// Reads changed credentials before the next step, which may need them.
    async fn look_at_credentials(&self) {
        if self.credentials.is_due() {
            let credentials = self.credentials.clone();
            let look = move || {
                credentials.look();
                Ok(())
            };
            let _ = blocking(look).await; // only a panic fails, and the former credentials stay in use then
        }
    }

    /// Gives a producer a changed password, or replaces it after a change of its certificates. Returns whether it may send no
    /// record yet, because it still has to be replaced.
    ///
    /// The next producer begins once every record of the former one that is in flight has an outcome. If one has none for
    /// `patience`, the brokers may refuse the former certificates already: then the records in flight are sent again, as
    /// after a fatal error, so they keep their order.
    fn renew(&self, state: &mut State, of_trial: bool) -> bool {
        let producer = if of_trial { &mut state.trial } else { &mut state.producer };
        let Some(running) = producer else { return false };
        let Some(outdated_for) = running.update(&self.credentials) else { return false };
        let in_flight = state.shards.values().flat_map(BTreeMap::values);
        let is_idle = !in_flight.flat_map(InFlight::pending).any(|sent| sent.is_trial() == of_trial);
        if !is_idle && outdated_for < self.patience {
            return true;
        }
        let next = match self.producer(!of_trial) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "a Kafka producer with the changed certificates cannot be created yet");
                return false;
            }
        };
        producer.replace(next).into_iter().for_each(Producer::end);
        if !is_idle {
            tracing::warn!("records in flight are sent again with the changed certificates");
            state.forget(of_trial);
        }
        false
    }

    /// Sends the records that are not in flight yet. Returns when at least the first record is acknowledged, when it
    /// failed, or when no acknowledgement arrives within `patience`.
    pub(crate) async fn publish(&self, records: &[Record]) -> Published {
        self.publish_in(records, false).await
    }

    /// Sends a record that the relay had parked, apart from the records that the relay sends.
    pub(crate) async fn publish_parked(&self, record: &Record) -> Result<(), TransportError> {
        self.publish_in(std::slice::from_ref(record), true).await.error.map_or(Ok(()), Err)
    }

    async fn publish_in(&self, records: &[Record], parked: bool) -> Published {
        let Some(first) = records.first() else { return Published { acknowledged: 0, error: None } };
        self.look_at_credentials().await;
        let mut out_of_patience = std::pin::pin!(tokio::time::sleep(self.patience));
        let before = self.deliveries_of_others(&first.topic);
        let (mut sent, mut stopped) = self.send(records, parked);
        loop {
            let pending = sent.iter().find(|record| record.outcome().is_none());
            let delivered = pending.map(|record| record.delivered()).unwrap_or_default();
            let mut delivered = std::pin::pin!(delivered.notified());
            let mut queue_space = std::pin::pin!(self.queue_space.notified());
            // Register for notifications before the outcomes are read, or a report between the two would be missed.
            delivered.as_mut().enable();
            queue_space.as_mut().enable();
            if matches!(stopped, Some(Stopped::AwaitsReport)) {
                (sent, stopped) = self.send(records, parked);
            }
            let acknowledged = sent.iter().take_while(|record| record.tell()).count();
            if let Some(Some(Err(code))) = sent.get(acknowledged).map(|record| record.outcome()) {
                let failed = &records[acknowledged];
                let error = error::from_record_code(&describe(failed), code);
                self.send_again_from(failed, parked, error.of_topic);
                return Published { acknowledged, error: Some(error) };
            }
            if acknowledged == sent.len()
                && let Some(Stopped::Failed(error)) = stopped
            {
                if error.of_topic {
                    self.send_again_from(&records[acknowledged], parked, true);
                }
                return Published { acknowledged, error: Some(error) };
            }
            if acknowledged > 0 {
                self.accepted(&sent[..acknowledged], records);
                return Published { acknowledged, error: None };
            }
            let awaits_report = matches!(stopped, Some(Stopped::AwaitsReport));
            tokio::select! {
                () = delivered => {}
                () = queue_space, if awaits_report => {}
                () = &mut out_of_patience => {
                    let error = format!("{}: not acknowledged within {:?}", describe(first), self.patience);
                    let error = TransportError::transient(error);
                    // The brokers accept other topics, so they can be reached.
                    let of_topic = self.deliveries_of_others(&first.topic) > before;
                    return Published { acknowledged, error: Some(if of_topic { error.of_topic() } else { error }) };
                }
            }
        }
    }

    /// Returns the number of delivered records of all other topics. It may be wrong for the moment in which a delivery is
    /// counted; at worst the topic waits until its next attempt.
    fn deliveries_of_others(&self, topic: &str) -> u64 {
        let state = self.state();
        let all = state.deliveries.load(Relaxed);
        all.saturating_sub(state.deliveries_of.get(topic).map_or(0, |of| of.load(Relaxed)))
    }

    /// Sends the records that are not in flight yet, in order, until one cannot be sent.
    fn send(&self, records: &[Record], parked: bool) -> (Vec<Arc<Sent>>, Option<Stopped>) {
        let mut state = self.state();
        let state = &mut *state;
        state.end_failed();
        let (must_wait, trial_must_wait) = (self.renew(state, false), self.renew(state, true));
        let (mut all, mut advanced) = (Vec::with_capacity(records.len()), HashSet::new());
        for record in records {
            let shard = state.shards.entry((record.service.clone(), record.shard, parked)).or_default();
            if advanced.insert((&record.service, record.shard, None)) {
                shard.retain(|_, in_flight| !in_flight.is_passed_before(record.position.0));
            }
            if !shard.contains_key(&record.topic) {
                shard.insert(record.topic.clone(), InFlight::default());
            }
            let Some(in_flight) = shard.get_mut(&record.topic) else { continue };
            if advanced.insert((&record.service, record.shard, Some(&record.topic))) {
                in_flight.advance_to(record.position.0);
            }
            if let Some(sent) = in_flight.find(record.position.0) {
                all.push(sent);
                continue;
            }
            let is_trial = state.refused.contains(&record.topic);
            if !in_flight.may_send(is_trial) || if is_trial { trial_must_wait } else { must_wait } {
                return (all, Some(Stopped::AwaitsReport));
            }
            let producer = if is_trial { &mut state.trial } else { &mut state.producer };
            let producer = match producer {
                Some(producer) => producer,
                None => match self.producer(!is_trial) {
                    Ok(created) => producer.insert(created),
                    Err(error) => {
                        return (all, Some(Stopped::Failed(cannot_be_created(&error))));
                    }
                },
            };
            let of_topic = state.deliveries_of.entry(record.topic.clone()).or_default();
            let sent = in_flight.sent(record.position.0, is_trial, [of_topic, &state.deliveries]);
            match producer.client().send(to_kafka(&self.names.topic(&record.topic), record, sent.clone())) {
                Ok(()) => in_flight.push(sent.clone()),
                Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                    return (all, Some(Stopped::AwaitsReport));
                }
                Err((error, _)) => {
                    return (all, Some(Stopped::Failed(error::from_record(&describe(record), &error))));
                }
            }
            all.push(sent);
        }
        (all, None)
    }

    /// Makes the next publish send the topic of the shard again from this record on, one record at a time if the brokers
    /// have refused the topic.
    fn send_again_from(&self, record: &Record, parked: bool, refused: bool) {
        let mut state = self.state();
        let shard = state.shards.get_mut(&(record.service.clone(), record.shard, parked));
        if let Some(in_flight) = shard.and_then(|topics| topics.get_mut(&record.topic)) {
            in_flight.truncate(record.position.0);
        }
        if refused {
            state.refused.insert(record.topic.clone());
        }
    }

    /// Ends the trial of the topics of these records, if they were sent as one.
    fn accepted(&self, sent: &[Arc<Sent>], records: &[Record]) {
        let tried: Vec<_> = sent.iter().zip(records).filter(|(sent, _)| sent.is_trial()).collect();
        if tried.is_empty() {
            return;
        }
        let mut state = self.state();
        for (_, record) in tried {
            state.refused.remove(&record.topic);
        }
        let in_flight = state.shards.values().flat_map(BTreeMap::values);
        if state.refused.is_empty() && !in_flight.flat_map(InFlight::pending).any(|sent| sent.is_trial()) {
            state.trial.take().into_iter().for_each(Producer::end);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.producer.take().into_iter().chain(state.trial.take()).for_each(Producer::end);
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive() // the settings may contain a password
    }
}

fn cannot_be_created(error: &KafkaError) -> TransportError {
    error::from_kafka("the Kafka producer cannot be created", error)
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
