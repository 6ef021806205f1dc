//! TLS and passwords with a real broker: authentication of the client and of the broker.
use super::{publish_all, records, topic};
use cqrs_core::{
    Secret,
    transport::{Signal, Transport},
};
use cqrs_kafka::{ClientCertificate, Kafka, KafkaConfig, Password, Scram, Security};
use std::time::Duration;
use test_support::{Authority, Door, Issued, Kafka as Broker, Trials};
use tokio::time::timeout;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("only a trusted certificate or the right password connects, and only to a trusted broker", credentials)
        .within(Duration::from_secs(180)) // seven refused connections of four seconds each
}

async fn credentials() -> anyhow::Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let broker = Broker::start_secured(&authority, &[&authority])?;
    let (tls, scram) = (broker.tls().unwrap(), broker.scram().unwrap());
    let ca = || Some(authority.file());
    let client = |issued: &Issued| {
        let (certificate, key) = (issued.certificate.clone(), issued.key.clone());
        Some(ClientCertificate { certificate, key, password: None })
    };
    let password = |text: &str| (Scram::Sha512, Door::NAME.to_owned(), Password::from(Secret::new(text)));
    let scram_with = |(mechanism, username, password), ca| Security::SaslScram { mechanism, username, password, ca };
    let ours = authority.issue(&["user-service"])?;

    for (brokers, security) in [
        (&tls, Security::Tls { ca: ca(), client: client(&ours) }),
        (&scram, scram_with(password(Door::PASSWORD), ca())),
    ] {
        publishes_and_reads(config(brokers, security)).await?;
    }
    let untrusted = other.issue(&["user-service"])?;
    for (case, brokers, security) in [
        ("no certificate", &tls, Security::Tls { ca: ca(), client: None }),
        ("a certificate of another authority", &tls, Security::Tls { ca: ca(), client: client(&untrusted) }),
        ("a broker of another authority", &tls, Security::Tls { ca: Some(other.file()), client: client(&ours) }),
        ("plain text", &tls, Security::Plaintext),
        ("another password", &scram, scram_with(password("guessed"), ca())),
        (
            "a broker of another authority, with the password",
            &scram,
            scram_with(password(Door::PASSWORD), Some(other.file())),
        ),
    ] {
        let kafka = Kafka::connect(config(brokers, security))?;
        let result = timeout(Duration::from_secs(4), async move { kafka.ensure_topics(&[&topic()]).await }).await;
        assert!(!matches!(result, Ok(Ok(()))), "the broker accepted {case}");
    }
    // The broker's certificate does not have this name.
    let other_name = tls.replace("localhost", "127.0.0.1");
    let kafka = Kafka::connect(config(&other_name, Security::Tls { ca: ca(), client: client(&ours) }))?;
    let result = timeout(Duration::from_secs(4), async move { kafka.ensure_topics(&[&topic()]).await }).await;
    assert!(!matches!(result, Ok(Ok(()))), "the client accepted a certificate for another name");
    Ok(())
}

fn config(brokers: &str, security: Security) -> KafkaConfig {
    let mut config = KafkaConfig::new(brokers);
    (config.partitions, config.replication, config.security) = (1, Some(1), security);
    config
}

/// Creates a topic, publishes records and reads the first one.
async fn publishes_and_reads(config: KafkaConfig) -> anyhow::Result<()> {
    let (topic, kafka) = (topic(), Kafka::connect(config)?);
    kafka.ensure_topics(&[&topic]).await?;
    publish_all(&kafka, &records(&topic, 1..=3, 1)).await;
    let mut subscription = kafka.subscribe("tls", &[&topic]).await?;
    let body = timeout(Duration::from_secs(30), async {
        loop {
            if let Signal::Records(records) = subscription.next().await? {
                break anyhow::Ok(records.first().and_then(|record| record.body.clone()));
            }
        }
    });
    assert_eq!(body.await??.as_deref(), Some(&b"1"[..]));
    Ok(())
}
