//! Scopes topics and groups to one scenario, because many scenarios run the same program on one broker.
use async_trait::async_trait;
use cqrs_core::{
    testing::TransportLayer,
    transport::{Audience, Partition, Published, Record, Subscription, Transport, TransportError},
};
use std::{fmt, sync::Arc};

/// A transport that appends the scenario's name to every topic and group.
pub struct Scoped {
    /// The wrapped transport.
    pub inner: Arc<dyn Transport>,
    /// The scenario's unique name.
    pub scope: String,
}
impl Scoped {
    /// Returns the name of a topic or group of the scenario.
    pub fn name(name: &str, scope: &str) -> String {
        format!("{name}.{scope}")
    }
    fn names(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| Scoped::name(name, &self.scope)).collect()
    }
}
impl fmt::Debug for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scoped({})", self.scope)
    }
}

#[async_trait]
impl TransportLayer for Scoped {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        let names = self.names(topics);
        self.inner.ensure_topics(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        let names = self.names(topics);
        let missing = self.inner.missing_topics(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let is_missing = |(_, name): &(&&str, &String)| missing.contains(name);
        Ok(topics.iter().zip(&names).filter(is_missing).map(|(topic, _)| (*topic).to_owned()).collect())
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let scoped = |record: &Record| Record { topic: Scoped::name(&record.topic, &self.scope), ..record.clone() };
        self.inner.publish(audience, &records.iter().map(scoped).collect::<Vec<_>>()).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let names = self.names(topics);
        let topics: Vec<_> = names.iter().map(String::as_str).collect();
        self.inner.subscribe(&Scoped::name(group, &self.scope), &topics).await
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        let names = self.names(topics);
        self.inner.topic_identities(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        let scoped = |of: &Partition| Partition { topic: Scoped::name(&of.topic, &self.scope), part: of.part.clone() };
        self.inner.first_offsets(&partitions.iter().map(scoped).collect::<Vec<_>>()).await
    }
    async fn rewind(&self, group: &str, topic: &str) -> Result<(), TransportError> {
        self.inner.rewind(&Scoped::name(group, &self.scope), &Scoped::name(topic, &self.scope)).await
    }
}
