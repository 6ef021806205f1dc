//! TLS and passwords against a real broker: who is let in, and whom we believe.
use super::{publish_all, records, topic};
use cqrs_core::{
    Secret,
    transport::{Signal, Transport},
};
use cqrs_kafka::{ClientCertificate, Kafka, KafkaConfig, Scram, Security};
use std::time::Duration;
use test_support::{Authority, Door, Issued, Kafka as Broker, Trials};
use tokio::time::timeout;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("certificates and passwords open their doors, and nothing else does", doors)
        .within(Duration::from_secs(180)) // seven wrong keys, each tried for four seconds
}

async fn doors() -> anyhow::Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let broker = Broker::start_secured(&authority)?;
    let (tls, scram) = (broker.tls().unwrap(), broker.scram().unwrap());
    let ca = || Some(authority.file());
    let shows = |issued: &Issued| {
        let (certificate, key) = (issued.certificate.clone(), issued.key.clone());
        Some(ClientCertificate { certificate, key, password: None })
    };
    let password = |text: &str| (Scram::Sha512, Door::NAME.to_owned(), Secret::new(text));
    let with = |(mechanism, username, password), ca| Security::SaslScram { mechanism, username, password, ca };
    let ours = authority.issue(&["user-service"])?;

    for (at, security) in
        [(&tls, Security::Tls { ca: ca(), client: shows(&ours) }), (&scram, with(password(Door::PASSWORD), ca()))]
    {
        works(config(at, security)).await?;
    }
    let stranger = other.issue(&["user-service"])?;
    for (what, at, security) in [
        ("no certificate", &tls, Security::Tls { ca: ca(), client: None }),
        ("another authority's certificate", &tls, Security::Tls { ca: ca(), client: shows(&stranger) }),
        ("a broker of another authority", &tls, Security::Tls { ca: Some(other.file()), client: shows(&ours) }),
        ("plain text", &tls, Security::Plaintext),
        ("another password", &scram, with(password("guessed"), ca())),
        (
            "a broker of another authority, with the password",
            &scram,
            with(password(Door::PASSWORD), Some(other.file())),
        ),
    ] {
        let kafka = Kafka::connect(config(at, security))?;
        let tried = timeout(Duration::from_secs(4), async move { kafka.ensure_topics(&[&topic()]).await }).await;
        assert!(!matches!(tried, Ok(Ok(()))), "{what} was let in");
    }
    // And by a name that the broker's certificate does not have.
    let elsewhere = tls.replace("localhost", "127.0.0.1");
    let kafka = Kafka::connect(config(&elsewhere, Security::Tls { ca: ca(), client: shows(&ours) }))?;
    let tried = timeout(Duration::from_secs(4), async move { kafka.ensure_topics(&[&topic()]).await }).await;
    assert!(!matches!(tried, Ok(Ok(()))), "another name was believed");
    Ok(())
}

fn config(brokers: &str, security: Security) -> KafkaConfig {
    KafkaConfig { partitions: 1, replication: Some(1), security, ..KafkaConfig::new(brokers) }
}

/// Topics are made, records sent and heard.
async fn works(config: KafkaConfig) -> anyhow::Result<()> {
    let (topic, kafka) = (topic(), Kafka::connect(config)?);
    kafka.ensure_topics(&[&topic]).await?;
    publish_all(&kafka, &records(&topic, 1..=3, 1)).await;
    let mut hears = kafka.subscribe("tls", &[&topic]).await?;
    let heard = timeout(Duration::from_secs(30), async {
        loop {
            if let Signal::Records(records) = hears.next().await? {
                break anyhow::Ok(records.first().and_then(|it| it.body.clone()));
            }
        }
    });
    assert_eq!(heard.await??.as_deref(), Some(&b"1"[..]));
    Ok(())
}
