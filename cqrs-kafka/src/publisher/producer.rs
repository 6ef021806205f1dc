//! A producer of librdkafka that a publisher uses, with the credentials that it has.
use super::in_flight::Sent;
use crate::{
    blocking::drop_elsewhere,
    credentials::{Credentials, Version},
    error,
    known_brokers::{KnownBrokers, STATISTICS_INTERVAL},
};
use rdkafka::{
    ClientContext, Statistics,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
    message::DeliveryResult,
    producer::{Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The part of a producer that sends, which requests about topics share.
pub(crate) type Client = Arc<ThreadedProducer<Reports>>;

pub(super) struct Producer {
    client: Client,
    /// The credentials that the client has.
    version: Version,
    /// The time at which it was noticed that the certificates have changed.
    outdated_since: Option<Instant>,
}

impl Producer {
    /// Creates a producer. With `gapless`, an error that would leave a gap is fatal instead; otherwise it goes on after a
    /// refused record, which needs no guarantee while it is the only one in flight.
    pub(super) fn new(credentials: &Credentials, gapless: bool, queue_space: &Arc<Notify>) -> Result<Self, KafkaError> {
        let (mut settings, version) = credentials.client();
        settings
            .set("enable.idempotence", "true") // acks=all, unlimited retries, in order
            .set("enable.gapless.guarantee", gapless.to_string())
            // With a second request in flight, a refused record of a new partition counts as delivered (decision 50).
            .set("max.in.flight.requests.per.connection", "1")
            .set("message.timeout.ms", "0") // no time limit: a message that times out leaves a gap
            .set("partitioner", "murmur2_random") // the same partition for a key as Java clients
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("batch.size", "131072") // a larger record is a batch of its own: only it is refused for its size
            .set("queue.buffering.max.messages", "50000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("topic.metadata.refresh.interval.ms", "10000") // a right that was granted again is noticed in 10 s
            .set("topic.metadata.propagation.max.ms", "5000") // a missing topic is an error after 5 s
            .set("statistics.interval.ms", STATISTICS_INTERVAL);
        let reports = Reports { queue_space: queue_space.clone(), known_brokers: KnownBrokers::default() };
        let client = Arc::new(ThreadedProducer::from_config_and_context(&settings, reports)?);
        Ok(Producer { client, version, outdated_since: None })
    }
    pub(super) fn client(&self) -> &Client {
        &self.client
    }
    /// Returns the reason why the producer sends nothing any more, if there is one.
    pub(super) fn failure(&self) -> Option<String> {
        match self.client.client().fatal_error() {
            Some((code, reason)) => Some(format!("{code}: {reason}")),
            None => self.client.context().known_brokers.are_lost().then(|| "it knows no broker any more".to_owned()),
        }
    }
    /// Hands a changed password to the client. Returns the time since which its certificates are known to have changed, if
    /// they have.
    pub(super) fn update(&mut self, credentials: &Credentials) -> Option<Duration> {
        let version = credentials.version();
        if version.password != self.version.password {
            credentials.hand_to(self.client.client());
            self.version.password = version.password;
        }
        let is_outdated = version.certificates != self.version.certificates;
        is_outdated.then(|| self.outdated_since.get_or_insert_with(Instant::now).elapsed())
    }
    /// Drops the client without a wait.
    pub(super) fn end(self) {
        drop_elsewhere(self.client);
    }
}

/// Receives delivery reports on librdkafka's thread, so it must never block.
pub(crate) struct Reports {
    queue_space: Arc<Notify>,
    known_brokers: KnownBrokers,
}
impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        error::log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka producer reports an error");
    }
    fn stats(&self, statistics: Statistics) {
        self.known_brokers.measure(&statistics);
    }
}
impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Sent>;
    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        sent.report(result.as_ref().map(drop).map_err(|(error, _)| error.rdkafka_error_code()));
        self.queue_space.notify_waiters();
    }
}
