//! Batches of an inbox that touch the same data, and look-ups that fail as a whole.
use crate::{
    bank::{Account, AccountEvent, PaymentMade, until},
    listener::{LISTENER, Script, lock, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Fault, IntegrationEvent, Position, Recorded, Repo, StateStored,
    storage::{Batch, CommitError, InboxLookup, Memory, Storage},
    subscriber,
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
        trial(
            "inbox batches: messages that change one aggregate are committed one after the other, and all count",
            one_aggregate,
        ),
        trial("inbox batches: a look-up that fails as a whole is repeated for each message alone", look_up_fails),
        trial("inbox batches: a message that is refused alone is committed once for each attempt", refused_alone),
    ]
}

/// The messages of a commit, and the streams of its events.
type Committed = (Vec<Uuid>, Vec<String>);

/// A storage as slow as a disk, which fails look-ups of a message and refuses commits of it.
#[derive(Clone, Default)]
struct Slow {
    memory: Memory,
    fails: Option<Uuid>,
    refuses: Option<Uuid>,
    looked_up: Arc<Mutex<Vec<Vec<Uuid>>>>,
    /// The messages of each commit, with the streams of its events.
    committed: Arc<Mutex<Vec<Committed>>>,
}
#[async_trait]
impl StorageLayer for Slow {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        lock(&self.looked_up).push(messages.to_vec());
        tokio::time::sleep(Duration::from_millis(10)).await;
        if messages.len() > 1 && self.fails.is_some_and(|message| messages.contains(&message)) {
            return Err(Fault::unavailable("seeded: the look-up is too large"));
        }
        self.memory.lookup_inbox(group, messages, keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let messages: Vec<_> = batch.inbox_records.iter().map(|record| record.message).collect();
        let streams = batch.events.iter().map(|event| event.stream.clone()).collect();
        let is_refused = self.refuses.is_some_and(|message| messages.contains(&message));
        lock(&self.committed).push((messages, streams));
        tokio::time::sleep(Duration::from_millis(10)).await;
        match is_refused {
            true => Err(CommitError::Conflict { what: "seeded".into(), exists: false, versions: None }),
            false => self.memory.commit(batch).await,
        }
    }
}

/// Books every payment to one account.
#[subscriber(group = "bank.till")]
async fn till(event: Recorded<PaymentMade>, accounts: Repo<Account>) -> Result<(), BoxError> {
    let till = "till".to_owned();
    if accounts.find(&till).await?.is_none() {
        accounts.create(till.clone(), AccountEvent::Opened { name: "till".into() })?;
    }
    let amount = event.event.amount;
    accounts.update(&till, |account| account.pay(amount)).await?;
    Ok(())
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}
/// Publishes the messages of as many accounts until all are acknowledged.
fn send(broker: &InProcess, count: u64) -> tokio::task::JoinHandle<()> {
    let one = |number| record(&PaymentMade { id: format!("account-{number}"), amount: 1 }, number, id(number));
    let (records, broker): (Vec<Record>, _) = ((1..=count).map(one).collect(), broker.clone());
    tokio::spawn(async move {
        let audience = broker.audiences(&[PaymentMade::TOPIC]).pop().expect("the group has joined");
        let mut from = 0;
        while from < records.len() {
            from += broker.publish(&audience, &records[from..]).await.acknowledged;
        }
    })
}

async fn one_aggregate() {
    let (slow, broker) = (Slow::default(), InProcess::new());
    let app = App::builder("till").discover_part(module_path!()).aggregate(StateStored::<Account>::new());
    let app = TestApp::start(app.storage(slow.clone()).transport(broker.clone())).await.expect("the app starts");
    send(&broker, 20).await.expect("all are acknowledged");
    let stream = slow.memory.stream("account/till", 0, None).await.expect("the memory answers").found;
    assert_eq!(stream.len(), 21, "the account is opened once, and every payment counts");
    let versions: Vec<_> = stream.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=21).collect::<Vec<_>>());
    let row = slow.memory.row("account", "till", None).await.expect("the memory answers").found;
    assert_eq!(row.version, 21);
    let twice =
        lock(&slow.committed).iter().filter(|(messages, streams)| messages.len() > 1 && !streams.is_empty()).count();
    assert_eq!(twice, 0, "no batch writes one aggregate for two messages");
    assert!(app.stop().await);
}

async fn look_up_fails() {
    let (slow, script, broker) =
        (Slow { fails: Some(id(7)), ..Slow::default() }, Arc::new(Script::default()), InProcess::new());
    let app = App::builder("listener").discover_part(LISTENER).provide(script.clone()).transport(broker.clone());
    let app = TestApp::start(app.storage(slow.clone())).await.expect("the app starts");
    send(&broker, 40).await.expect("all are acknowledged");
    assert_eq!(script.handled().len(), 40);
    let looked_up = lock(&slow.looked_up).clone();
    let failed = looked_up.iter().position(|messages| messages.len() > 1 && messages.contains(&id(7)));
    let failed = failed.expect("a look-up of several messages failed");
    let count = looked_up[failed].len();
    let alone: Vec<_> = looked_up[failed + 1..].iter().take(count).cloned().collect();
    assert_eq!(alone, looked_up[failed].iter().map(|message| vec![*message]).collect::<Vec<_>>());
    let of_seven = looked_up.iter().filter(|messages| messages.contains(&id(7))).count();
    assert_eq!(of_seven, 2, "the message is not tried again");
    assert!(app.stop().await);
}

async fn refused_alone() {
    let (slow, script, broker) =
        (Slow { refuses: Some(id(1)), ..Slow::default() }, Arc::new(Script::default()), InProcess::new());
    let app = App::builder("listener").discover_part(LISTENER).provide(script.clone()).transport(broker.clone());
    let app = TestApp::start(app.storage(slow.clone())).await.expect("the app starts");
    let sending = send(&broker, 1);
    until("the message is tried three times", async || script.calls() >= 3).await;
    sending.abort();
    app.stop().await;
    let (calls, commits) =
        (script.calls() as usize, lock(&slow.committed).iter().filter(|(of, _)| *of == [id(1)]).count());
    assert!(commits <= calls, "{commits} commits of {calls} attempts");
}
