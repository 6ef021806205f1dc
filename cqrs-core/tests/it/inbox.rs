//! Messages of a group are looked up and committed together, and a failure of one does not affect the others.
use crate::{
    bank::{PaymentMade, until},
    listener::{LISTENER, Script, lock, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, IntegrationEvent, Position,
    storage::{Batch, CommitError, InboxLookup, Memory, Storage},
    testing::{StorageLayer, TestApp},
    transport::{InProcess, Record, Transport},
};
use libtest_mimic::Trial;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("inbox: messages that are ready together are looked up and committed together", together),
        trial("inbox: a message that is refused does not hold up the others of its batch", refused),
        trial("inbox: after a commit with an unknown outcome each message is handled once", unknown),
    ]
}

/// The result of commits that write inbox records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine,
    /// A commit that contains this message is refused.
    Refuses(Uuid),
    /// A commit of more than one message is stored, but its acknowledgement is lost.
    LosesAcknowledgements,
}
/// A storage as slow as a disk that counts the messages of each call.
struct Slow {
    memory: Memory,
    mood: Mutex<Mood>,
    looked_up: Mutex<Vec<usize>>,
    committed: Mutex<Vec<usize>>,
}
impl Slow {
    fn new(mood: Mood) -> Arc<Self> {
        let (memory, looked_up, committed) = (Memory::new(), Mutex::default(), Mutex::default());
        Arc::new(Slow { memory, mood: Mutex::new(mood), looked_up, committed })
    }
}
struct Handle(Arc<Slow>);
#[async_trait]
impl StorageLayer for Handle {
    fn inner(&self) -> &dyn Storage {
        &self.0.memory
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        lock(&self.0.looked_up).push(messages.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.memory.lookup_inbox(group, messages, keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let inbox_records: Vec<_> = batch.inbox_records.iter().map(|record| record.message).collect();
        let mood = *lock(&self.0.mood);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Mood::Refuses(message) = mood
            && inbox_records.contains(&message)
        {
            return Err(CommitError::Conflict { what: "seeded".into(), exists: false, versions: None });
        }
        let position = self.0.memory.commit(batch).await?;
        lock(&self.0.committed).push(inbox_records.len());
        match mood {
            Mood::LosesAcknowledgements if inbox_records.len() > 1 => {
                Err(Fault::unavailable("seeded: the acknowledgement is lost").into())
            }
            _ => Ok(position),
        }
    }
}

const COUNT: u64 = 40;
fn id(n: u64) -> Uuid {
    Uuid::from_u128(n.into())
}
async fn started(slow: &Arc<Slow>, script: &Arc<Script>, broker: &InProcess) -> TestApp {
    let app = App::builder("listener").discover_part(LISTENER).provide(script.clone()).transport(broker.clone());
    TestApp::start(app.storage(Handle(slow.clone()))).await.expect("the app starts")
}
/// Publishes forty messages of forty accounts until all are acknowledged.
fn send(broker: &InProcess) -> tokio::task::JoinHandle<()> {
    let one = |n| record(&PaymentMade { id: format!("account-{n}"), amount: 1 }, n, id(n));
    let records: Vec<Record> = (1..=COUNT).map(one).collect();
    let broker = broker.clone();
    tokio::spawn(async move {
        let audience = broker.audiences(&[PaymentMade::TOPIC]).pop().expect("the group has joined");
        let mut from = 0;
        while from < records.len() {
            from += broker.publish(&audience, &records[from..]).await.acknowledged;
        }
    })
}
async fn handled_messages(slow: &Slow) -> usize {
    let all: Vec<_> = (1..=COUNT).map(id).collect();
    slow.memory.lookup_inbox("bank.listener", &all, &[]).await.expect("the storage responds").handled.len()
}

async fn together() {
    let (slow, script, broker) = (Slow::new(Mood::Fine), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    send(&broker).await.expect("all are acknowledged");
    assert_eq!((script.calls(), handled_messages(&slow).await), (COUNT as u32, COUNT as usize));
    let (looked_up, committed) = (lock(&slow.looked_up).clone(), lock(&slow.committed).clone());
    assert_eq!(committed.iter().sum::<usize>(), COUNT as usize, "{committed:?}");
    assert!(looked_up.len() < 20 && committed.len() < 20, "{looked_up:?} {committed:?}");
    assert!(app.stop().await);
}

async fn refused() {
    let (slow, script, broker) = (Slow::new(Mood::Refuses(id(7))), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    let sending = send(&broker);
    until("all other messages are handled", async || handled_messages(&slow).await == COUNT as usize - 1).await;
    let others = script.handled().into_iter().filter(|(account, _)| account != "account-7").count();
    assert_eq!(others, COUNT as usize - 1, "no other message is handled twice");
    until("the refused message is retried", async || script.of("account-7").len() > 1).await;
    *lock(&slow.mood) = Mood::Fine;
    sending.await.expect("all are acknowledged");
    assert_eq!(handled_messages(&slow).await, COUNT as usize);
    assert!(app.stop().await);
}

async fn unknown() {
    let (slow, script, broker) =
        (Slow::new(Mood::LosesAcknowledgements), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    send(&broker).await.expect("all are acknowledged");
    assert_eq!(
        (script.calls(), handled_messages(&slow).await),
        (COUNT as u32, COUNT as usize),
        "each message is handled once"
    );
    let committed = lock(&slow.committed).clone();
    assert_eq!(committed.iter().sum::<usize>(), COUNT as usize, "{committed:?}");
    assert!(committed.iter().any(|messages| *messages > 1), "no acknowledgement was lost: {committed:?}");
    assert!(app.stop().await);
}
