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
        .test("a deployment with a prefix reads a topic of another deployment by its exact name", foreign)
}

async fn separate(broker: &'static Broker) {
    let unique = topic();
    deployments(broker, [&format!("staging.{unique}."), &format!("production.{unique}.")]).await.unwrap();
}

async fn shared(broker: &'static Broker) {
    let problem = deployments(broker, ["", ""]).await.expect_err("the records of the other deployment are noticed");
    assert!(problem.contains("instead of"), "{problem}");
}

async fn foreign(broker: &'static Broker) {
    let (foreign, own, group) = (topic(), topic(), topic());
    let owner = Kafka::connect(config(broker)).unwrap();
    owner.ensure_topics(&[&foreign]).await.unwrap();
    publish_all(&owner, &records(&foreign, 1..=5, 1)).await;
    let mut staging = config(broker);
    staging.prefix = format!("staging.{}.", topic());
    let unaware = Kafka::connect(staging.clone()).unwrap();
    let missing = unaware.missing_topics(&[&foreign]).await.unwrap();
    assert_eq!(missing, [foreign.as_str()], "without the setting, it is a topic with the prefix");

    let prefix = staging.prefix.clone();
    staging.foreign_topics.insert(foreign.clone());
    let kafka = Kafka::connect(staging).unwrap();
    kafka.ensure_topics(&[&own]).await.unwrap();
    publish_all(&kafka, &records(&own, 11..=13, 1)).await;
    assert_eq!(kafka.missing_topics(&[&foreign, &own]).await.unwrap(), [""; 0]);
    let ids = kafka.topic_identities(&[&foreign]).await.unwrap();
    assert_eq!(ids, owner.topic_identities(&[&foreign]).await.unwrap());
    let refused = kafka.ensure_topics(&[&foreign]).await.unwrap_err();
    assert!(refused.permanent && refused.to_string().contains("belongs to another deployment"), "{refused}");

    let mut member = kafka.subscribe(&group, &[&foreign, &own]).await.unwrap();
    let mut bodies = BTreeSet::new();
    while bodies.len() < 8 {
        if let Signal::Records(records) = member.next().await.unwrap() {
            for record in records {
                member.acknowledge(&record.partition, record.offset);
                bodies.insert((record.partition.topic, String::from_utf8(record.body.unwrap()).unwrap()));
            }
        }
    }
    let expected =
        (1..=5).map(|n| (foreign.clone(), n.to_string())).chain((11..=13).map(|n| (own.clone(), n.to_string())));
    assert_eq!(bodies, expected.collect());
    drop(member);
    kafka.close().await;
    kafka.rewind(&group, &foreign).await.unwrap();
    let mut member = kafka.subscribe(&group, &[&foreign]).await.unwrap();
    let first = loop {
        if let Signal::Records(records) = member.next().await.unwrap() {
            break records[0].offset;
        }
    };
    assert_eq!(first, 0, "the group is set back to the first record of the foreign topic");
    let found = tokio::task::spawn_blocking(move || names_on(broker)).await.unwrap();
    for (name, expected) in
        [(&foreign, foreign.clone()), (&own, format!("{prefix}{own}")), (&group, format!("{prefix}{group}"))]
    {
        let found: Vec<_> = found.iter().filter(|found| found.ends_with(name)).collect();
        assert_eq!(found, [&expected], "the names on the broker");
    }
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
