//! A broker that names no broker for a time, as one does that was cut off from its controller. librdkafka then forgets all
//! brokers and does not connect again, so its clients have to be created anew.
use super::{publish_all, records};
use cqrs_core::transport::{Signal, Transport};
use cqrs_kafka::{Kafka, KafkaConfig};
use rdkafka::mocking::MockCluster;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use test_support::Trials;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a producer and a member go on after a time in which no broker was named", no_broker_is_named)
        .within(Duration::from_secs(300))
}

const TOPIC: &str = "user.events.v1";
/// A time in which each consumer asks for the brokers.
const UNNAMED: Duration = Duration::from_secs(7);
/// librdkafka loses the brokers in about half of the rounds.
const ROUNDS: u64 = 6;
const RECORDS: u64 = 50;

async fn no_broker_is_named() -> anyhow::Result<()> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(TOPIC, 3, 1)?;
    let proxy = Proxy::start(cluster.bootstrap_servers()).await?;
    let mut config = KafkaConfig::new(format!("127.0.0.1:{}", proxy.port));
    (config.partitions, config.create_topics) = (3, false); // the mock cluster cannot create topics
    let kafka = Kafka::connect(config)?;
    let mut subscription = kafka.subscribe("g", &[TOPIC]).await?;
    let mut received = BTreeSet::new();
    for round in 0..=ROUNDS {
        if round > 0 {
            proxy.names_none.store(true, SeqCst);
            sleep(UNNAMED).await;
            proxy.names_none.store(false, SeqCst);
        }
        let last = (round + 1) * RECORDS;
        let sent = records(TOPIC, round * RECORDS + 1..=last, 10);
        timeout(Duration::from_secs(90), publish_all(&kafka, &sent)).await.expect("the records are sent");
        while received.len() < last as usize {
            let next = timeout(Duration::from_secs(90), subscription.next()).await;
            let next = next.unwrap_or_else(|_| panic!("{} of {last} records arrive", received.len()));
            let Ok(Signal::Records(records)) = next else { continue };
            for record in records {
                subscription.acknowledge(&record.partition, record.offset);
                received.insert(String::from_utf8(record.body.unwrap_or_default())?);
            }
        }
    }
    Ok(())
}

/// A proxy before a broker. The addresses in its responses are those of the proxy, so that clients stay with it.
struct Proxy {
    port: u16,
    names_none: Arc<AtomicBool>,
}
impl Proxy {
    async fn start(broker: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (port, names_none) = (listener.local_addr()?.port(), Arc::new(AtomicBool::new(false)));
        let hides = names_none.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (broker, hides) = (broker.clone(), hides.clone());
                tokio::spawn(async move {
                    let Ok(broker) = TcpStream::connect(broker).await else { return }; // the test has ended
                    let ((from_client, mut to_client), (from_broker, mut to_broker)) =
                        (client.into_split(), broker.into_split());
                    // The kind and version of the requests, by their number.
                    let asked = Arc::new(Mutex::new(HashMap::new()));
                    let requests = asked.clone();
                    let note = move |frame: &mut Vec<u8>| {
                        requests.lock().unwrap().insert(frame[4..8].to_vec(), (number(frame, 0), number(frame, 2)));
                    };
                    let rewrite = move |frame: &mut Vec<u8>| match asked.lock().unwrap().remove(&frame[..4]) {
                        Some((METADATA, version)) => rewrite_brokers(frame, version, port, hides.load(SeqCst)),
                        Some((FIND_COORDINATOR, version)) => {
                            rewrite_coordinator(frame, version, port, hides.load(SeqCst));
                        }
                        _ => {}
                    };
                    // Each ends when its side closes the connection, and closes the other one.
                    tokio::join!(pass(from_client, &mut to_broker, note), pass(from_broker, &mut to_client, rewrite));
                });
            }
        });
        Ok(Proxy { port, names_none })
    }
}

/// Passes messages on until the connection is closed.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    mut change: impl FnMut(&mut Vec<u8>),
) {
    while let Ok(size) = from.read_u32().await {
        let mut frame = vec![0; size as usize];
        let Ok(_) = from.read_exact(&mut frame).await else { break };
        change(&mut frame);
        let mut sent = (frame.len() as u32).to_be_bytes().to_vec();
        sent.extend(frame);
        let Ok(()) = to.write_all(&sent).await else { break };
    }
    let _ = to.shutdown().await; // fails once it is closed
}

const METADATA: u16 = 3;
const FIND_COORDINATOR: u16 = 10;
const COORDINATOR_NOT_AVAILABLE: u16 = 15;

fn number(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

/// Puts the port of the proxy into a response about the cluster, or removes all brokers from it. Its bytes are the number
/// of the request, an empty tag, the throttling time, and the brokers, each with id, host, port, rack and an empty tag.
fn rewrite_brokers(frame: &mut Vec<u8>, version: u16, port: u16, hides: bool) {
    assert!(version >= 9, "version {version} of the response has another form");
    let first = 4 + 1 + 4 + 1;
    let mut at = first;
    for _ in 1..frame[first - 1] {
        at += 4; // the id
        at += usize::from(frame[at]).max(1); // the host, whose length is its number of bytes and 1
        frame[at..at + 4].copy_from_slice(&u32::from(port).to_be_bytes());
        at += 4;
        at += usize::from(frame[at]).max(1); // the rack
        at += 1;
    }
    if hides {
        frame[first - 1] = 1; // the length of an empty list
        frame.drain(first..at);
    }
}

/// Puts the port of the proxy into the address of a group's coordinator, or says that there is none.
fn rewrite_coordinator(frame: &mut [u8], version: u16, port: u16, hides: bool) {
    assert!(version <= 2, "version {version} of the response has another form");
    let end = frame.len();
    frame[end - 4..].copy_from_slice(&u32::from(port).to_be_bytes());
    if hides {
        let error = if version == 0 { 4 } else { 8 };
        frame[error..error + 2].copy_from_slice(&COORDINATOR_NOT_AVAILABLE.to_be_bytes());
    }
}
