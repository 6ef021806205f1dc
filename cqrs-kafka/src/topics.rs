//! Topics are created by the service that owns them, and must have as many partitions as it says: keys depend on it.
use crate::{KafkaConfig, trouble};
use cqrs_core::transport::TransportError;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use std::{
    thread,
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a topic that was just created may be unknown to some broker.
const PROPAGATION: Duration = Duration::from_secs(10);

type Admin = AdminClient<DefaultClientContext>;

/// On a thread where waiting is allowed: metadata is asked for by blocking calls, and a client blocks when it is dropped.
pub(crate) async fn ensure(config: &KafkaConfig, topics: &[&str]) -> Result<(), TransportError> {
    let (config, topics) = (config.clone(), topics.iter().map(|&topic| topic.to_owned()).collect::<Vec<_>>());
    let here = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let admin: Admin = config.client().create().map_err(trouble::of_config).map_err(|error| {
            TransportError::permanent("topics cannot be created").because(error) //
        })?;
        let found = topics.iter().map(|topic| Ok((topic.as_str(), partitions(&admin, topic)?)));
        let found = found.collect::<Result<Vec<_>, TransportError>>()?;
        let missing: Vec<_> = found.iter().filter(|(_, count)| count.is_none()).map(|(topic, _)| *topic).collect();
        if !missing.is_empty() && config.create_topics {
            here.block_on(create(&admin, &config, &missing))?;
        }
        topics.iter().try_for_each(|topic| check(&admin, &config, topic))
    });
    done.await.unwrap_or_else(|error| Err(TransportError::transient("topics were not created").because(error)))
}

/// How many there are; `None` when there is no such topic.
fn partitions(admin: &Admin, topic: &str) -> Result<Option<i32>, TransportError> {
    let what = || format!("topic {topic}");
    let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| trouble::of(&what(), &error))?;
    let Some(found) = metadata.topics().iter().find(|it| it.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(None), // being created this moment
        Some(code) => Err(trouble::of_code(&what(), code)),
    }
}

async fn create(admin: &Admin, config: &KafkaConfig, missing: &[&str]) -> Result<(), TransportError> {
    let replication = || TopicReplication::Fixed(config.replication.unwrap_or(-1));
    let new: Vec<_> = missing.iter().map(|topic| NewTopic::new(topic, config.partitions, replication())).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let created = admin.create_topics(&new, &options).await;
    for topic in created.map_err(|error| trouble::of("topics cannot be created", &error))? {
        match topic {
            Ok(topic) => tracing::info!(topic, partitions = config.partitions, "created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {} // another service was quicker
            Err((topic, code)) => return Err(trouble::of_code(&format!("topic {topic} cannot be created"), code)),
        }
    }
    Ok(())
}

fn check(admin: &Admin, config: &KafkaConfig, topic: &str) -> Result<(), TransportError> {
    let until = Instant::now() + PROPAGATION;
    loop {
        match partitions(admin, topic)? {
            Some(count) if count == config.partitions => return Ok(()),
            Some(count) => {
                return Err(TransportError::permanent(format!(
                    "topic {topic} has {count} partitions, configured are {}: another number would move keys",
                    config.partitions
                )));
            }
            None if !config.create_topics => {
                return Err(TransportError::permanent(format!("topic {topic} is not there, and is not to be created")));
            }
            None if Instant::now() > until => {
                return Err(TransportError::transient(format!("topic {topic} was created and does not appear")));
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    }
}
