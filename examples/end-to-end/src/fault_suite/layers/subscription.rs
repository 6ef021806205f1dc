//! Layers over a subscription: they override some methods and forward the others.
use async_trait::async_trait;
use cqrs_core::transport::{Partition, Signal, Subscription, TransportError};

/// A layer over a subscription. An overridden [`next`](SubscriptionLayer::next) must be cancel safe, like that of the
/// subscription.
#[async_trait]
pub trait SubscriptionLayer: Send {
    /// Returns the wrapped subscription.
    fn inner(&mut self) -> &mut dyn Subscription;
    /// Overrides [`Subscription::next`]; forwards it by default.
    async fn next(&mut self) -> Result<Signal, TransportError> {
        self.inner().next().await
    }
    /// Overrides [`Subscription::acknowledge`]; forwards it by default.
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
