//! Creates the topics that a service publishes to and checks their number of partitions, which decides where a key goes.
//!
//! Messages and log lines here have the names on the brokers, with the prefix, because an operator looks them up there.
use crate::{
    KafkaConfig,
    blocking::{blocking, drop_elsewhere},
    credentials::Credentials,
    error,
    publisher::Publisher,
    topic_id::topic_ids,
};
use cqrs_core::transport::{Partition, TransportError};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::{Client, ClientContext, DefaultClientContext},
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::Producer,
};
use std::{
    ops::Deref,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Time limit of one request to the brokers.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time in which a created topic must become visible on every broker.
const PROPAGATION: Duration = Duration::from_secs(10);

type Admin = AdminClient<DefaultClientContext>;

/// Creates the missing topics and checks all of them. Reading metadata and dropping a client block, so both have threads of
/// their own.
pub(crate) async fn ensure(credentials: &Arc<Credentials>, topics: &[&str]) -> Result<(), TransportError> {
    let names = credentials.config().names();
    if let Some(topic) = topics.iter().find(|topic| names.is_foreign(topic)) {
        let message = format!("topic {topic} belongs to another deployment, which alone publishes to it");
        return Err(TransportError::permanent(message));
    }
    let (of_admin, topics) = (credentials.clone(), names.topics(topics)?);
    let (admin, missing, topics) = blocking(move || {
        of_admin.look();
        let admin = of_admin.client().0.create().map_err(error::from_client_creation);
        let admin: Admin =
            admin.map_err(|error| TransportError::permanent("topics cannot be created").because(error))?;
        let mut missing = Vec::new();
        for topic in &topics {
            if partitions(admin.inner(), topic)?.is_none() {
                missing.push(topic.clone());
            }
        }
        Ok((Dropped::elsewhere(admin), missing, topics))
    })
    .await?;
    let config = credentials.config();
    if !missing.is_empty() && config.create_topics {
        create(&admin, config, &missing).await?;
    }
    let credentials = credentials.clone();
    blocking(move || topics.iter().try_for_each(|topic| check(&admin, credentials.config(), topic))).await
}

/// A client that is dropped on a thread of its own, see [`drop_elsewhere`].
struct Dropped(Option<Admin>);
impl Dropped {
    fn elsewhere(admin: Admin) -> Self {
        Dropped(Some(admin))
    }
}
impl Deref for Dropped {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        self.0.as_ref().expect("the client is taken by the drop alone")
    }
}
impl Drop for Dropped {
    fn drop(&mut self) {
        drop_elsewhere(self.0.take());
    }
}

/// Returns the id of each topic, in this order; `None` for a topic that does not exist.
///
/// It is asked for every few seconds, so it uses the connections of the producer.
pub(crate) async fn ids(
    config: &KafkaConfig,
    publisher: &Publisher,
    topics: &[&str],
) -> Result<Vec<Option<String>>, TransportError> {
    let names = config.names().topics(topics)?;
    let producer = publisher.current().await?;
    let asked = names.clone();
    let found = blocking(move || topic_ids(producer.client(), &asked, TIMEOUT)).await?;
    let id = |topic: &String| found.iter().find(|(name, _)| name == topic).map(|(_, id)| id.clone());
    Ok(names.iter().map(id).collect())
}

/// Returns those of the topics that do not exist.
///
/// It is asked for every few seconds, so it uses the connections of the producer.
pub(crate) async fn missing(
    config: &KafkaConfig,
    publisher: &Publisher,
    topics: &[&str],
) -> Result<Vec<String>, TransportError> {
    let names = config.names();
    let producer = publisher.current().await?;
    let asked = names.topics(topics)?;
    blocking(move || {
        let mut missing = Vec::new();
        for topic in &asked {
            if partitions(producer.client(), topic)?.is_none() {
                missing.push(names.in_code(topic).to_owned());
            }
        }
        Ok(missing)
    })
    .await
}

/// Returns the offset of the first record that the broker still has of each partition, in this order.
pub(crate) async fn first_offsets(
    config: &KafkaConfig,
    publisher: &Publisher,
    partitions: &[Partition],
) -> Result<Vec<u64>, TransportError> {
    let names = config.names();
    let producer = publisher.current().await?;
    let asked: Vec<_> = partitions.iter().map(|of| (names.topic(&of.topic), of.part.parse().unwrap_or(-1))).collect();
    blocking(move || {
        let first = |(topic, number): &(String, i32)| {
            let found = producer.client().fetch_watermarks(topic, *number, TIMEOUT);
            let (low, _) = found.map_err(|error| error::from_kafka(&format!("topic {topic}"), &error))?;
            Ok::<_, TransportError>(u64::try_from(low).unwrap_or(0))
        };
        asked.iter().map(first).collect()
    })
    .await
}

/// Sets an empty group back to the first record of a topic. The broker refuses it while the group has members.
pub(crate) async fn rewind(credentials: &Arc<Credentials>, group: &str, topic: &str) -> Result<(), TransportError> {
    let (names, credentials) = (credentials.config().names(), credentials.clone());
    let (topic, group) = (names.topic(topic), names.group(group));
    blocking(move || {
        credentials.look();
        let (mut settings, _) = credentials.client();
        settings.set("group.id", &group).set("enable.auto.commit", "false");
        let failed = |error: KafkaError| error::from_kafka(&format!("group {group} cannot be set back"), &error);
        let consumer: BaseConsumer = settings.create().map_err(|error| {
            TransportError::permanent("a group cannot be set back").because(error::from_client_creation(error))
        })?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT).map_err(failed)?;
        let mut first = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (low, _) = consumer.fetch_watermarks(&topic, partition.id(), TIMEOUT).map_err(failed)?;
            first.add_partition_offset(&topic, partition.id(), Offset::Offset(low)).map_err(failed)?;
        }
        consumer.commit(&first, CommitMode::Sync).map_err(failed)
    })
    .await
}

/// Returns the number of partitions, or `None` if the topic does not exist.
fn partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Option<i32>, TransportError> {
    let subject = || format!("topic {topic}");
    let metadata = client.fetch_metadata(Some(topic), TIMEOUT);
    let metadata = metadata.map_err(|error| error::from_kafka(&subject(), &error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(None), // it is being created
        Some(code) => Err(error::from_code(&subject(), code)),
    }
}

async fn create(admin: &Admin, config: &KafkaConfig, missing: &[String]) -> Result<(), TransportError> {
    let replication = || TopicReplication::Fixed(config.replication.unwrap_or(-1));
    let new: Vec<_> = missing.iter().map(|topic| NewTopic::new(topic, config.partitions, replication())).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let created = admin.create_topics(&new, &options).await;
    for topic in created.map_err(|error| error::from_kafka("topics cannot be created", &error))? {
        match topic {
            Ok(topic) => tracing::info!(topic, partitions = config.partitions, "Kafka topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {} // another process created it at the same time
            Err((topic, code)) => return Err(error::from_code(&format!("topic {topic} cannot be created"), code)),
        }
    }
    Ok(())
}

/// Waits until the topic is visible, and checks its number of partitions.
fn check(admin: &Admin, config: &KafkaConfig, topic: &str) -> Result<(), TransportError> {
    let deadline = Instant::now() + PROPAGATION;
    loop {
        match partitions(admin.inner(), topic)? {
            Some(count) if count == config.partitions => return Ok(()),
            Some(count) => {
                return Err(TransportError::permanent(format!(
                    "topic {topic} has {count} partitions, but {} are configured: another number would move keys",
                    config.partitions
                )));
            }
            None if !config.create_topics => {
                let message = format!("topic {topic} does not exist: create it, or set `create_topics`");
                return Err(TransportError::permanent(message));
            }
            None if Instant::now() > deadline => {
                let message = format!("topic {topic} was created, but is not visible after {PROPAGATION:?}");
                return Err(TransportError::transient(message));
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    }
}
