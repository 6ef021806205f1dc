//! The relay delivers integration events in order, after a restart, past a stuck key, and to a new group.
use crate::{
    bank::{FindCard, PaymentMade, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, record},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder, Change, IntegrationEvent, Position, RetryPolicy, View,
    event::RELAY_SHARDS,
    projection,
    storage::{Memory, Storage},
    testing::TestApp,
    transport::{InProcess, Partition, Received, Record, Signal, Transport},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("relay: events of one key arrive in order under concurrent commands", order),
        trial("relay: only unacknowledged records are sent again after a restart", restart),
        trial("relay: a stuck key holds up only its own records", stuck_key),
        trial("relay: many stuck keys hold up only their own records", many_stuck_keys),
        trial("relay: a new group receives every event from the beginning", new_group),
        trial("relay: a group of an app that starts later receives every event from the beginning", late_app),
        trial("relay: without a group nothing is sent, and nothing is lost", no_group),
        trial("relay: a projection on a topic applies each record once", topic_position),
        trial("relay: a record that the broker holds twice is applied once", held_twice),
        trial("relay: a record that a step has sent is not sent again", one_step),
    ]
}
fn listening(memory: &Memory, script: &Arc<Script>) -> AppBuilder {
    bank(memory.clone()).discover_part(LISTENER).provide(script.clone())
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(app).await.expect("the app starts")
}

/// Two services in one process: the subscriber's app starts after the publisher's.
async fn late_app() {
    let (transport, script) = (InProcess::new(), Arc::new(Script::default()));
    let publisher = bank(Memory::new()).transport(transport.clone()).build().expect("the app builds");
    let publishing = publisher.start().await.expect("the publisher starts");
    opened(&publisher, "kim").await;
    paid_in(&publisher, "kim", 1).await;
    let subscriber = App::builder("mailing").discover_part(LISTENER).provide(script.clone()).transport(transport);
    let subscriber = subscriber.build().expect("the app builds");
    let subscribing = subscriber.start().await.expect("the subscriber starts");
    until("the payment from before has arrived", async || script.of("kim") == [1]).await;
    paid_in(&publisher, "kim", 2).await;
    until("the next payment has arrived", async || script.of("kim") == [1, 2]).await;
    assert!(publishing.stop(Duration::from_secs(5)).await && subscribing.stop(Duration::from_secs(5)).await);
}

async fn order() {
    let script = Arc::new(Script::default());
    let app = started(listening(&Memory::new(), &script)).await;
    let payers = (0..10).map(|account| {
        let app: App = (*app).clone();
        tokio::spawn(async move {
            let id = account.to_string();
            opened(&app, &id).await;
            for amount in 1..=30 {
                paid_in(&app, &id, amount).await;
            }
        })
    });
    for payer in payers.collect::<Vec<_>>() {
        payer.await.expect("the task does not panic");
    }
    app.settle().await;
    for account in 0..10 {
        assert_eq!(script.of(&account.to_string()), (1..=30).collect::<Vec<_>>());
    }
    assert!(app.stop().await);
}

async fn restart() {
    let (memory, script) = (Memory::new(), Arc::new(Script::default()));
    script.stuck(["kim"]);
    let app = started(listening(&memory, &script)).await;
    for id in ["kim", "lee", "park"] {
        opened(&app, id).await;
    }
    for amount in 1..=5 {
        for id in ["kim", "lee", "park"] {
            paid_in(&app, id, amount).await;
        }
    }
    until("the other keys are handled", async || script.handled().len() == 10).await;
    assert!(app.stop().await);
    script.stuck([]);
    let app = started(listening(&memory, &script)).await;
    app.settle().await;
    for id in ["kim", "lee", "park"] {
        assert_eq!(script.of(id), [1, 2, 3, 4, 5], "{id}");
    }
    assert!(app.stop().await);
}

async fn stuck_key() {
    let script = Arc::new(Script::default());
    script.stuck(["kim"]);
    let app = started(listening(&Memory::new(), &script)).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    for account in 0..40 {
        let id = account.to_string();
        opened(&app, &id).await;
        paid_in(&app, &id, 1).await;
        paid_in(&app, "kim", 1).await;
    }
    until("all other keys are handled", async || script.handled().len() == 40).await;
    assert!(script.of("kim").is_empty());
    script.stuck([]);
    until("the stuck key is handled as well", async || script.of("kim").len() == 41).await;
    app.settle().await;
    assert!(app.stop().await);
}

async fn many_stuck_keys() {
    let script = Arc::new(Script::default());
    let stuck: Vec<_> = (0..40).map(|account| format!("stuck {account}")).collect();
    script.stuck(stuck.iter().map(String::as_str));
    // So many keys that fail alike would pause the group.
    let mut retry_policy = RetryPolicy::default();
    retry_policy.circuit_breaker = None;
    let app = started(listening(&Memory::new(), &script).retry_policy(retry_policy)).await;
    for id in &stuck {
        opened(&app, id).await;
        paid_in(&app, id, 1).await;
    }
    until("all stuck keys have failed", async || script.calls() >= 40).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 7).await;
    until("another key is handled", async || script.of("kim") == [7]).await;
    assert!(app.stop().await, "stuck keys must not hold up the shutdown");
}

mod late {
    use super::{PaymentMade, Script};
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    #[subscriber(group = "bank.late")]
    async fn late(_: Recorded<PaymentMade>, script: Dep<Script>) -> Result<(), BoxError> {
        script.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}
async fn new_group() {
    let (memory, script) = (Memory::new(), Arc::new(Script::default()));
    let app = started(listening(&memory, &script)).await;
    opened(&app, "kim").await;
    for _ in 0..5 {
        paid_in(&app, "kim", 1).await;
    }
    app.settle().await;
    assert!(app.stop().await);
    assert_eq!((script.handled().len(), script.calls()), (5, 5));
    let app = started(listening(&memory, &script).discover_part("it::relay::late")).await;
    app.settle().await;
    assert_eq!((script.handled().len(), script.calls()), (5, 10));
    assert!(app.stop().await);
}

async fn no_group() {
    let (memory, script) = (Memory::new(), Arc::new(Script::default()));
    let app = started(bank(memory.clone())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    app.settle().await;
    assert!(app.stop().await);
    let app = started(listening(&memory, &script)).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1]);
}

mod turnover {
    use super::{Change, Deserialize, PaymentMade, Serialize, View, projection};
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "turnover", key = String)]
    pub(super) struct Turnover(pub(super) i64, pub(super) u32);
    #[projection(name = "turnover")]
    fn turnover(event: &PaymentMade) -> Change<Turnover> {
        let amount = event.amount;
        Change::none().and(event.id.clone(), move |found| {
            let Turnover(sum, count) = found.unwrap_or(Turnover(0, 0));
            Some(Turnover(sum + amount, count + 1))
        })
    }
}
async fn topic_position() {
    let memory = Memory::new();
    let turnover = async |id: &str| {
        let found = memory.views("turnover", &[id.into()]).await.expect("the storage responds");
        let value = found.into_iter().next().and_then(|view| view.value);
        value.map(|bytes| String::from_utf8(bytes).expect("the value is JSON"))
    };
    let app = || bank(memory.clone()).discover_part("it::relay::turnover");
    let first = started(app()).await;
    for id in ["kim", "lee"] {
        opened(&first, id).await;
        for amount in 1..=4 {
            paid_in(&first, id, amount).await;
        }
    }
    first.settle().await;
    assert_eq!(turnover("kim").await.as_deref(), Some("[10,4]"));
    assert!(first.stop().await);
    // The relay's checkpoints are set back, so everything is sent again.
    let readers: Vec<_> =
        (0..RELAY_SHARDS).map(|shard| format!("relay/bank.turnover@bank.events.v1/{shard}")).collect();
    let checkpoints = memory.checkpoints(&readers).await.expect("the storage responds");
    assert!(
        checkpoints.iter().any(|checkpoint| *checkpoint > 0),
        "the reader names have changed, so this test proves nothing"
    );
    let mut back = cqrs_core::storage::Batch::default();
    for (reader, from) in readers.into_iter().zip(checkpoints).filter(|(_, checkpoint)| *checkpoint > 0) {
        back.checkpoint_moves.push(cqrs_core::storage::CheckpointMove { reader, from, to: 0, epoch: None });
    }
    memory.commit(back).await.expect("the checkpoints are unchanged");
    let second = started(app()).await;
    paid_in(&second, "kim", 5).await;
    second.settle().await;
    assert_eq!(turnover("kim").await.as_deref(), Some("[15,5]"));
    assert_eq!(turnover("lee").await.as_deref(), Some("[10,4]"));
    assert!(second.send(FindCard("kim".into())).await.expect("the query succeeds").is_some());
    assert!(second.stop().await);
}

/// As after a publish with an unknown outcome: the same event is stored at two offsets, once even within one signal.
async fn held_twice() {
    let (memory, (transport, emit, notes)) = (Memory::new(), Scripted::new());
    let app = started(bank(memory.clone()).discover_part("it::relay::turnover").transport(transport)).await;
    let place = || Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() };
    let received = |(offset, amount): (u64, i64)| {
        let payment = PaymentMade { id: "kim".into(), amount };
        let Record { key, body, headers, .. } = record(&payment, offset, Uuid::from_u128(amount as u128));
        let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        Received { partition: place(), offset, key: Some(key.into_bytes()), body: Some(body), headers, timestamp: None }
    };
    emit(Signal::Assigned(vec![place()]));
    emit(Signal::Records([(0, 1), (1, 10)].map(received).to_vec()));
    emit(Signal::Records([(2, 1), (3, 10), (4, 100), (5, 100)].map(received).to_vec()));
    emit(Signal::Records(vec![received((6, 100))]));
    until("all are acknowledged", async || notes.acknowledged().last() == Some(&6)).await;
    let found = memory.views("turnover", &["kim".into()]).await.expect("the storage responds");
    assert_eq!(found[0].value.as_deref(), Some(&b"[111,3]"[..]));
    assert!(app.stop().await);
}

async fn one_step() {
    let broker = InProcess::new();
    let app = bank(Memory::new()).transport(broker.clone()).build().expect("the app builds");
    let mut group = broker.subscribe("by hand", &["bank.events.v1"]).await.expect("the group joins");
    opened(&app, "kim").await;
    for _ in 0..3 {
        paid_in(&app, "kim", 1).await;
    }
    let mut relays = app.relays();
    let relay = relays.first_mut().expect("there is a relay for the group");
    let mut offsets = Vec::new();
    for _ in 0..20 {
        let _ = tokio::time::timeout(Duration::from_millis(20), relay.step())
            .await
            .map(|step| step.expect("the step succeeds"));
        while let Ok(signal) = tokio::time::timeout(Duration::from_millis(1), group.next()).await {
            if let Signal::Records(records) = signal.expect("the signal arrives") {
                offsets.extend(records.iter().map(|record| record.offset));
                records.iter().for_each(|record| group.acknowledge(&record.partition, record.offset));
            }
        }
    }
    assert_eq!(offsets, [2, 3, 4]);
    // The stored checkpoint follows within 50 ms.
    let idle =
        async || matches!(relay.step().await.expect("the step succeeds"), cqrs_core::job::Step::Idle(Position(4)));
    until("the checkpoint is stored", idle).await;
}
