//! Panics in the application's code, in a driver and in the framework: no background job ends, and no message is lost.
use crate::{
    bank::{AccountEvent, FindCard, PaymentMade, bank, opened, paid_in, until},
    listener::{Scripted, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, BoxError, Change, Event, Evolve, IntegrationEvent, Position, Recorded, Repo, RetryPolicy,
    StateStored, View, projection, publish,
    storage::{Batch, CommitError, Memory, Storage},
    subscriber,
    testing::{StorageLayer, TestApp},
    transport::{Audience, Partition, Published, Record, Signal, Subscription, Transport, TransportError},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize, Serializer};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("panics: a publisher that panics parks its message and no other", publisher),
        trial("panics: an event that panics while it is encoded parks its message and no other", encoded),
        trial("panics: a background job that panics goes on, and health shows it", job),
        trial("panics: a step of a projection on a topic that panics loses no record", topic),
        trial("panics: a relay whose broker client panics sends the record again", relay),
    ]
}

mod gifts {
    use super::{
        AccountEvent, Aggregate, BoxError, Deserialize, Event, Evolve, IntegrationEvent, PaymentMade, Recorded, Repo,
        Serialize, Serializer, publish, subscriber,
    };

    #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "gift", event = Given)]
    pub(super) struct Gift {
        #[id]
        id: String,
        amount: i64,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    #[event(name = "given", version = 1)]
    pub(super) struct Given {
        #[serde(serialize_with = "lucky")]
        amount: i64,
    }
    fn lucky<S: Serializer>(amount: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(*amount != 14, "seeded: 14 cannot be encoded");
        serializer.serialize_i64(*amount)
    }
    impl Evolve<Given> for Gift {
        fn create(id: String, event: &Given) -> Option<Self> {
            Some(Gift { id, amount: event.amount })
        }
        fn apply(&mut self, event: &Given) {
            self.amount += event.amount;
        }
    }
    #[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "com.example.bank.given.v1", topic = "bank.events.v1", key = id)]
    struct GiftMade {
        id: String,
    }
    #[publish]
    fn given(event: &Recorded<Given>) -> Option<GiftMade> {
        assert!(event.amount != 13, "seeded: 13 cannot be published");
        Some(GiftMade { id: event.aggregate_id.clone() })
    }
    #[subscriber(group = "bank.gifts")]
    async fn on_topic(event: Recorded<PaymentMade>, gifts: Repo<Gift>) -> Result<(), BoxError> {
        gifts.create(format!("topic {} {}", event.event.id, event.amount), Given { amount: event.amount })?;
        Ok(())
    }
    #[subscriber(group = "bank.own-gifts", from = "beginning")]
    async fn on_log(event: Recorded<AccountEvent>, gifts: Repo<Gift>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { amount } = event.event {
            gifts.create(format!("log {} {amount}", event.aggregate_id), Given { amount })?;
        }
        Ok(())
    }
}

async fn publisher() {
    only_its_key(13).await;
}
async fn encoded() {
    only_its_key(14).await;
}
async fn only_its_key(faulty: i64) {
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 2;
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    let app = bank(Memory::new()).discover_part("it::panics::gifts").aggregate(StateStored::<gifts::Gift>::new());
    let app = TestApp::start(app.retry_policy(retry_policy)).await.expect("the app starts");
    for id in ["kim", "lee"] {
        opened(&app, id).await;
        paid_in(&app, id, 1).await;
    }
    paid_in(&app, "kim", faulty).await;
    for id in ["kim", "lee"] {
        paid_in(&app, id, 2).await;
    }
    app.settle().await;
    let parked = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    let parked: Vec<_> = parked.iter().map(|key| (&*key.reader, &*key.key, key.count)).collect();
    assert_eq!(parked, [("bank.gifts", "kim", 2), ("subscriber/bank.own-gifts", "account/kim", 2)]);
    for by in ["topic", "log"] {
        for (gift, given) in [("kim 1", true), ("kim 2", false), ("lee 1", true), ("lee 2", true)] {
            let found = app.storage().row("gift", &format!("{by} {gift}"), None).await.expect("the memory responds");
            assert_eq!(found.found.state.is_some(), given, "{by} {gift}");
        }
    }
    until("health shows no job", async || jobs_error(&app).await.is_none()).await;
    assert!(app.stop().await);
}

/// A storage that panics in the commits of some readers.
#[derive(Clone, Default)]
struct Bomb {
    memory: Memory,
    panics: Arc<AtomicBool>,
    panicked: Arc<AtomicU32>,
}
#[async_trait]
impl StorageLayer for Bomb {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if !batch.checkpoint_moves.is_empty() && self.panics.load(SeqCst) {
            self.panicked.fetch_add(1, SeqCst);
            panic!("seeded: the driver panics");
        }
        self.memory.commit(batch).await
    }
}
async fn jobs_error(app: &App) -> Option<String> {
    let components = app.health().await.components;
    let jobs = components.into_iter().find(|component| component.name == "jobs").expect("health shows the jobs");
    assert!(!jobs.required, "requests do not need the jobs");
    jobs.error
}
async fn job() {
    let bomb = Bomb::default();
    let app = TestApp::start(bank(bomb.clone())).await.expect("the app starts");
    opened(&app, "kim").await;
    app.settle().await;
    bomb.panics.store(true, SeqCst);
    paid_in(&app, "kim", 5).await;
    until("the projection has panicked twice", async || bomb.panicked.load(SeqCst) > 1).await;
    until("health shows the job", async || {
        jobs_error(&app).await.is_some_and(|error| error.contains("projection/card"))
    })
    .await;
    bomb.panics.store(false, SeqCst);
    app.settle().await;
    assert_eq!(app.send(FindCard("kim".into())).await.expect("the view catches up").expect("the card").balance, 5);
    until("health shows no job", async || jobs_error(&app).await.is_none()).await;
    assert!(app.stop().await);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "sum", key = String)]
struct Sum {
    total: i64,
}
mod sums {
    use super::{Change, PaymentMade, Sum, projection};
    #[projection(name = "sum")]
    fn sum(event: &PaymentMade) -> Change<Sum> {
        let amount = event.amount;
        Change::none().and(event.id.clone(), move |found: Option<Sum>| {
            Some(Sum { total: found.map_or(0, |sum| sum.total) + amount })
        })
    }
}
async fn topic() {
    let (bomb, (transport, emit, notes)) = (Bomb::default(), Scripted::new());
    let app = App::builder("sums").discover_part("it::panics::sums").storage(bomb.clone()).transport(transport);
    let app = TestApp::start(app).await.expect("the app starts");
    let partition = Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() };
    emit(Signal::Assigned(vec![partition.clone()]));
    bomb.panics.store(true, SeqCst);
    let received = |offset: u64| {
        let payment = PaymentMade { id: "kim".into(), amount: 1 };
        let record = record(&payment, offset, Uuid::from_u128(u128::from(offset) + 1));
        crate::listener::received(record, &partition, offset)
    };
    emit(Signal::Records((0..3).map(received).collect()));
    until("the step has panicked", async || bomb.panicked.load(SeqCst) > 0).await;
    bomb.panics.store(false, SeqCst);
    emit(Signal::Records((3..5).map(received).collect()));
    until("every record is acknowledged", async || notes.acknowledged().last() == Some(&4)).await;
    let found = app.storage().views("sum", &["kim".to_owned()]).await.expect("the memory responds").pop();
    let value = found.and_then(|view| view.value).expect("the view exists");
    assert_eq!(serde_json::from_slice::<Sum>(&value).expect("the view can be decoded"), Sum { total: 5 });
    assert!(app.stop().await);
}

/// A broker whose client panics in the first publish.
#[derive(Clone, Default)]
struct Shaky {
    calls: Arc<AtomicU32>,
    sent: Arc<Mutex<Vec<u64>>>,
}
#[async_trait]
impl Transport for Shaky {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        assert!(self.calls.fetch_add(1, SeqCst) > 0, "seeded: the client panics");
        crate::listener::lock(&self.sent).extend(records.iter().map(|record| record.position.0));
        Published { acknowledged: records.len(), error: None }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Err(TransportError::permanent("nothing subscribes here"))
    }
}
async fn relay() {
    let shaky = Shaky::default();
    let app = bank(Memory::new()).transport(shaky.clone()).build().expect("the app builds");
    let running = app.start().await.expect("the app starts");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the record is sent", async || *crate::listener::lock(&shaky.sent) == [2]).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
}
