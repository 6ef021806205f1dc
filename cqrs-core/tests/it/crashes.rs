//! A message that ends its process is parked after a few ends, and everything else goes on.
//!
//! The process that ends is this program, started again.
use crate::{
    bank::{AccountEvent, FindCard, PaymentMade, bank, opened, paid_in},
    trials::runtime,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Fault, Recorded, Repo,
    storage::{Memory, ParkedPage, Storage},
    subscriber,
    testing::StorageLayer,
};
use std::{
    env,
    process::{ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::process::Command;

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
    use crate::trials::trial;
    vec![
        trial("crashes: sqlite: a message that ends its process is parked", async move || {
            on_sqlite(parked, "topic").await
        }),
        trial("crashes: sqlite: an event of the log that ends its process is parked", async move || {
            on_sqlite(parked, "log").await;
        }),
    ]
}

/// The amount of the payment whose handling ends the process.
const FATAL: i64 = 13;

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
    let part =
        if part == "topic" { concat!(module_path!(), "::on_topic") } else { concat!(module_path!(), "::on_log") };
    let app = bank(storage).discover_part(part).lease(Duration::from_secs(1)).build()?;
    let background = app.start().await?;
    loop {
        if HANGS.load(Ordering::SeqCst) {
            assert!(!background.stop(Duration::from_millis(300)).await, "the message must not end");
            return Ok(());
        }
        let parked = app.storage().parked_keys(&ParkedPage::default()).await?;
        if let ([parked], true) = (&*parked, are_handled(&app).await?)
            && parked.count == 2
        {
            println!("{} {} {} {}", parked.reader, parked.key, parked.count, parked.error);
            background.stop(Duration::from_secs(5)).await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
async fn are_handled(app: &App) -> Result<bool, BoxError> {
    for (id, name) in [("kim", "kim 4"), ("lee", "lee 2"), ("choi", "choi 3")] {
        if app.send(FindCard(id.to_owned())).await?.is_none_or(|card| card.name != name) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Commits the messages: those of three accounts, and the fatal one with a later one of its key between them.
async fn prepare(database: &str) -> Result<(), BoxError> {
    let storage = open(database).await?;
    storage.migrate().await?;
    let app = bank(Tested { inner: storage, in_memory: None }).build()?;
    for id in ["kim", "lee", "choi", "park"] {
        opened(&app, id).await;
    }
    for (id, amount) in [("kim", 1), ("lee", 2), ("park", FATAL), ("park", 14), ("choi", 3), ("kim", 4)] {
        paid_in(&app, id, amount).await;
    }
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
    prepare(database).await?;
    let (ended, output) = run_until_parked(database, part, "aborts").await?;
    let output = output.ok_or("the message was never parked")?;
    assert_eq!(ended, 4, "{output}");
    assert!(output.contains("park 2 "), "the later message of the key waits as well: {output}");
    assert!(output.contains("the process ended 3 times while it handled this message"), "{output}");
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
