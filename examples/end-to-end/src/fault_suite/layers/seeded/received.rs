//! Seeded bugs of the records that a subscription receives.
use crate::fault_suite::{
    account::Posted,
    layers::{OverSubscription, SubscriptionLayer},
};
use async_trait::async_trait;
use cqrs_core::{
    testing::TransportLayer,
    transport::{Received, Signal, Subscription, Transport, TransportError},
};
use std::sync::Arc;

/// Changes the records of every subscription.
pub(super) struct Changing {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) change: fn(&mut Vec<Received>),
}
#[async_trait]
impl TransportLayer for Changing {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let inner = self.inner.subscribe(group, topics).await?;
        Ok(Box::new(OverSubscription(Changed { inner, change: self.change })))
    }
}
struct Changed {
    inner: Box<dyn Subscription>,
    change: fn(&mut Vec<Received>),
}
#[async_trait]
impl SubscriptionLayer for Changed {
    fn inner(&mut self) -> &mut dyn Subscription {
        &mut *self.inner
    }
    async fn next(&mut self) -> Result<Signal, TransportError> {
        let mut signal = self.inner.next().await?;
        if let Signal::Records(records) = &mut signal {
            (self.change)(records);
        }
        Ok(signal)
    }
}

/// Gives all records one key, so that a slow message holds up those of every account.
pub(super) fn one_queue(records: &mut Vec<Received>) {
    for record in records {
        record.key = Some(b"one queue".to_vec());
    }
}

/// Drops the records that are no credits, instead of parking them.
pub(super) fn without_unreadable(records: &mut Vec<Received>) {
    let is_credit = |body: &Vec<u8>| serde_json::from_slice::<Posted>(body).is_ok();
    records.retain(|record| record.header("ce_id").is_some() && record.body.as_ref().is_some_and(is_credit));
}
