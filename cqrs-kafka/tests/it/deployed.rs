//! The broker of `examples/deploy/compose.yaml`, started by its own scripts: each service can do its work there, and nothing
//! else.
use super::{publish_all, records};
use cqrs_core::transport::{Audience, Signal, Transport};
use cqrs_kafka::{Kafka, KafkaConfig, Password, Scram, Security};
use std::time::Duration;
use test_support::{DeployedKafka, Trials};
use tokio::time::{sleep, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("deployed: with its rights a service publishes to its topic and reads the other's, and no more", rights)
        .within(Duration::from_secs(300))
}

/// A user of the broker, its topic, and one of its consumer groups.
struct Service {
    user: &'static str,
    topic: &'static str,
    group: &'static str,
}
const USER: Service = Service { user: "user-service", topic: "user.events.v1", group: "user.token-accounting" };
const COUNSELING: Service =
    Service { user: "counseling-service", topic: "counseling.events.v1", group: "counseling.client-card" };
/// A topic of no service.
const FOREIGN: &str = "payroll.events.v1";

/// The longest wait of a group for its first record.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time after which a request without an answer counts as refused.
const REFUSED: Duration = Duration::from_secs(10);

async fn rights(broker: DeployedKafka) -> anyhow::Result<()> {
    for service in [USER, COUNSELING] {
        let kafka = connect(&broker, service.user, service.user)?;
        kafka.ensure_topics(&[service.topic]).await?;
        publish_all(&kafka, &records(service.topic, 1..=3, 1)).await;
    }
    for (service, other) in [(USER, COUNSELING), (COUNSELING, USER)] {
        let user = service.user;
        let kafka = connect(&broker, user, user)?;
        assert!(reads(&kafka, service.group, other.topic, PATIENCE).await?, "{user} cannot read the other's topic");
        let identities = kafka.topic_identities(&[service.topic, other.topic]).await?;
        assert!(identities.iter().all(Option::is_some), "{user} cannot describe the topics: {identities:?}");
        kafka.rewind(service.group, other.topic).await?; // as an operator does after a topic was created again

        let published = kafka.publish(&Audience::broker(), &records(other.topic, 4..=4, 1)).await;
        assert_eq!(published.acknowledged, 0, "{user} can write to the other's topic");
        assert!(published.error.is_some_and(|error| error.of_topic), "{user}: the broker does not refuse the topic");
        assert!(kafka.ensure_topics(&[FOREIGN]).await.is_err(), "{user} can create any topic");
        assert!(!reads(&kafka, service.group, service.topic, REFUSED).await?, "{user} can read its own topic");
        assert!(!reads(&kafka, other.group, other.topic, REFUSED).await?, "{user} can join a group of the other");

        let intruder = connect(&broker, user, other.user)?;
        let result = timeout(REFUSED, async move { intruder.ensure_topics(&[service.topic]).await }).await;
        assert!(!matches!(result, Ok(Ok(()))), "{user} can log in with the password of the other");
    }
    let log = broker.log()?;
    assert!(!log.contains("storedKey"), "the log has the keys of the passwords: {log}");
    Ok(())
}

/// Connects as one user with the password of another, or the same one.
fn connect(broker: &DeployedKafka, user: &str, with_password_of: &str) -> anyhow::Result<Kafka> {
    let mut config = KafkaConfig::new(broker.bootstrap());
    config.client_id = user.to_owned();
    config.security = Security::SaslScram {
        mechanism: Scram::Sha512,
        username: user.to_owned(),
        password: Password::File(broker.password(with_password_of)),
        ca: Some(broker.authority()),
    };
    Ok(Kafka::connect(config)?)
}

/// Returns whether a group receives a record of a topic within a time.
async fn reads(kafka: &Kafka, group: &str, topic: &str, limit: Duration) -> anyhow::Result<bool> {
    let mut subscription = kafka.subscribe(group, &[topic]).await?;
    let first = async {
        loop {
            match subscription.next().await {
                Ok(Signal::Records(_)) => break true,
                Ok(_) => {}
                Err(error) if error.permanent => break false,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let received = timeout(limit, first).await.unwrap_or(false);
    drop(subscription);
    kafka.close().await; // the group has no member any more
    Ok(received)
}
