//! Reads the topic without joining a group, and changes the topic and the group's offsets from outside.
use crate::fault_suite::{account::Posted, check::Copied};
use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::OwnedMessage,
    producer::{BaseProducer, BaseRecord, Producer},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time without a record before the end of a topic is reached.
const SILENCE: Duration = Duration::from_secs(20);

/// A topic, accessed by a client that is independent of the framework.
#[derive(Debug, Clone)]
pub struct Broker {
    /// `bootstrap.servers`.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
}

impl Broker {
    fn consumer(&self, group: &str) -> Result<BaseConsumer> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &self.bootstrap).set("group.id", group).set("enable.auto.commit", "false");
        settings
            .set("enable.partition.eof", "false")
            .set("fetch.wait.max.ms", "50")
            .set("auto.offset.reset", "earliest");
        Ok(settings.create()?)
    }
    fn partitions(&self, consumer: &BaseConsumer) -> Result<Vec<i32>> {
        let found = consumer.fetch_metadata(Some(&self.topic), TIMEOUT)?;
        let topic = found.topics().first().with_context(|| format!("the broker has no topic {}", self.topic))?;
        Ok(topic.partitions().iter().map(|partition| partition.id()).collect())
    }

    /// Returns the first and the next offset of a partition. A starved broker may lose its partitions for a moment.
    fn watermarks(&self, consumer: &BaseConsumer, partition: i32) -> Result<(i64, i64)> {
        let began = Instant::now();
        loop {
            match consumer.fetch_watermarks(&self.topic, partition, TIMEOUT) {
                Err(error) if began.elapsed() < SILENCE => {
                    tracing::debug!(%error, partition, "the offsets of a partition cannot be read yet");
                    std::thread::sleep(Duration::from_millis(200));
                }
                found => return Ok(found?),
            }
        }
    }

    /// Returns every record of the topic, each partition in order.
    ///
    /// # Errors
    /// Fails when the topic cannot be read to the end.
    pub fn everything(&self) -> Result<Vec<OwnedMessage>> {
        let consumer = self.consumer("probe")?;
        let (mut from, mut left) = (TopicPartitionList::new(), BTreeMap::new());
        for partition in self.partitions(&consumer)? {
            let (low, high) = self.watermarks(&consumer, partition)?;
            if high > low {
                from.add_partition_offset(&self.topic, partition, Offset::Offset(low))?;
                left.insert(partition, high);
            }
        }
        consumer.assign(&from)?;
        let (mut all, mut last_received) = (Vec::new(), Instant::now());
        while !left.is_empty() {
            ensure!(last_received.elapsed() < SILENCE, "the topic cannot be read to the end: {left:?}");
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let Ok(message) = message else { continue }; // a lasting error ends in the time-out
            last_received = Instant::now();
            if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                left.remove(&message.partition());
            }
            all.push(message.detach());
        }
        all.sort_by_key(|record| (record.partition(), record.offset()));
        Ok(all)
    }

    /// Returns every credit on the topic. Other records are skipped.
    ///
    /// # Errors
    /// Fails when the topic cannot be read to the end.
    pub fn credits(&self) -> Result<Vec<Copied>> {
        let copied = |record: &OwnedMessage| {
            let posted: Posted = serde_json::from_slice(record.payload()?).ok()?;
            let (partition, offset) = (record.partition(), record.offset());
            Some(Copied { partition, offset, key: posted.key, seq: posted.seq, id: posted.id })
        };
        Ok(self.everything()?.iter().filter_map(copied).collect())
    }

    /// Returns the group's offset of each partition.
    ///
    /// # Errors
    /// Fails when the group coordinator does not respond.
    pub fn committed(&self, group: &str) -> Result<BTreeMap<i32, i64>> {
        let consumer = self.consumer(group)?;
        let mut partitions = TopicPartitionList::new();
        for partition in self.partitions(&consumer)? {
            partitions.add_partition(&self.topic, partition);
        }
        let found = consumer.committed_offsets(partitions, TIMEOUT)?;
        let offset = |offset| if let Offset::Offset(at) = offset { at } else { 0 };
        Ok(found.elements().iter().map(|element| (element.partition(), offset(element.offset()))).collect())
    }

    /// Resets a group to the beginning of the topic, as soon as the coordinator knows that its last member has left.
    ///
    /// # Errors
    /// Fails when the group still has members after ten seconds, or the coordinator does not respond.
    pub fn reset(&self, group: &str) -> Result<()> {
        let consumer = self.consumer(group)?;
        let mut from = TopicPartitionList::new();
        for partition in self.partitions(&consumer)? {
            from.add_partition_offset(&self.topic, partition, Offset::Offset(0))?;
        }
        let began = Instant::now();
        loop {
            match consumer.commit(&from, CommitMode::Sync) {
                Err(error) if began.elapsed() < TIMEOUT => {
                    tracing::debug!(%error, "the group still has a member");
                    std::thread::sleep(Duration::from_millis(200));
                }
                done => return Ok(done?),
            }
        }
    }

    /// Sends records unchanged.
    ///
    /// # Errors
    /// Fails when the records are not acknowledged.
    pub fn send<'a>(&self, records: impl IntoIterator<Item = BaseRecord<'a, [u8], [u8]>>) -> Result<()> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &self.bootstrap).set("partitioner", "murmur2_random");
        let producer: BaseProducer = settings.create()?;
        for record in records {
            producer.send(record).map_err(|(error, _)| error)?;
            producer.poll(Duration::ZERO);
        }
        Ok(producer.flush(TIMEOUT)?)
    }

    /// Deletes the topic and creates it again under its name.
    ///
    /// # Errors
    /// Fails when the broker refuses it, or has not deleted the topic within ten seconds.
    pub async fn create_again(&self, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create()?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let deleted = admin.delete_topics(&[&self.topic], &options).await?;
        let refused = deleted.into_iter().find_map(Result::err);
        ensure!(refused.is_none(), "the broker refused to delete the topic: {refused:?}");
        let (new, began) = (NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1)), Instant::now());
        loop {
            let created = admin.create_topics([&new], &options).await?;
            match created.into_iter().find_map(Result::err) {
                None => return Ok(()),
                Some(refused) => {
                    ensure!(began.elapsed() < TIMEOUT, "the broker refused to create the topic again: {refused:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await; // it is still being deleted
        }
    }

    /// Increases the number of partitions of the topic.
    ///
    /// # Errors
    /// Fails when the broker refuses it.
    pub async fn grow(&self, partitions: usize) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create()?;
        let more = NewPartitions::new(&self.topic, partitions);
        let grown = admin.create_partitions([&more], &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?;
        let refused = grown.into_iter().find_map(Result::err);
        ensure!(refused.is_none(), "the broker refused to add partitions: {refused:?}");
        Ok(())
    }
}
