//! A topic that the broker refuses for a time: its records wait in the outbox, and those of other topics go on.
use crate::{
    bank::{AccountEvent, PaymentMade, Rename, bank, on_each, opened, paid_in, until},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Fault, IntegrationEvent, Metadata, Position, Recorded,
    event::{Entry, RELAY_SHARDS},
    publish,
    storage::{Batch, CommitError, Memory, ReadLimit, Storage},
    testing::{StorageLayer, TransportLayer},
    transport::{Audience, InProcess, Published, Record, Transport, TransportError},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        on_each("refused topic: records of other topics go on, and those that wait follow in order", others);
    trials.extend(on_each(
        "refused topic: another process sends neither the others twice nor those that wait",
        restarted,
    ));
    trials.extend([
        trial("refused topic: an error of the whole broker holds every topic", whole_broker),
        trial("refused topic: a record that waits and is refused permanently parks only its key", parked),
        trial("refused topic: two replicas hand its records over, and each is sent once", replicas),
        trial("refused topic: beside a relay that knows no waiting topics, all arrives in order", older_relay),
        trial("refused topic: a program that does not publish to it sends its records", without_publisher),
        trial("refused topic: seeded: a checkpoint that passes the records that wait loses them", passed),
    ]);
    trials
}

const NAMES: &str = "bank.names.v1";

/// The second integration event of the bank, on a topic of its own.
mod names {
    use super::{AccountEvent, Deserialize, IntegrationEvent, Recorded, Serialize, publish};
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "com.example.bank.renamed.v1", topic = "bank.names.v1", key = id)]
    pub(super) struct AccountRenamed {
        pub(super) id: String,
        pub(super) name: String,
    }
    #[publish]
    fn renamed(event: &Recorded<AccountEvent>) -> Option<AccountRenamed> {
        match &event.event {
            AccountEvent::Renamed { name } => {
                Some(AccountRenamed { id: event.aggregate_id.clone(), name: name.clone() })
            }
            _ => None,
        }
    }
}

/// A broker that stores records, and refuses topics.
#[derive(Clone, Default)]
struct Broker {
    below: InProcess,
    refused: Arc<Mutex<BTreeSet<String>>>,
    /// The records that are refused permanently, by their text.
    unwanted: Arc<Mutex<BTreeSet<String>>>,
    /// The topic and key of each stored record, with the text of its content.
    stored: Arc<Mutex<Vec<(String, String, String)>>>,
    /// The refused attempts by topic and shard.
    attempts: Arc<Mutex<BTreeMap<(String, u16), usize>>>,
    /// It reports a refused topic as an error of its own.
    is_down: bool,
}
#[async_trait]
impl TransportLayer for Broker {
    fn inner(&self) -> &dyn Transport {
        &self.below
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        for (acknowledged, record) in records.iter().enumerate() {
            tokio::task::yield_now().await;
            if lock(&self.refused).contains(&record.topic) {
                *lock(&self.attempts).entry((record.topic.clone(), record.shard)).or_default() += 1;
                let error = TransportError::transient(format!("seeded: no right on {}", record.topic));
                let error = if self.is_down { error } else { error.of_topic() };
                return Published { acknowledged, error: Some(error) };
            }
            let content = content(&record.body);
            if lock(&self.unwanted).contains(&content) {
                let error = TransportError::permanent("seeded: too large");
                return Published { acknowledged, error: Some(error) };
            }
            lock(&self.stored).push((record.topic.clone(), record.key.clone(), content));
        }
        Published { acknowledged: records.len(), error: None }
    }
}
/// Returns the amount or the name in a record.
fn content(body: &[u8]) -> String {
    match serde_json::from_slice::<names::AccountRenamed>(body) {
        Ok(renamed) => renamed.name,
        Err(_) => <PaymentMade as IntegrationEvent>::decode(body).expect("the record is a payment").amount.to_string(),
    }
}
impl Broker {
    fn refuses(&self, topics: &[&str]) {
        *lock(&self.refused) = topics.iter().map(|topic| (*topic).to_owned()).collect();
    }
    fn of(&self, topic: &str, key: &str) -> Vec<String> {
        let stored = lock(&self.stored);
        stored.iter().filter(|(of, by, _)| of == topic && by == key).map(|(.., content)| content.clone()).collect()
    }
    fn count(&self, topic: &str) -> usize {
        lock(&self.stored).iter().filter(|(of, ..)| of == topic).count()
    }
}

const PAYMENTS: &str = PaymentMade::TOPIC;

fn publishing(app: AppBuilder, broker: &Broker) -> App {
    app.discover_part("it::refused_topic::names").transport(broker.clone()).build().expect("the app builds")
}
fn accounts() -> Vec<String> {
    (0..24).map(|account| format!("account {account}")).collect()
}
/// Pays into each account and renames it, each this many times from a number on.
async fn changed(app: &App, ids: &[String], from: usize, times: usize) {
    for number in from..from + times {
        for id in ids {
            let name = format!("name {number}");
            app.send(Rename { id: id.clone(), name: format!("{id} {name}") }).await.expect("the account is renamed");
            paid_in(app, id, i64::try_from(number).expect("a small number")).await;
        }
    }
}
/// Checks that each account's records are there once, in order.
fn check(broker: &Broker, ids: &[String], topic: &str, numbers: usize) {
    for id in ids {
        let content = |number: usize| match topic {
            NAMES => format!("{id} name {number}"),
            _ => number.to_string(),
        };
        assert_eq!(broker.of(topic, id), (1..=numbers).map(content).collect::<Vec<_>>(), "{topic}: {id}");
    }
}
/// Returns the error of the health component `topics`.
async fn health(app: &App) -> Option<String> {
    health_of(app, "topics").await
}
async fn health_of(app: &App, name: &str) -> Option<String> {
    let components = app.health().await.components;
    components.into_iter().find(|component| component.name == name).and_then(|component| component.error)
}
async fn settled(app: &App) {
    cqrs_core::testing::settle(&[app]).await;
}

async fn others(app: AppBuilder) {
    let (broker, ids) = (Broker::default(), accounts());
    let app = publishing(app, &broker);
    let running = app.start().await.expect("the app starts");
    for id in &ids {
        opened(&app, id).await;
    }
    broker.refuses(&[NAMES]);
    changed(&app, &ids, 1, 3).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 3).await;
    assert_eq!(broker.count(NAMES), 0);
    until("health names the topic", async || health(&app).await.is_some()).await;
    let error = health(&app).await.expect("the topic waits");
    assert!(error.contains("topic bank.names.v1 accepts no records") && error.contains("no right on"), "{error}");
    assert!(!error.contains(PAYMENTS) && app.health().await.is_ready(), "{error}");
    assert!(running.is_healthy(), "a topic that waits is no failure of the relay");
    let lag = app.reader_lags().await.expect("the storage responds");
    assert!(lag.iter().any(|lag| lag.kind == "relay_shard" && lag.positions > 0), "the records that wait are behind");
    // New records of the topic wait behind the others, and those of the other topic go on.
    changed(&app, &ids, 4, 1).await;
    until("later payments are sent", async || broker.count(PAYMENTS) == ids.len() * 4).await;
    broker.refuses(&[]);
    settled(&app).await;
    until("health has no error", async || health(&app).await.is_none()).await;
    changed(&app, &ids, 5, 2).await;
    settled(&app).await;
    check(&broker, &ids, PAYMENTS, 6);
    check(&broker, &ids, NAMES, 6);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}

async fn restarted(app: AppBuilder) {
    let (broker, ids) = (Broker::default(), accounts());
    let app = publishing(app, &broker);
    broker.refuses(&[NAMES]);
    for times in [2, 1] {
        let running = app.start().await.expect("the app starts");
        if times == 2 {
            for id in &ids {
                opened(&app, id).await;
            }
        }
        let before = broker.count(PAYMENTS) / ids.len();
        changed(&app, &ids, before + 1, times).await;
        until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * (before + times)).await;
        assert!(running.stop(cqrs_core::app::DRAIN).await);
    }
    broker.refuses(&[]);
    let running = app.start().await.expect("the app starts");
    settled(&app).await;
    check(&broker, &ids, PAYMENTS, 3);
    check(&broker, &ids, NAMES, 3);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    // The next start finds no topic that waits.
    let running = app.start().await.expect("the app starts");
    changed(&app, &ids, 4, 1).await;
    settled(&app).await;
    check(&broker, &ids, PAYMENTS, 4);
    check(&broker, &ids, NAMES, 4);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}

async fn whole_broker() {
    let broker = Broker { is_down: true, ..Broker::default() };
    let app = publishing(bank(Memory::new()), &broker);
    let running = app.start().await.expect("the app starts");
    opened(&app, "kim").await;
    broker.refuses(&[NAMES]);
    changed(&app, &["kim".into()], 1, 1).await;
    until("the relay fails", async || !running.is_healthy()).await;
    assert_eq!((broker.count(PAYMENTS), health(&app).await), (0, None), "the payment comes after the name");
    let error = health_of(&app, "broker").await;
    assert_eq!(error.as_deref(), Some("the last publish failed; outgoing events stay in the outbox"));
    broker.refuses(&[]);
    settled(&app).await;
    assert_eq!(health_of(&app, "broker").await, None);
    check(&broker, &["kim".into()], NAMES, 1);
    check(&broker, &["kim".into()], PAYMENTS, 1);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}

async fn parked() {
    let (broker, ids) = (Broker::default(), accounts());
    let app = publishing(bank(Memory::new()), &broker);
    let running = app.start().await.expect("the app starts");
    for id in &ids {
        opened(&app, id).await;
    }
    broker.refuses(&[NAMES]);
    *lock(&broker.unwanted) = ["account 7 name 2".to_owned()].into();
    changed(&app, &ids, 1, 3).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 3).await;
    broker.refuses(&[]);
    settled(&app).await;
    let (bad, good): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id == "account 7");
    check(&broker, &good, NAMES, 3);
    check(&broker, &bad, NAMES, 1);
    let parked = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    assert_eq!(parked.iter().map(|parked| (&*parked.key, parked.count)).collect::<Vec<_>>(), [("account 7", 2)]);
    lock(&broker.unwanted).clear();
    let me = Metadata::default().caller("kim, on call");
    app.parked().redeliver(&parked[0].reader, "account 7", &me).await.expect("the redelivery runs");
    check(&broker, &bad, NAMES, 3);
    check(&broker, &bad, PAYMENTS, 3);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}

/// A storage that several processes share, so that relays need leases.
#[derive(Clone)]
struct Shared {
    memory: Memory,
    /// Readers of waiting topics are neither stored nor read, as by an older program.
    is_older: bool,
    /// The checkpoint of a shard is moved as far as that of its other topics.
    passes: bool,
}
impl Shared {
    fn new() -> Self {
        Shared { memory: Memory::new(), is_older: false, passes: false }
    }
}
fn is_of_waiting_topic(reader: &str) -> bool {
    reader.starts_with("relay/") && (reader.ends_with("/ahead") || reader.contains("/waiting"))
}
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let mut found = self.memory.checkpoints(readers).await?;
        for (reader, checkpoint) in readers.iter().zip(&mut found) {
            if self.is_older && is_of_waiting_topic(reader) {
                *checkpoint = 0;
            }
        }
        Ok(found)
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if self.passes {
            let ahead: BTreeMap<_, _> =
                batch.checkpoint_moves.iter().map(|step| (step.reader.clone(), step.to)).collect();
            for step in &mut batch.checkpoint_moves {
                step.to = ahead.get(&format!("{}/ahead", step.reader)).copied().unwrap_or(step.to).max(step.to);
            }
        }
        if self.is_older || self.passes {
            batch.checkpoint_moves.retain(|step| !is_of_waiting_topic(&step.reader));
        }
        self.memory.commit(batch).await
    }
}

async fn replicas() {
    let (broker, ids, storage) = (Broker::default(), accounts(), Shared::new());
    let app = |storage: &Shared| publishing(bank(storage.clone()), &broker);
    let first = app(&storage);
    let running = first.start().await.expect("the app starts");
    for id in &ids {
        opened(&first, id).await;
    }
    broker.refuses(&[NAMES]);
    changed(&first, &ids, 1, 2).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 2).await;
    let second = app(&storage);
    let other = second.start().await.expect("the app starts");
    changed(&first, &ids, 3, 2).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 4).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    changed(&second, &ids, 5, 1).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 5).await;
    broker.refuses(&[]);
    settled(&second).await;
    check(&broker, &ids, PAYMENTS, 5);
    check(&broker, &ids, NAMES, 5);
    assert!(other.stop(cqrs_core::app::DRAIN).await);
}

async fn older_relay() {
    let (broker, ids, storage) = (Broker::default(), accounts(), Shared::new());
    let newer = publishing(bank(storage.clone()), &broker);
    let older_broker = Broker { is_down: true, ..broker.clone() };
    let older = publishing(bank(Shared { is_older: true, ..storage.clone() }), &older_broker);
    let running = newer.start().await.expect("the app starts");
    for id in &ids {
        opened(&newer, id).await;
    }
    broker.refuses(&[NAMES]);
    changed(&newer, &ids, 1, 2).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 2).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    // The older relay waits at the first record to the topic, and then sends everything from there again.
    let running = older.start().await.expect("the app starts");
    changed(&older, &ids, 3, 1).await;
    until("the older relay fails", async || !running.is_healthy()).await;
    assert_eq!(broker.count(NAMES), 0);
    let other = newer.start().await.expect("the app starts");
    changed(&newer, &ids, 4, 1).await;
    broker.refuses(&[]);
    settled(&newer).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await && other.stop(cqrs_core::app::DRAIN).await);
    // The first record of each number is in order, whatever is sent again.
    for id in &ids {
        for topic in [NAMES, PAYMENTS] {
            let mut seen = Vec::new();
            for content in broker.of(topic, id) {
                if !seen.contains(&content) {
                    seen.push(content);
                }
            }
            let number = |content: &String| content.rsplit(' ').next().and_then(|number| number.parse().ok());
            assert_eq!(
                seen.iter().map(number).collect::<Vec<_>>(),
                (1..=4).map(Some).collect::<Vec<_>>(),
                "{topic} {id}"
            );
        }
    }
}

async fn without_publisher() {
    let (broker, ids, storage) = (Broker::default(), accounts(), Shared::new());
    let app = publishing(bank(storage.clone()), &broker);
    let running = app.start().await.expect("the app starts");
    for id in &ids {
        opened(&app, id).await;
    }
    broker.refuses(&[NAMES]);
    changed(&app, &ids, 1, 2).await;
    until("the payments are sent", async || broker.count(PAYMENTS) == ids.len() * 2).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    broker.refuses(&[]);
    let app = bank(storage).transport(broker.clone()).build().expect("the app builds");
    let running = app.start().await.expect("the app starts");
    settled(&app).await;
    check(&broker, &ids, NAMES, 2);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}

/// Returns whether a stored checkpoint is past a record to the refused topic. No relay reads such a record again.
async fn is_lost(memory: &Memory) -> bool {
    let end = memory.high_water_mark().await.expect("the memory answers");
    let shards: Vec<_> = (0..RELAY_SHARDS).map(|shard| (shard, Position(0))).collect();
    let entries = memory.outgoing_entries(&shards, end, ReadLimit::entries(usize::MAX)).await;
    let readers: Vec<_> = (0..RELAY_SHARDS).map(|shard| format!("relay/{shard}")).collect();
    let checkpoints = memory.checkpoints(&readers).await.expect("the memory answers");
    let is_passed = |entry: &Entry| {
        let outgoing = entry.outgoing.as_ref().filter(|outgoing| outgoing.topic == NAMES);
        outgoing.is_some_and(|outgoing| entry.position.0 <= checkpoints[usize::from(outgoing.shard)])
    };
    entries.expect("the memory answers").iter().any(is_passed)
}

async fn passed() {
    for passes in [false, true] {
        let (broker, ids) = (Broker::default(), accounts());
        let storage = Shared { passes, ..Shared::new() };
        let app = publishing(bank(storage.clone()), &broker);
        let running = app.start().await.expect("the app starts");
        for id in &ids {
            opened(&app, id).await;
        }
        broker.refuses(&[NAMES]);
        changed(&app, &ids, 1, 2).await;
        until("the payments are sent", async || broker.count(PAYMENTS) >= ids.len() * 2).await;
        if passes {
            until("a record is lost", async || is_lost(&storage.memory).await).await;
        }
        assert!(running.stop(cqrs_core::app::DRAIN).await);
        assert_eq!((broker.count(NAMES), is_lost(&storage.memory).await), (0, passes));
    }
}
