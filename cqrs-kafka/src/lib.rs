//! Apache Kafka as a transport for `cqrs-core`: idempotent, keyed, ordered per key, acknowledged after the commit.
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
//! An app takes it as its transport and does all of that. What a record is to be kept by is the broker's setting: three
//! copies and `min.insync.replicas=2` lose none.
mod config;
mod consumer;
mod publisher;
mod topics;
mod trouble;

pub use config::{ClientCertificate, ConfigError, KafkaConfig, Scram, Security};
pub use cqrs_core::Secret;

use async_trait::async_trait;
use cqrs_core::transport::{Audience, Published, Record, Subscription, Transport, TransportError};
use publisher::Publisher;
use tokio::sync::watch;

/// A Kafka cluster. Cheap until used: connections are made by the first publish or subscribe, and again when they break.
#[derive(Debug)]
pub struct Kafka {
    config: KafkaConfig,
    publisher: Publisher,
    /// How many consumers have not left yet.
    consumers: watch::Sender<usize>,
}

impl Kafka {
    /// Takes the configuration. The brokers need not be there yet.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn connect(config: KafkaConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let publisher = Publisher::new(&config)?;
        Ok(Kafka { config, publisher, consumers: watch::Sender::new(0) })
    }
}

#[async_trait]
impl Transport for Kafka {
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        topics::ensure(&self.config, topics).await
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        self.publisher.publish(records).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Ok(Box::new(consumer::subscribe(&self.config, group, topics, &self.consumers)?))
    }
    fn system(&self) -> &'static str {
        "kafka"
    }
    async fn close(&self) {
        // The sender lives as long as `self`, so this can only return because nobody is left.
        let _ = self.consumers.subscribe().wait_for(|left| *left == 0).await;
    }
}
