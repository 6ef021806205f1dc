//! Certificates and passwords that are changed while a publisher and a consumer run, with a real broker.
use super::{records, topic};
use cqrs_core::{
    Secret,
    transport::{Audience, Signal, Transport, TransportError},
};
use cqrs_kafka::{ClientCertificate, Kafka, KafkaConfig, Password, Scram, Security};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use test_support::{Authority, Door, Issued, Kafka as Broker, Trials};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// The time in which a step must end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("rotation: a changed password is used for the next connections, and no record is lost", password)
        .within(Duration::from_secs(180))
        .test(
            "rotation: clients with changed certificates replace the former ones, and no record is lost",
            certificates,
        )
        .within(Duration::from_secs(180))
}

/// A publisher and a consumer of one topic that run until they are dropped.
struct Traffic {
    kafka: Arc<Kafka>,
    published: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    tasks: [JoinHandle<anyhow::Result<()>>; 2],
}
impl Traffic {
    /// Publishes numbered records one after the other with `kafka`, and reads them with a group.
    async fn start(kafka: Kafka) -> anyhow::Result<Traffic> {
        let (topic, kafka) = (topic(), Arc::new(kafka));
        created(&kafka, &topic).await?;
        let (published, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let publisher = tokio::spawn(publish(kafka.clone(), topic.clone(), published.clone()));
        let consumer = tokio::spawn(consume(kafka.clone(), topic, read.clone()));
        Ok(Traffic { kafka, published, read, tasks: [publisher, consumer] })
    }
    /// Waits until records that are published from now on have been read.
    async fn goes_on(&mut self, case: &str) -> anyhow::Result<()> {
        let before = self.published.load(SeqCst);
        for goal in [before + 20, before + 40] {
            let passes = async {
                while self.read.load(SeqCst) < goal {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            let [publisher, consumer] = &mut self.tasks;
            tokio::select! {
                passed = timeout(PATIENCE, passes) => {
                    let (published, read) = (self.published.load(SeqCst), self.read.load(SeqCst));
                    anyhow::ensure!(passed.is_ok(), "{case}: {published} records published and {read} read");
                }
                ended = publisher => ended??,
                ended = consumer => ended??,
            }
        }
        Ok(())
    }

    /// Publishes to a topic that does not exist until the brokers have refused the record twice: the second time it was sent
    /// by the producer of the refused topics. Returns the name of the topic.
    async fn refused(&self) -> anyhow::Result<String> {
        let (topic, mut refusals) = (topic(), 0);
        let refused = async {
            while refusals < 2 {
                let sent = self.kafka.publish(&Audience::broker(), &records(&topic, 1..=1, 1)).await;
                let is_refused = |error: &TransportError| error.of_topic && !error.message.contains("not acknowledged");
                refusals += u32::from(sent.error.as_ref().is_some_and(is_refused));
            }
        };
        timeout(PATIENCE, refused).await?;
        Ok(topic)
    }
    /// Creates the refused topic, and waits until its record is acknowledged.
    async fn accepted(&self, topic: &str) -> anyhow::Result<()> {
        created(&self.kafka, topic).await?;
        let accepted = async {
            while self.kafka.publish(&Audience::broker(), &records(topic, 1..=1, 1)).await.acknowledged == 0 {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let accepted = timeout(PATIENCE, accepted).await;
        accepted.map_err(|_| anyhow::anyhow!("the record of a topic that was refused is not accepted"))
    }
}
impl Drop for Traffic {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Creates a topic. A broker that has just started may take its time.
async fn created(kafka: &Kafka, topic: &str) -> anyhow::Result<()> {
    let created = async {
        while let Err(error) = kafka.ensure_topics(&[topic]).await {
            tracing::info!(%error, "created again");
            sleep(Duration::from_millis(100)).await;
        }
    };
    Ok(timeout(PATIENCE, created).await?)
}

/// Publishes windows of records as the relay does: each begins at the first unacknowledged record.
async fn publish(kafka: Arc<Kafka>, topic: String, published: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        let first = published.load(SeqCst) + 1;
        let window = records(&topic, first..=first + 9, 3);
        let sent = kafka.publish(&Audience::broker(), &window).await;
        if let Some(error) = sent.error {
            anyhow::ensure!(!error.permanent, "a record would be parked: {error}");
            tracing::info!(%error, "published again");
        }
        published.fetch_add(sent.acknowledged as u64, SeqCst);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Reads all records, and fails when the first deliveries of a key have a gap or are not in order. `read` is the number up to
/// which every record was read.
async fn consume(kafka: Arc<Kafka>, topic: String, read: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut group = kafka.subscribe(&topic, &[&topic]).await?;
    let mut next_of: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    loop {
        match group.next().await {
            Ok(Signal::Records(records)) => {
                for record in records {
                    let number: u64 = String::from_utf8(record.body.unwrap_or_default())?.parse()?;
                    let first = if number.is_multiple_of(3) { 3 } else { number % 3 };
                    let next = next_of.entry(record.key.unwrap_or_default()).or_insert(first);
                    anyhow::ensure!(number <= *next, "record {number} was delivered before {next}");
                    if number == *next {
                        *next += 3;
                    }
                    group.acknowledge(&record.partition, record.offset);
                }
                if next_of.len() == 3 {
                    read.store(next_of.values().min().map_or(0, |next| next - 1), SeqCst);
                }
            }
            Ok(Signal::Lost { partition, offsets }) => anyhow::bail!("{partition} has lost {offsets:?}"),
            Ok(_) => {}
            // The broker is down, or refuses the former credentials: the consumer goes on by itself.
            Err(error) => tracing::info!(%error, "read again"),
        }
    }
}

fn config(brokers: &str, security: Security) -> KafkaConfig {
    let mut config = KafkaConfig::new(brokers);
    (config.partitions, config.replication, config.security) = (2, Some(1), security);
    (config.patience, config.session) = (Duration::from_secs(3), Duration::from_secs(6));
    config
}

/// Checks that a transport whose credentials are never read again is refused.
async fn is_refused(stale: &Kafka) -> anyhow::Result<()> {
    let stale = async {
        loop {
            let topic = topic();
            if stale.publish(&Audience::broker(), &records(&topic, 1..=1, 1)).await.acknowledged > 0
                || stale.ensure_topics(&[&topic]).await.is_ok()
            {
                return;
            }
        }
    };
    anyhow::ensure!(timeout(Duration::from_secs(6), stale).await.is_err(), "seeded: stale credentials are accepted");
    Ok(())
}

async fn password() -> anyhow::Result<()> {
    let (authority, folder) = (Authority::new()?, tempfile::tempdir()?);
    let broker = Broker::start_secured(&authority, &[&authority])?;
    let address = broker.scram().ok_or_else(|| anyhow::anyhow!("no listener for passwords"))?;
    let file = folder.path().join("password");
    fs::write(&file, format!("{}\n", Door::PASSWORD))?;
    let security = |password: Password| Security::SaslScram {
        mechanism: Scram::Sha512,
        username: Door::NAME.to_owned(),
        password,
        ca: Some(authority.file()),
    };
    let mut traffic = Traffic::start(Kafka::connect(config(&address, security(Password::File(file.clone()))))?).await?;
    let stale = Kafka::connect(config(&address, security(Secret::new(Door::PASSWORD).into())))?;
    created(&stale, &topic()).await?;
    traffic.goes_on("before the change").await?;
    let refused = traffic.refused().await?;

    // The server first: open connections go on until the file has the new password.
    broker.set_password("another-password")?;
    traffic.goes_on("with the former password on open connections").await?;
    fs::write(&file, "another-password\n")?;
    sleep(Duration::from_secs(2)).await;
    broker.stop()?;
    broker.start_again()?;
    traffic.goes_on("after every connection was closed").await?;
    traffic.accepted(&refused).await?;
    is_refused(&stale).await?;

    // The file last: connections are refused until it has the password.
    broker.set_password("a-third-password")?;
    broker.stop()?;
    broker.start_again()?;
    sleep(Duration::from_secs(3)).await;
    fs::write(&file, "a-third-password")?;
    traffic.goes_on("after connections were refused").await
}

/// The files of a client.
struct Files {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}
impl Files {
    fn in_folder(folder: &Path) -> Files {
        let file = |name: &str| folder.join(name);
        Files { ca: file("ca.pem"), certificate: file("client.pem"), key: file("client.key") }
    }
    fn trust(&self, trusted: &[&Authority]) -> anyhow::Result<()> {
        let trusted: Result<String, _> = trusted.iter().map(|trusted| fs::read_to_string(trusted.file())).collect();
        Ok(fs::write(&self.ca, trusted?)?)
    }
    fn show(&self, issued: &Issued) -> anyhow::Result<()> {
        fs::copy(&issued.certificate, &self.certificate)?;
        fs::copy(&issued.key, &self.key)?;
        Ok(())
    }
    fn security(&self) -> Security {
        let client = ClientCertificate { certificate: self.certificate.clone(), key: self.key.clone(), password: None };
        Security::Tls { ca: Some(self.ca.clone()), client: Some(client) }
    }
}

async fn certificates() -> anyhow::Result<()> {
    let (first, second) = (Authority::new()?, Authority::new()?);
    let (folder, stale_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let broker = Broker::start_secured(&first, &[&first, &second])?;
    let address = broker.tls().ok_or_else(|| anyhow::anyhow!("no listener for certificates"))?;
    let (files, stale) = (Files::in_folder(folder.path()), Files::in_folder(stale_folder.path()));
    let of_first = first.issue(&["user-service"])?;
    for files in [&files, &stale] {
        files.trust(&[&first])?;
        files.show(&of_first)?;
    }
    let mut traffic = Traffic::start(Kafka::connect(config(&address, files.security()))?).await?;
    let stale = Kafka::connect(config(&address, stale.security()))?;
    created(&stale, &topic()).await?;
    traffic.goes_on("before the change").await?;
    let refused = traffic.refused().await?;

    // The broker trusts both authorities. The client does as well, then it changes its certificate, then the broker does.
    files.trust(&[&first, &second])?;
    sleep(Duration::from_secs(3)).await; // the clients are replaced while records are in flight
    traffic.goes_on("with both authorities").await?;
    let of_second = second.issue(&["user-service"])?;
    fs::copy(&of_second.certificate, &files.certificate)?; // without its key, for a while
    sleep(Duration::from_secs(3)).await;
    traffic.goes_on("with a certificate whose key is another one").await?;
    files.show(&of_second)?;
    sleep(Duration::from_secs(3)).await; // the clients are replaced while records are in flight
    traffic.goes_on("with the certificate of the second authority").await?;
    broker.renew_certificates(&second, &[&second])?;
    traffic.goes_on("once the broker trusts the second authority alone").await?;
    traffic.accepted(&refused).await?;
    is_refused(&stale).await?;

    // The client is late: it is refused until its files have the certificate of the first authority again.
    broker.renew_certificates(&first, &[&first])?;
    sleep(Duration::from_secs(5)).await;
    files.trust(&[&first])?;
    files.show(&of_first)?;
    traffic.goes_on("after connections were refused").await
}
