//! The bug `publish-first`: publishes events to the broker before they are committed to the database.
use async_trait::async_trait;
use cqrs_core::{
    Position,
    event::NewEntry,
    storage::{Batch, CommitError, Storage},
    testing::StorageLayer,
    transport::{Audience, Record, Transport},
};
use std::sync::Arc;

pub(super) struct PublishFirst {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) transport: Arc<dyn Transport>,
}
#[async_trait]
impl StorageLayer for PublishFirst {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let records: Vec<Record> = batch.events.iter().filter_map(record).collect();
        let mut sent = 0;
        while sent < records.len() {
            let published = self.transport.publish(&Audience::broker(), &records[sent..]).await;
            sent += published.acknowledged;
            if let Some(error) = published.error {
                return Err(CommitError::unavailable(error));
            }
        }
        self.inner.commit(batch).await
    }
}

/// Returns the record that the relay would send, except for the position, which is unknown before the commit.
fn record(event: &NewEntry) -> Option<Record> {
    let outgoing = event.outgoing.as_ref()?;
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_type", outgoing.name.clone()),
        ("ce_subject", event.stream.clone()),
        ("ce_sequence", format!("{:020}", event.version)),
        ("content-type", outgoing.content_type.clone()),
    ];
    Some(Record {
        topic: outgoing.topic.clone(),
        key: outgoing.key.clone(),
        body: outgoing.body.clone(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        // Each event counts as a service of its own, so that the transport does not take it for a repetition.
        service: event.id.to_string(),
        shard: outgoing.shard,
        position: Position(event.version),
        occurred_at: event.occurred_at,
    })
}
