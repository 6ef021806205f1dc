//! Circuit breakers: an outage of another system parks nothing, although its errors are not known to be transient.
use crate::{
    bank::{AccountEvent, PaymentMade, bank, opened, paid_in, until},
    listener::lock,
    trials::trial,
};
use cqrs_core::{
    App, BoxError, Dep, Recorded, RetryPolicy, Timestamp,
    environment::{Environment, SystemEnvironment, Task},
    storage::Memory,
    subscriber,
};
use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("breaker: an outage of a minute parks nothing, and afterwards every message is handled", outage),
        trial("breaker: seeded: without a circuit breaker an outage of a minute parks messages", without),
        trial("breaker: a few messages that always fail are parked", few),
        trial("breaker: many messages that always fail hold up no other", many),
        trial("breaker: after an outage, the messages of the own log that were parked are redelivered", own_log),
    ]
}

/// An environment in which a minute takes about a second.
pub(crate) struct Fast {
    began: Duration,
}
const FACTOR: u32 = 50;
impl Fast {
    pub(crate) fn new() -> Self {
        Fast { began: SystemEnvironment.uptime() }
    }
}
impl Environment for Fast {
    fn now(&self) -> Timestamp {
        SystemEnvironment.now()
    }
    fn id(&self) -> Uuid {
        SystemEnvironment.id()
    }
    fn uptime(&self) -> Duration {
        (SystemEnvironment.uptime() - self.began) * FACTOR
    }
    fn random(&self) -> u64 {
        SystemEnvironment.random()
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        SystemEnvironment.sleep(time / FACTOR)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        SystemEnvironment.spawn(task)
    }
}

/// Another system, which does not respond for a while and never accepts some accounts.
struct MailServer {
    environment: Arc<Fast>,
    down_until: Duration,
    refused: fn(&str) -> bool,
    /// The handled amounts of each account, in order.
    handled: Mutex<BTreeMap<String, Vec<i64>>>,
}
impl MailServer {
    fn new(down: Duration, refused: fn(&str) -> bool) -> Arc<Self> {
        let environment = Arc::new(Fast::new());
        Arc::new(MailServer { environment, down_until: down, refused, handled: Mutex::default() })
    }
    fn mail(&self, id: &str, amount: i64) -> Result<(), BoxError> {
        if self.environment.uptime() < self.down_until || (self.refused)(id) {
            return Err(format!("seeded: the mail server refused the mail to {id}").into());
        }
        lock(&self.handled).entry(id.to_owned()).or_default().push(amount);
        Ok(())
    }
    fn count(&self) -> usize {
        lock(&self.handled).len()
    }
}

mod topic {
    use super::{Arc, BoxError, Dep, MailServer, PaymentMade, Recorded, subscriber};
    #[subscriber(group = "bank.mail")]
    async fn mail(event: Recorded<PaymentMade>, server: Dep<Arc<MailServer>>) -> Result<(), BoxError> {
        server.mail(&event.event.id, event.amount)
    }
}
mod log {
    use super::{AccountEvent, Arc, BoxError, Dep, MailServer, Recorded, subscriber};
    #[subscriber(group = "bank.own-mail", from = "beginning")]
    async fn mail(event: Recorded<AccountEvent>, server: Dep<Arc<MailServer>>) -> Result<(), BoxError> {
        match event.event {
            AccountEvent::Paid { amount } => server.mail(&event.aggregate_id, amount),
            _ => Ok(()),
        }
    }
}

const TOPIC: &str = "it::breaker::topic";
const LOG: &str = "it::breaker::log";

/// Builds an app in which each account has been paid in twice.
async fn paid(server: &Arc<MailServer>, part: &'static str, accounts: usize, retry_policy: RetryPolicy) -> App {
    let environment = server.environment.clone();
    let app = bank(Memory::new()).discover_part(part).provide(Arc::new(server.clone()));
    let app = app.environment(environment).retry_policy(retry_policy).build().expect("the app builds");
    for number in 0..accounts {
        let id = format!("id{number}");
        opened(&app, &id).await;
        paid_in(&app, &id, 1).await;
        paid_in(&app, &id, 2).await;
    }
    app
}
async fn parked(app: &App) -> usize {
    app.parked().list(&Default::default()).await.expect("the parked keys can be listed").len()
}
fn paused(health: &cqrs_core::app::Health) -> Option<&str> {
    let breakers = health.components.iter().find(|component| component.name == "circuit_breakers");
    breakers.expect("the health has the component").error.as_deref()
}

const OUTAGE: Duration = Duration::from_secs(60);

async fn outage() {
    let server = MailServer::new(OUTAGE, |_| false);
    let app = paid(&server, TOPIC, 40, RetryPolicy::default()).await;
    let background = app.start().await.expect("the app starts");
    until("health shows the pause", async || paused(&app.health().await).is_some()).await;
    let health = app.health().await;
    let error = paused(&health).unwrap_or_default();
    assert!(error.contains("bank.mail for com.example.bank.paid.v1 (failing keys: 10)"), "{error}");
    assert!(error.ends_with("seeded: the mail server refused the mail to *"), "{error}");
    assert!(health.is_ready(), "requests do not need the mail server");
    let all = (0..40).map(|number| (format!("id{number}"), vec![1, 2])).collect::<BTreeMap<_, _>>();
    until("every message is handled", async || *lock(&server.handled) == all).await;
    assert_eq!(parked(&app).await, 0);
    let acts = app.storage().high_water_mark().await.expect("the memory responds").0;
    assert_eq!(acts, 120, "nothing was parked meanwhile either, so nothing was redelivered");
    assert_eq!(paused(&app.health().await), None);
    assert!(background.stop(Duration::from_secs(50)).await);
}
async fn without() {
    let mut retry_policy = RetryPolicy::default();
    retry_policy.circuit_breaker = None;
    let server = MailServer::new(OUTAGE * 10, |_| false);
    let app = paid(&server, TOPIC, 40, retry_policy).await;
    let background = app.start().await.expect("the app starts");
    until("every key is parked", async || parked(&app).await == 40).await;
    assert!(background.stop(Duration::from_secs(50)).await);
}
async fn few() {
    let server = MailServer::new(Duration::ZERO, |id| ["id3", "id7"].contains(&id));
    let app = paid(&server, TOPIC, 40, RetryPolicy::default()).await;
    let background = app.start().await.expect("the app starts");
    until("two keys are parked", async || parked(&app).await == 2).await;
    until("the others are handled", async || server.count() == 38).await;
    assert!(background.stop(Duration::from_secs(50)).await);
}
/// Of 80 accounts 60 are refused, which pauses the group several times.
async fn many() {
    let server = MailServer::new(Duration::ZERO, |id| id.len() == 4 && id > "id20");
    let app = paid(&server, TOPIC, 80, RetryPolicy::default()).await;
    let refused = (0..80).filter(|number| (server.refused)(&format!("id{number}"))).count();
    let background = app.start().await.expect("the app starts");
    until("the others are handled", async || server.count() == 80 - refused).await;
    assert!(background.stop(Duration::from_secs(50)).await);
}
async fn own_log() {
    let server = MailServer::new(OUTAGE * 4, |id| id == "id30");
    let app = paid(&server, LOG, 40, RetryPolicy::default()).await;
    let background = app.start().await.expect("the app starts");
    until("health shows the pause", async || paused(&app.health().await).is_some()).await;
    until("the others are handled", async || server.count() == 39).await;
    until("one key stays parked", async || parked(&app).await == 1).await;
    assert!(
        lock(&server.handled).values().all(|amounts| *amounts == [1, 2]),
        "each key is in order, without repetition"
    );
    assert!(background.stop(Duration::from_secs(50)).await);
}
