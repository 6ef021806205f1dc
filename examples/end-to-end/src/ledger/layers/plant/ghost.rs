//! The oldest bug of all: first the broker, then the database.
use async_trait::async_trait;
use cqrs_core::{
    Position,
    batch::{Batch, NewEntry, Rejected},
    storage::Storage,
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
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        let records: Vec<Record> = batch.events.iter().filter_map(record).collect();
        let mut sent = 0;
        while sent < records.len() {
            let published = self.transport.publish(&Audience::broker(), &records[sent..]).await;
            sent += published.acknowledged;
            if let Some(error) = published.error {
                return Err(Rejected::unavailable(error));
            }
        }
        self.inner.commit(batch).await
    }
}

/// As the relay would send it, but for the position, which nobody knows before the commit.
fn record(event: &NewEntry) -> Option<Record> {
    let told = event.told.as_ref()?;
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_type", told.name.clone()),
        ("ce_subject", event.stream.clone()),
        ("ce_sequence", format!("{:020}", event.version)),
    ];
    Some(Record {
        topic: told.topic.clone(),
        key: told.key.clone(),
        body: told.body.clone(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        // A producer's run of its own for every command: nothing here is asked for twice.
        service: event.id.to_string(),
        lane: told.lane,
        position: Position(event.version),
        at: event.at,
    })
}
