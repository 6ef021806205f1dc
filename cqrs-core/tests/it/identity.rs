//! The identity of a database: its service, and the epoch of its positions.
use crate::{
    bank::{Card, FindCard, Pay, bank, opened},
    trials::trial,
};
#[cfg(feature = "operations")]
use cqrs_core::operations::{EpochCommand, ParkedCommand, ProgramsCommand, TopicsCommand};
use cqrs_core::{
    App, ConsistencyToken, Error, ErrorKind, Fault, Metadata, Position,
    app::ForeignDatabase,
    storage::{Memory, Storage},
    testing::{StorageLayer, TestApp},
};
use libtest_mimic::Trial;
#[cfg(feature = "operations")]
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{
    error::Error as _,
    sync::{Arc, Mutex},
};

pub(crate) fn trials() -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one list"))]
    let mut trials = vec![
        trial("identity: a token of another epoch is refused at once: memory", || async {
            outdated(Memory::new()).await.expect("the token is refused");
        }),
        trial("identity: the database of another service is refused, and nothing is changed: memory", || async {
            foreign(Memory::new()).await;
        }),
        trial("identity: seeded: an epoch that a start does not read again is noticed", || async {
            let seeded = FirstEpoch::default();
            assert!(outdated(seeded).await.is_err(), "the bug was not noticed");
        }),
    ];
    #[cfg(feature = "sqlite")]
    trials.extend([
        trial("identity: a token of another epoch is refused at once: sqlite", || async {
            let (storage, _directory) = in_file().await;
            outdated(storage).await.expect("the token is refused");
        }),
        trial("identity: the database of another service is refused, and nothing is changed: sqlite", || async {
            let (storage, _directory) = in_file().await;
            foreign(storage).await;
        }),
    ]);
    trials
}

#[cfg(feature = "sqlite")]
async fn in_file() -> (cqrs_core::storage::Sqlite, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = cqrs_core::storage::Sqlite::open(directory.path().join("bank.db")).await;
    (storage.expect("a new database opens"), directory)
}

/// Takes a token, renews the epoch as after a restore, and reads with the token again.
pub(crate) async fn outdated(storage: impl Storage + Clone) -> Result<(), String> {
    let app = TestApp::start(bank(storage.clone())).await.expect("the app starts");
    opened(&app, "kim").await;
    let pay = || Pay { id: "kim".into(), amount: 5 };
    let paid = app.with(Metadata::NONE).send_committed(pay()).await.expect("the payment succeeds");
    let token = app.token(paid.position);
    assert!(token.epoch("bank").is_some(), "a token of an app that has started has no epoch: {token}");
    let unreached = app.token(Position(1_000_000));
    let find = async |app: &App, token: &ConsistencyToken| {
        app.with(Metadata::default().token(token.clone())).send(FindCard("kim".into())).await
    };
    let card = Some(Card { name: "name of kim".into(), balance: 5 });
    assert_eq!(find(&app, &token).await.expect("a token of this epoch is accepted"), card);
    assert!(app.stop().await);

    // A replica that starts again keeps the epoch.
    let app = TestApp::start(bank(storage.clone())).await.expect("the app starts");
    assert_eq!(app.token(paid.position), token);
    assert!(app.stop().await);

    let renewed = bank(storage.clone()).build().expect("the app builds").renew_epoch().await.expect("an epoch begins");
    assert!(Some(renewed) > token.epoch("bank"), "a later epoch is greater");
    let app = TestApp::start(bank(storage)).await.expect("the app starts");
    // A read that waited would find that the position is not reached.
    for token in [&unreached, &token] {
        let read = find(&app, token).await;
        let Err(error @ Error::OutdatedToken(_)) = read else { return Err(format!("{read:?}")) };
        assert_eq!((error.kind(), &*error.reason()), (ErrorKind::Precondition, "CONSISTENCY_TOKEN_OUTDATED"));
        assert!(error.to_string().contains("another epoch of the database of service bank"), "{error}");
    }
    let without: ConsistencyToken = "bank=2".parse().expect("a token from before epochs");
    assert_eq!(find(&app, &without).await.expect("a token without an epoch is accepted"), card);
    let paid = app.with(Metadata::default().token(token.clone())).send_committed(pay()).await;
    let mut seen = token;
    seen.merge(&app.token(paid.expect("a command does not compare the token").position));
    let card = Some(Card { name: "name of kim".into(), balance: 10 });
    assert_eq!(find(&app, &seen).await.expect("a merged token has the later epoch"), card);
    assert!(app.stop().await);
    Ok(())
}

pub(crate) async fn foreign(storage: impl Storage + Clone) {
    let first = bank(storage.clone()).build().expect("the app builds");
    first.migrate().await.expect("a new database is nobody's");
    let second = App::builder("shop").storage(storage.clone()).build().expect("the app builds");
    let refused = async || {
        let notes = storage.notes("").await.expect("the notes are read");
        let refused = second.migrate().await.expect_err("the database of another service");
        let source = refused.source().and_then(|source| source.downcast_ref::<ForeignDatabase>());
        let source = source.expect("the source is typed");
        assert_eq!((&*source.service, &*source.owner), ("shop", "bank"));
        assert_eq!(storage.programs(0).await.expect("the programs are read").len(), 1);
        assert_eq!(storage.notes("").await.expect("the notes are read"), notes);
    };
    refused().await;
    let renewed = second.renew_epoch().await.expect_err("the database of another service");
    assert!(renewed.source().is_some_and(|source| source.is::<ForeignDatabase>()), "{renewed}");
    // A database from before identities belongs to the service whose programs have used it.
    let removed = storage.replace_note("database/service", Some("bank"), None).await;
    assert!(removed.expect("the note is removed"));
    refused().await;
    #[cfg(feature = "operations")]
    commands(storage.clone(), "shop").await;
    first.migrate().await.expect("its own database");
    refused().await;
    #[cfg(feature = "operations")]
    {
        commands(storage.clone(), "shop").await;
        let (own, migrations) = migrating(storage, "bank");
        let list = ParkedCommand::List { reader: None, after: Vec::new(), limit: 10 };
        list.print(&own).await.expect("its own database");
        assert_eq!(migrations.load(SeqCst), 1, "a command migrates its own database");
    }
}

/// Runs every command of an operator as another service, on the database of the bank.
#[cfg(feature = "operations")]
async fn commands(storage: impl Storage + Clone, service: &'static str) {
    let (app, migrations) = migrating(storage.clone(), service);
    let (reader, key) = (Some("bank.mail".to_owned()), "kim".to_owned());
    let redeliver = |dry_run| ParkedCommand::Redeliver {
        reader: reader.clone(),
        key: None,
        error: None,
        class: None,
        all: false,
        after: Vec::new(),
        rate: None,
        dry_run,
        by: "kim".to_owned(),
    };
    let (why, by) = ("by mistake".to_owned(), "kim".to_owned());
    let discard = ParkedCommand::Discard { reader: "bank.mail".to_owned(), key, number: 1, why, by };
    let list = ParkedCommand::List { reader: None, after: Vec::new(), limit: 10 };
    let notes = storage.notes("").await.expect("the notes are read");
    let end = storage.high_water_mark().await.expect("the log is read");
    let mut ended = Vec::new();
    for command in [list, redeliver(true), redeliver(false), discard] {
        ended.push(command.print(&app).await);
    }
    ended.push(TopicsCommand::Accept { topic: "bank.events.v1".to_owned() }.print(&app).await);
    ended.push(EpochCommand::Renew.print(&app).await);
    ended.push(ProgramsCommand::List.print(&app).await);
    for ended in ended {
        let error = ended.expect_err("the database of another service");
        assert!(error.source().is_some_and(|source| source.is::<ForeignDatabase>()), "{error}");
    }
    assert_eq!(migrations.load(SeqCst), 0, "the database of another service was migrated");
    assert_eq!(storage.notes("").await.expect("the notes are read"), notes);
    assert_eq!(storage.high_water_mark().await.expect("the log is read"), end);
}

/// Returns an app on a storage that counts its migrations.
#[cfg(feature = "operations")]
fn migrating(storage: impl Storage + Clone, service: &'static str) -> (App, Arc<AtomicUsize>) {
    let migrations = Arc::new(AtomicUsize::new(0));
    let counted = Counted { storage: Arc::new(storage), migrations: migrations.clone() };
    (App::builder(service).storage(counted).build().expect("the app builds"), migrations)
}

/// A storage that counts its migrations.
#[cfg(feature = "operations")]
struct Counted {
    storage: Arc<dyn Storage>,
    migrations: Arc<AtomicUsize>,
}
#[cfg(feature = "operations")]
#[async_trait::async_trait]
impl StorageLayer for Counted {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.migrations.fetch_add(1, SeqCst);
        self.inner().migrate().await
    }
}

/// A storage that answers with the first epoch for ever.
#[derive(Clone, Default)]
struct FirstEpoch {
    memory: Memory,
    first: Arc<Mutex<Vec<(String, String)>>>,
}
#[async_trait::async_trait]
impl StorageLayer for FirstEpoch {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let notes = self.memory.notes(prefix).await?;
        if prefix != "database/epoch" {
            return Ok(notes);
        }
        let mut first = self.first.lock().expect("nothing panics with the lock");
        if first.is_empty() {
            *first = notes;
        }
        Ok(first.clone())
    }
}
