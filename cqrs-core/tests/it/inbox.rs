//! Messages of a group are committed together where they can be, and none pays for another.
use crate::{
    bank::{Told, until},
    listener::{LISTENER, Script, lock, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Contract, Fault, Position,
    batch::{Batch, Rejected},
    storage::{Memory, Seen, Storage},
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
        trial("inbox: what is ready together is looked up and committed together", together),
        trial("inbox: one that is refused takes nobody with it", refused),
        trial("inbox: after a commit of which nobody knows each is done once", unknown),
    ]
}

/// What becomes of commits that mark messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine,
    /// Whatever holds this message is refused.
    Refuses(Uuid),
    /// What holds more than one message is committed, and nobody is told.
    LosesAnswers,
}
/// Memory as slow as a disk, which counts how many messages each call is about.
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
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        lock(&self.0.looked_up).push(messages.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.memory.seen(group, messages, keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        let marks: Vec<_> = batch.marks.iter().map(|it| it.message).collect();
        let mood = *lock(&self.0.mood);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Mood::Refuses(message) = mood
            && marks.contains(&message)
        {
            return Err(Rejected::Conflict { what: "planted".into(), exists: false });
        }
        let position = self.0.memory.commit(batch).await?;
        lock(&self.0.committed).push(marks.len());
        match mood {
            Mood::LosesAnswers if marks.len() > 1 => Err(Fault::unavailable("planted: the answer is lost").into()),
            _ => Ok(position),
        }
    }
}

const COUNT: u64 = 40;
fn id(n: u64) -> Uuid {
    Uuid::from_u128(n.into())
}
async fn started(slow: &Arc<Slow>, script: &Arc<Script>, broker: &InProcess) -> TestApp {
    let app = App::new("listener").discover(LISTENER).provide(script.clone()).transport(broker.clone());
    TestApp::start(app.storage(Handle(slow.clone()))).await.expect("it starts")
}
/// Forty messages of forty accounts, sent until all are acknowledged.
fn send(broker: &InProcess) -> tokio::task::JoinHandle<()> {
    let one = |n| record(&Told { id: format!("account-{n}"), amount: 1 }, n, id(n));
    let records: Vec<Record> = (1..=COUNT).map(one).collect();
    let broker = broker.clone();
    tokio::spawn(async move {
        let audience = broker.audiences(&[Told::TOPIC]).pop().expect("the group has joined");
        let mut from = 0;
        while from < records.len() {
            from += broker.publish(&audience, &records[from..]).await.acknowledged;
        }
    })
}
async fn marks(slow: &Slow) -> usize {
    let all: Vec<_> = (1..=COUNT).map(id).collect();
    slow.memory.seen("bank.listener", &all, &[]).await.expect("it answers").handled.len()
}

async fn together() {
    let (slow, script, broker) = (Slow::new(Mood::Fine), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    send(&broker).await.expect("all are acknowledged");
    assert_eq!((script.calls(), marks(&slow).await), (COUNT as u32, COUNT as usize));
    let (looked_up, committed) = (lock(&slow.looked_up).clone(), lock(&slow.committed).clone());
    assert_eq!(committed.iter().sum::<usize>(), COUNT as usize, "{committed:?}");
    assert!(looked_up.len() < 20 && committed.len() < 20, "{looked_up:?} {committed:?}");
    assert!(app.stop().await);
}

async fn refused() {
    let (slow, script, broker) = (Slow::new(Mood::Refuses(id(7))), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    let sending = send(&broker);
    until("all others are done", async || marks(&slow).await == COUNT as usize - 1).await;
    let others = script.heard().into_iter().filter(|(account, _)| account != "account-7").count();
    assert_eq!(others, COUNT as usize - 1, "none of them twice");
    until("it is tried again", async || script.of("account-7").len() > 1).await;
    *lock(&slow.mood) = Mood::Fine;
    sending.await.expect("all are acknowledged");
    assert_eq!(marks(&slow).await, COUNT as usize);
    assert!(app.stop().await);
}

async fn unknown() {
    let (slow, script, broker) = (Slow::new(Mood::LosesAnswers), Arc::new(Script::default()), InProcess::new());
    let app = started(&slow, &script, &broker).await;
    send(&broker).await.expect("all are acknowledged");
    assert_eq!((script.calls(), marks(&slow).await), (COUNT as u32, COUNT as usize), "each is handled once");
    let committed = lock(&slow.committed).clone();
    assert_eq!(committed.iter().sum::<usize>(), COUNT as usize, "{committed:?}");
    assert!(committed.iter().any(|it| *it > 1), "nothing was unknown: {committed:?}");
    assert!(app.stop().await);
}
