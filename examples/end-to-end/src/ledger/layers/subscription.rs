//! A layer over a subscription: it overrides what it changes, and the rest goes through.
use async_trait::async_trait;
use cqrs_core::transport::{Partition, Signal, Subscription, TransportError};

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
