//! Several deployments on one cluster, which the prefix of topics and groups keeps apart.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Signal, Transport};
use cqrs_kafka::Kafka;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};
use test_support::{Kafka as Broker, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("deployments with different prefixes do not receive each other's records", separate)
        .test("seeded: deployments without a prefix receive each other's records, which is detected", shared)
}

async fn separate(broker: &'static Broker) {
    let unique = topic();
    deployments(broker, [&format!("staging.{unique}."), &format!("production.{unique}.")]).await.unwrap();
}

async fn shared(broker: &'static Broker) {
    let problem = deployments(broker, ["", ""]).await.expect_err("the records of the other deployment are noticed");
    assert!(problem.contains("instead of"), "{problem}");
}

/// Runs two deployments with the same topic and group, one with each prefix. Returns the first difference from two
/// clusters.
async fn deployments(broker: &'static Broker, prefixes: [&str; 2]) -> Result<(), String> {
    let (topic, group) = (topic(), topic());
    let connect = |prefix: &str| {
        let mut config = config(broker);
        config.prefix = prefix.to_owned();
        Kafka::connect(config).unwrap()
    };
    let published: [(Kafka, RangeInclusive<u64>); 2] =
        [(connect(prefixes[0]), 1..=5), (connect(prefixes[1]), 101..=105)];
    for (kafka, numbers) in &published {
        kafka.ensure_topics(&[&topic]).await.unwrap();
        publish_all(kafka, &records(&topic, numbers.clone(), 1)).await;
    }
    let mut members = Vec::new();
    for (kafka, numbers) in &published {
        let mut member = kafka.subscribe(&group, &[&topic]).await.unwrap();
        let mut bodies = Vec::new();
        while bodies.len() < 5 {
            if let Signal::Records(records) = member.next().await.unwrap() {
                let has_plain_name = records.iter().all(|record| record.partition.topic == topic);
                assert!(has_plain_name, "the code knows the name without the prefix: {records:?}");
                bodies.extend(records.into_iter().map(|record| String::from_utf8(record.body.unwrap()).unwrap()));
            }
        }
        let expected: Vec<_> = numbers.clone().map(|number| number.to_string()).collect();
        if bodies != expected {
            return Err(format!("{bodies:?} instead of {expected:?}"));
        }
        members.push(member);
    }
    let found = tokio::task::spawn_blocking(move || names_on(broker)).await.unwrap();
    for name in [topic, group] {
        let found: BTreeSet<_> = found.iter().filter(|found| found.ends_with(&name)).cloned().collect();
        assert_eq!(found, prefixes.map(|prefix| format!("{prefix}{name}")).into(), "the names on the broker");
    }
    Ok(())
}

/// Returns the names of all topics and groups on the broker.
fn names_on(broker: &Broker) -> Vec<String> {
    let limit = Duration::from_secs(20);
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().unwrap();
    let (topics, groups) = (client.fetch_metadata(None, limit).unwrap(), client.fetch_group_list(None, limit).unwrap());
    let topics = topics.topics().iter().map(|topic| topic.name().to_owned());
    topics.chain(groups.groups().iter().map(|group| group.name().to_owned())).collect()
}
