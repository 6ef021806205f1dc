//! A layer over a transport and over a subscription: it overrides what it changes, and the rest goes through.
use super::Plain;
use async_trait::async_trait;
use cqrs_core::transport::{Audience, Partition, Published, Record, Signal, Subscription, Transport, TransportError};
use std::sync::Arc;

/// What a layer may change.
#[async_trait]
pub trait TransportLayer: Send + Sync + 'static {
    /// What lies below.
    fn inner(&self) -> &dyn Transport;
    /// As [`Transport::ensure_topics`].
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        self.inner().ensure_topics(topics).await
    }
    /// As [`Transport::publish`].
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        self.inner().publish(audience, records).await
    }
    /// As [`Transport::subscribe`].
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        self.inner().subscribe(group, topics).await
    }
}

/// A layer as a transport.
#[derive(Debug, Clone)]
pub struct OverTransport<L>(pub L);

#[async_trait]
impl TransportLayer for Plain<Arc<dyn Transport>> {
    fn inner(&self) -> &dyn Transport {
        &*self.0
    }
}

#[async_trait]
impl<L: TransportLayer> Transport for OverTransport<L> {
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        self.0.ensure_topics(topics).await
    }
    fn audiences(&self, topics: &[&str]) -> Vec<Audience> {
        self.0.inner().audiences(topics)
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        self.0.publish(audience, records).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        self.0.subscribe(group, topics).await
    }
    async fn close(&self) {
        self.0.inner().close().await;
    }
}

/// What a layer over a subscription may change. What it hands on must be cancel safe, as below.
#[async_trait]
pub trait SubscriptionLayer: Send {
    /// What lies below.
    fn inner(&mut self) -> &mut dyn Subscription;
    /// As [`Subscription::next`].
    async fn next(&mut self) -> Result<Signal, TransportError> {
        self.inner().next().await
    }
    /// As [`Subscription::acknowledge`].
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        self.inner().acknowledge(partition, offset);
    }
}

/// A layer as a subscription.
#[derive(Debug)]
pub struct OverSubscription<L>(pub L);

#[async_trait]
impl<L: SubscriptionLayer> Subscription for OverSubscription<L> {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        self.0.next().await
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        self.0.acknowledge(partition, offset);
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        self.0.inner().seek(partition, offset);
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.0.inner().pause(partition, paused);
    }
}
