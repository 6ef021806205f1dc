//! A message that ends its process is parked after a few ends, and everything else goes on.
//!
//! The process that ends is this program, started again.
use crate::{
    bank::{AccountEvent, FindCard, PaymentMade, bank, opened, paid_in},
    listener::record,
    trials::runtime,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Change, Fault, IntegrationEvent, Metadata, Recorded, Repo, View,
    app::ParkedSelection,
    projection, projector, publish,
    storage::{Batch, LEFT_TO_NEWER_PROGRAM, Memory, Park, ParkedPage, Storage, Tx},
    subscriber,
    testing::StorageLayer,
    transport::{ForeignMessage, Partition, Received},
};
use serde::{Deserialize, Serialize};
use std::{
    env,
    process::{ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::process::Command;
use uuid::Uuid;

/// The environment variables that make this program handle messages instead of running tests: the database, the module of
/// the subscriber, and what the message does.
const DATABASE: &str = "CQRS_TEST_CRASHES_DATABASE";
const PART: &str = "CQRS_TEST_CRASHES_PART";
const DOES: &str = "CQRS_TEST_CRASHES_DOES";

#[cfg(feature = "sqlite")]
pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    async fn on_sqlite(test: impl AsyncFnOnce(&str, &str) -> Result<(), BoxError>, part: &str) {
        let directory = tempfile::tempdir().expect("a temporary directory for the database");
        let database = directory.path().join("bank.db");
        let database = database.to_str().expect("the path is text");
        test(database, part).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let parts = PARTS.map(|(part, name)| {
        crate::trials::trial(format!("crashes: sqlite: {name}"), async move || on_sqlite(parked, part).await)
    });
    parts.into()
}

/// The parts of the program that a message can end, each with the name of its test.
pub(crate) const PARTS: [(&str, &str); 9] = [
    ("topic", "a message that ends its process is parked, and all others are handled"),
    ("log", "an event of the log that ends its process is parked, and all others are handled"),
    ("projection", "an event that ends the process of its projection is parked, and all others are applied"),
    ("projector", "an event that ends the process of its projector is parked, and all others are applied"),
    ("mirror", "a record that ends the process of a projection on its topic is parked, and all others are applied"),
    ("decoder", "a record that ends the process in its decoder is parked, and all others are handled"),
    ("decoded_mirror", "a record that ends the process in the decoder of a projection is parked"),
    ("publisher", "a message whose effect ends the process in a publisher is parked, and all others are handled"),
    ("left", "a message that ends each process which redelivers it by itself is not tried for ever"),
];

/// The amount of the payment whose handling ends the process.
const FATAL: i64 = 13;

/// The payments, in order.
const PAYMENTS: [(&str, i64); 6] = [("kim", 1), ("lee", 2), ("park", FATAL), ("park", 14), ("choi", 3), ("kim", 4)];

static HANGS: AtomicBool = AtomicBool::new(false);

/// Ends the process or never ends, as the test has asked for.
async fn be_fatal() {
    if env::var(DOES).is_ok_and(|does| does == "hangs") {
        HANGS.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    std::process::abort();
}

pub(crate) mod on_topic {
    use super::{BoxError, FATAL, PaymentMade, Recorded, Repo, be_fatal, subscriber};
    use crate::bank::Account;

    #[subscriber(group = "crashes.topic")]
    async fn paid(event: Recorded<PaymentMade>, accounts: Repo<Account>) -> Result<(), BoxError> {
        let PaymentMade { id, amount } = &*event;
        if *amount == FATAL {
            be_fatal().await;
        }
        accounts.update(id, |account| account.rename(&format!("{id} {amount}"))).await?;
        Ok(())
    }
}
pub(crate) mod on_log {
    use super::{AccountEvent, BoxError, FATAL, Recorded, Repo, be_fatal, subscriber};
    use crate::bank::Account;

    #[subscriber(group = "crashes.log", from = "beginning")]
    async fn paid(event: Recorded<AccountEvent>, accounts: Repo<Account>) -> Result<(), BoxError> {
        let AccountEvent::Paid { amount } = &event.event else { return Ok(()) };
        if *amount == FATAL {
            be_fatal().await;
        }
        let id = &event.aggregate_id;
        accounts.update(id, |account| account.rename(&format!("{id} {amount}"))).await?;
        Ok(())
    }
}

/// The last payment of an account, as the projections have it.
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "last-payment", key = String)]
struct LastPayment {
    amount: i64,
}
fn last_payment(id: &str, amount: i64) -> Change<LastPayment> {
    if amount == FATAL {
        std::process::abort();
    }
    LastPayment { amount }.put(id.to_owned())
}
pub(crate) mod on_projection {
    use super::{AccountEvent, Change, LastPayment, Recorded, last_payment, projection};
    #[projection(name = "crashes")]
    fn paid(event: &Recorded<AccountEvent>) -> Change<LastPayment> {
        let AccountEvent::Paid { amount } = event.event else { return Change::none() };
        last_payment(&event.aggregate_id, amount)
    }
}
pub(crate) mod on_mirror {
    use super::{Change, LastPayment, PaymentMade, last_payment, projection};
    #[projection(name = "crashes.mirror")]
    fn paid(event: &PaymentMade) -> Change<LastPayment> {
        last_payment(&event.id, event.amount)
    }
}
pub(crate) mod on_decoded_mirror {
    use super::{Change, LastPayment, PaymentMade, View, projection};
    #[projection(name = "crashes.decoded")]
    fn paid(event: &PaymentMade) -> Change<LastPayment> {
        LastPayment { amount: event.amount }.put(event.id.clone())
    }
}
pub(crate) mod on_projector {
    use super::{AccountEvent, BoxError, FATAL, Recorded, Tx, be_fatal, projector};
    #[projector(name = "crashes.projector")]
    async fn paid(event: Recorded<AccountEvent>, _tx: &mut dyn Tx) -> Result<(), BoxError> {
        if matches!(event.event, AccountEvent::Paid { amount: FATAL }) {
            be_fatal().await;
        }
        Ok(())
    }
}
pub(crate) mod on_decoder {
    use super::{BoxError, PaymentMade, Recorded, Repo, subscriber};
    use crate::bank::Account;
    #[subscriber(group = "crashes.decoder")]
    async fn paid(event: Recorded<PaymentMade>, accounts: Repo<Account>) -> Result<(), BoxError> {
        let PaymentMade { id, amount } = &*event;
        accounts.update(id, |account| account.rename(&format!("{id} {amount}"))).await?;
        Ok(())
    }
}
fn decode(record: &Received) -> Result<Option<ForeignMessage>, BoxError> {
    let payment = PaymentMade::decode(record.body.as_deref().unwrap_or_default())?;
    if payment.amount == FATAL {
        std::process::abort();
    }
    Ok(Some(ForeignMessage::new(&payment)?.key(payment.key())))
}
pub(crate) mod on_publisher {
    use super::{AccountEvent, BoxError, FATAL, PaymentMade, Recorded, Repo, publish, subscriber};
    use crate::bank::Account;
    #[subscriber(group = "crashes.publisher")]
    async fn paid(event: Recorded<PaymentMade>, accounts: Repo<Account>) -> Result<(), BoxError> {
        let PaymentMade { id, amount } = &*event;
        accounts.update(id, |account| account.rename(&format!("{id} {amount}"))).await?;
        Ok(())
    }
    #[publish]
    fn renamed(event: &Recorded<AccountEvent>) -> Option<PaymentMade> {
        let is_fatal = matches!(&event.event, AccountEvent::Renamed { name } if name.ends_with(&format!(" {FATAL}")));
        if is_fatal {
            std::process::abort();
        }
        None
    }
}

/// A storage. With the seeded bug, it has the notes on attempts in memory.
struct Tested {
    inner: Box<dyn Storage>,
    in_memory: Option<Memory>,
}
impl Tested {
    fn of_notes(&self, name: &str) -> &dyn Storage {
        match &self.in_memory {
            Some(memory) if name.starts_with("attempt/") => memory,
            _ => &*self.inner,
        }
    }
}
#[async_trait]
impl StorageLayer for Tested {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.of_notes(prefix).notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.of_notes(name).replace_note(name, expected, value).await
    }
}

async fn open(database: &str) -> Result<Box<dyn Storage>, BoxError> {
    #[cfg(feature = "postgres")]
    if database.starts_with("postgres") {
        return Ok(Box::new(cqrs_core::storage::Postgres::connect(database).await?));
    }
    #[cfg(feature = "sqlite")]
    return Ok(Box::new(cqrs_core::storage::Sqlite::open(database).await?));
    #[cfg(not(feature = "sqlite"))]
    Err(format!("no storage for {database}").into())
}

/// Runs this program as the process that is ended by a message, if it was started as one.
pub(crate) fn role() -> Option<ExitCode> {
    let (database, part) = (env::var(DATABASE).ok()?, env::var(PART).ok()?);
    let ended = runtime("crashes").block_on(handle_all(&database, &part));
    if let Err(error) = &ended {
        eprintln!("{error}");
    }
    Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
/// Handles messages until the fatal one is parked and all others are handled, and prints the parked ones.
async fn handle_all(database: &str, part: &str) -> Result<(), BoxError> {
    let does = env::var(DOES)?;
    let storage = Tested { inner: open(database).await?, in_memory: (does == "forgets").then(Memory::new) };
    let module = match part {
        "log" => concat!(module_path!(), "::on_log"),
        "projection" => concat!(module_path!(), "::on_projection"),
        "projector" => concat!(module_path!(), "::on_projector"),
        "mirror" => concat!(module_path!(), "::on_mirror"),
        "decoder" => concat!(module_path!(), "::on_decoder"),
        "decoded_mirror" => concat!(module_path!(), "::on_decoded_mirror"),
        "publisher" => concat!(module_path!(), "::on_publisher"),
        _ => concat!(module_path!(), "::on_topic"),
    };
    let builder = bank(storage).discover_part(module);
    let builder = if part.starts_with("decode") { builder.foreign_topic("bank.events.v1", decode) } else { builder };
    let app = builder.lease(Duration::from_secs(1)).build()?;
    if part == "redelivered" {
        return redeliver_all(&app).await;
    }
    let background = app.start().await?;
    let mut handled_at = None;
    loop {
        if HANGS.load(Ordering::SeqCst) {
            assert!(!background.stop(Duration::from_millis(300)).await, "the message must not end");
            return Ok(());
        }
        let parked = app.storage().parked_keys(&ParkedPage::default()).await?;
        if let ([parked], true) = (&*parked, are_handled(&app, part).await?)
            && parked.count == 2
        {
            // A message that is left to this program stays parked, and must have been tried.
            let at = *handled_at.get_or_insert_with(Instant::now);
            if part != "left" || at.elapsed() > Duration::from_secs(6) {
                println!("{} {} {} {}", parked.reader, parked.key, parked.count, parked.error);
                background.stop(Duration::from_secs(5)).await;
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
async fn are_handled(app: &App, part: &str) -> Result<bool, BoxError> {
    if part == "projector" {
        return Ok(!app.lag().await?.contains_key("projection/crashes.projector"));
    }
    for (id, amount) in [("kim", 4), ("lee", 2), ("choi", 3)] {
        let is_handled = match part {
            "projection" | "mirror" | "decoded_mirror" => {
                let found = app.storage().views("last-payment", &[id.to_owned()]).await?.pop();
                let value = found.and_then(|found| found.value);
                let payment = value.map(|value| serde_json::from_slice::<LastPayment>(&value)).transpose()?;
                payment.is_some_and(|payment| payment.amount == amount)
            }
            _ => {
                // A view can be unavailable for a while, since its projection waits after a crash.
                let card = app.send(FindCard(id.to_owned())).await.unwrap_or_default();
                card.is_some_and(|card| card.name == format!("{id} {amount}"))
            }
        };
        if !is_handled {
            return Ok(false);
        }
    }
    Ok(true)
}
/// Redelivers everything, and prints the messages that stay parked.
async fn redeliver_all(app: &App) -> Result<(), BoxError> {
    let by = Metadata::default().caller("kim, on call");
    let mut redelivery = app.parked().redeliver_selected(ParkedSelection::default(), None, &by).await?;
    let done = redelivery.run_until(std::future::pending(), |_| ()).await?;
    for failure in &done.failures {
        println!("{} {} {} {}", failure.reader, failure.keys, failure.messages, failure.class);
    }
    Ok(())
}

/// Commits the messages: those of three accounts, and the fatal one with a later one of its key between them.
async fn prepare(database: &str) -> Result<(), BoxError> {
    let storage = open(database).await?;
    storage.migrate().await?;
    let app = bank(Tested { inner: storage, in_memory: None }).build()?;
    for id in ["kim", "lee", "choi", "park"] {
        opened(&app, id).await;
    }
    for (id, amount) in PAYMENTS {
        paid_in(&app, id, amount).await;
    }
    Ok(())
}
/// Parks the same messages for the subscriber to the topic, each key with this error.
async fn prepare_parked(database: &str, error: &str) -> Result<(), BoxError> {
    let storage = open(database).await?;
    storage.migrate().await?;
    let app = bank(Tested { inner: storage, in_memory: None }).build()?;
    let mut batch = Batch::default();
    for (number, (id, amount)) in PAYMENTS.into_iter().enumerate() {
        let message = Uuid::from_u128(number as u128 + 1);
        let record = record(&PaymentMade { id: id.to_owned(), amount }, 1, message);
        let partition = Partition { topic: record.topic.clone(), part: "0".to_owned() };
        let (reader, error) = ("crashes.topic".to_owned(), error.to_owned());
        let record = Some(crate::listener::received(record, &partition, number as u64));
        let key = id.to_owned();
        batch.parks.push(Park { reader, key, behind: false, message, at: 1, record, error, attempts: 1 });
    }
    for id in ["kim", "lee", "choi", "park"] {
        opened(&app, id).await;
    }
    app.storage().commit(batch).await?;
    Ok(())
}
/// Starts the process and waits for its end. Returns its output, or `None` if the message has ended it.
async fn run(database: &str, part: &str, does: &str) -> Result<Option<String>, BoxError> {
    let mut command = Command::new(env::current_exe()?);
    command.env(DATABASE, database).env(PART, part).env(DOES, does).kill_on_drop(true);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.map_err(|_| "the process has neither ended nor parked the message within 60 s")??;
    match output.status.code() {
        None => Ok(None),
        Some(0) => Ok(Some(String::from_utf8(output.stdout)?)),
        Some(code) => Err(format!("code {code}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
/// Starts processes until one is not ended by the message, at most ten. Returns their number, and its output.
async fn run_until_parked(database: &str, part: &str, does: &str) -> Result<(u32, Option<String>), BoxError> {
    let mut ended = 0;
    while ended < 10 {
        if let Some(output) = run(database, part, does).await? {
            return Ok((ended, Some(output)));
        }
        ended += 1;
    }
    Ok((ended, None))
}

/// A message that ends the process is parked after three ends that are attributed to it, and one before.
pub(crate) async fn parked(database: &str, part: &str) -> Result<(), BoxError> {
    match part {
        "left" => prepare_parked(database, LEFT_TO_NEWER_PROGRAM).await?,
        _ => prepare(database).await?,
    }
    let (ended, output) = run_until_parked(database, part, "aborts").await?;
    let output = output.ok_or("the message was never parked")?;
    assert_eq!(ended, 4, "{output}");
    assert!(output.contains("park 2 "), "the later message of the key waits as well: {output}");
    // Also for a message that an older program has left: it is not this program's to leave.
    assert!(output.contains("the process ended 3 times while it handled this message"), "{output}");
    Ok(())
}
/// A message that ends the process in a redelivery is not tried again by the fifth redelivery of all. The redelivery of its
/// key tries it.
pub(crate) async fn redelivered(database: &str) -> Result<(), BoxError> {
    prepare_parked(database, "down").await?;
    let (ended, output) = run_until_parked(database, "redelivered", "aborts").await?;
    let output = output.ok_or("every redelivery ended its process")?;
    assert_eq!(ended, 4, "{output}");
    assert!(output.contains("crashes.topic 1 2 "), "one key stays parked: {output}");
    // The class of the error has no number.
    assert!(output.contains("the process ended * times while it handled this message"), "{output}");
    let storage = open(database).await?;
    let app = bank(Tested { inner: storage, in_memory: None }).discover_part(concat!(module_path!(), "::on_decoder"));
    let (app, by) = (app.build()?, Metadata::default().caller("kim, on call"));
    let alone = app.parked().redeliver("crashes.topic", "park", &by).await?;
    let (_, error) = alone.stopped.ok_or("no subscriber of this program handles the message")?;
    assert!(error.to_string().contains("no handler"), "it was not tried: {error}");
    Ok(())
}
/// Seeded bug: without a durable count, the message ends every process.
pub(crate) async fn forgotten(database: &str, part: &str) -> Result<(), BoxError> {
    prepare(database).await?;
    assert_eq!(run_until_parked(database, part, "forgets").await?, (10, None));
    Ok(())
}
/// A shutdown while the message is handled is no crash, even if the message does not end in time.
pub(crate) async fn shut_down(database: &str, part: &str) -> Result<(), BoxError> {
    prepare(database).await?;
    for _ in 0..3 {
        assert_eq!(run(database, part, "aborts").await?, None);
    }
    for _ in 0..3 {
        assert!(run(database, part, "hangs").await?.is_some());
    }
    assert_eq!(run_until_parked(database, part, "aborts").await?.0, 1);
    Ok(())
}
