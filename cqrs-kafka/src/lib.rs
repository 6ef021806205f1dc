//! Apache Kafka as a transport for `cqrs-core`: idempotent, ordered per key, acknowledged after the commit.
//!
//! ```no_run
//! use cqrs_core::transport::{Signal, Transport};
//! use cqrs_kafka::{Kafka, KafkaConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let kafka = Kafka::connect(KafkaConfig::new("localhost:9092"))?;
//! kafka.ensure_topics(&["user.events.v1"]).await?;
//! let mut mail = kafka.subscribe("mail", &["user.events.v1"]).await?;
//! while let Signal::Assigned(_) | Signal::Revoked(..) = mail.next().await? {}
//! # Ok(()) }
//! ```
//!
//! An app that has it as its transport does all of this itself. The durability of records depends on the settings of
//! the broker: with a replication factor of 3 and `min.insync.replicas=2` no acknowledged record is lost.
#![warn(missing_docs)]

mod blocking;
mod config;
mod consumer;
mod credentials;
mod error;
mod known_brokers;
mod names;
mod publisher;
mod topic_id;
mod topics;

pub use config::{ClientCertificate, ConfigError, KafkaConfig, Password, Scram, Security};
pub use cqrs_core::Secret;
pub use rdkafka;

use async_trait::async_trait;
use cqrs_core::transport::{Audience, Partition, Published, Record, Subscription, Transport, TransportError};
use credentials::Credentials;
use publisher::Publisher;
use std::sync::Arc;
use tokio::sync::watch;

/// A Kafka cluster. The first publish or subscribe connects to it, and connects again when a connection breaks.
#[derive(Debug)]
pub struct Kafka {
    credentials: Arc<Credentials>,
    publisher: Publisher,
    /// The number of consumers that have not left their group yet.
    consumers: watch::Sender<usize>,
}

impl Kafka {
    /// Creates the client. The brokers do not have to be reachable yet.
    ///
    /// # Errors
    /// When the configuration is invalid.
    pub fn connect(config: KafkaConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let credentials = Arc::new(Credentials::read(config)?);
        let publisher = Publisher::new(&credentials)?;
        Ok(Kafka { credentials, publisher, consumers: watch::Sender::new(0) })
    }
    fn config(&self) -> &KafkaConfig {
        self.credentials.config()
    }
}

#[async_trait]
impl Transport for Kafka {
    fn check_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        self.config().names().topics(topics).map(drop)
    }
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        topics::ensure(&self.credentials, topics).await
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        self.publisher.publish(records).await
    }
    async fn publish_parked(&self, record: &Record) -> Result<(), TransportError> {
        self.publisher.publish_parked(record).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Ok(Box::new(consumer::subscribe(&self.credentials, group, topics, &self.consumers)?))
    }
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        topics::missing(self.config(), &self.publisher, topics).await
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        topics::ids(self.config(), &self.publisher, topics).await
    }
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        topics::first_offsets(self.config(), &self.publisher, partitions).await
    }
    async fn rewind(&self, group: &str, topic: &str) -> Result<(), TransportError> {
        topics::rewind(&self.credentials, group, topic).await
    }
    fn system(&self) -> &'static str {
        "kafka"
    }
    async fn close(&self) {
        // The sender lives as long as `self`, so this returns only when no consumer remains.
        let _ = self.consumers.subscribe().wait_for(|remaining| *remaining == 0).await;
    }
}

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
