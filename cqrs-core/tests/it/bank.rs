//! A small bank for the tests of the framework: an account, a card of it, what others are told.
use crate::trials::trial;
use cqrs_core::{
    Aggregate, App, BoxError, Change, Command, Contract, DomainError, Event, Evolve, Heard, Never, Query, Repo, Result,
    Rows, Running, Source, View, Views, handler, projection, publish,
    storage::{Memory, Storage},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(crate) const BANK: &str = module_path!();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = AccountEvent)]
pub(crate) struct Account {
    #[id]
    pub(crate) id: String,
    #[unique]
    pub(crate) name: String,
    pub(crate) balance: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", version = 1)]
pub(crate) enum AccountEvent {
    Opened { id: String, name: String },
    Renamed { id: String, name: String },
    Paid { id: String, amount: i64 },
}

impl Evolve<AccountEvent> for Account {
    fn create(event: &AccountEvent) -> Option<Self> {
        match event {
            AccountEvent::Opened { id, name } => Some(Account { id: id.clone(), name: name.clone(), balance: 0 }),
            _ => None,
        }
    }
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => (),
            AccountEvent::Renamed { name, .. } => self.name.clone_from(name),
            AccountEvent::Paid { amount, .. } => self.balance += amount,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, DomainError)]
pub(crate) enum AccountError {
    #[error("there are only {0}")]
    #[kind(precondition)]
    Insufficient(i64),
}

impl Account {
    pub(crate) fn pay(&self, amount: i64) -> std::result::Result<AccountEvent, AccountError> {
        if self.balance + amount < 0 {
            return Err(AccountError::Insufficient(self.balance));
        }
        Ok(AccountEvent::Paid { id: self.id.clone(), amount })
    }
    pub(crate) fn rename(&self, name: &str) -> std::result::Result<Option<AccountEvent>, AccountError> {
        Ok((name != self.name).then(|| AccountEvent::Renamed { id: self.id.clone(), name: name.into() }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) name: String,
}
#[handler]
async fn open(command: Open, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.create(AccountEvent::Opened { id: command.id, name: command.name })?;
    Ok(())
}

/// In, or with a negative amount out; the answer is the balance.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Pay {
    pub(crate) id: String,
    pub(crate) amount: i64,
}
#[handler]
async fn pay(command: Pay, accounts: Repo<Account>) -> Result<i64, AccountError> {
    Ok(accounts.update(&command.id, |account| account.pay(command.amount)).await?.balance)
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Rename {
    pub(crate) id: String,
    pub(crate) name: String,
}
#[handler]
async fn rename(command: Rename, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.update(&command.id, |account| account.rename(&command.name)).await?;
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "card", key = String)]
#[index(richest(-balance))]
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) balance: i64,
}
#[projection(name = "card")]
fn card(event: &AccountEvent) -> Change<Card> {
    match event.clone() {
        AccountEvent::Opened { id, name } => Card { name, balance: 0 }.put(id),
        AccountEvent::Renamed { id, name } => Card::update(id, move |card| card.name = name),
        AccountEvent::Paid { id, amount } => Card::update(id, move |card| card.balance += amount),
    }
}

#[derive(Debug, Clone, Query)]
pub(crate) struct FindCard(pub(crate) String);
#[handler]
async fn find_card(query: FindCard, cards: Views<Card>) -> Result<Option<Card>, Never> {
    Ok(cards.get(&query.0).await?)
}

/// What others are told: of payments only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) amount: i64,
}
impl Contract for Told {
    const NAME: &'static str = "com.example.bank.paid.v1";
    const TOPIC: &'static str = "bank.events.v1";
    fn key(&self) -> String {
        self.id.clone()
    }
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it is plain data")
    }
    fn decode(bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
impl Heard for Told {
    const SOURCE: Source = Source::Topic { topic: Told::TOPIC, name: Told::NAME };
    fn decode(_: &str, _: u32, bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        <Told as Contract>::decode(bytes)
    }
}
#[publish]
fn paid(event: &AccountEvent) -> Option<Told> {
    match event {
        AccountEvent::Paid { id, amount } => Some(Told { id: id.clone(), amount: *amount }),
        _ => None,
    }
}

/// The bank on a storage, accounts as rows.
pub(crate) fn bank(storage: impl Storage) -> App {
    App::new("bank").discover(BANK).aggregate(Rows::<Account>::new()).storage(storage)
}
pub(crate) async fn opened(app: &Running, id: &str) {
    app.send(Open { id: id.into(), name: format!("name of {id}") }).await.expect("it opens");
}
pub(crate) async fn paid_in(app: &Running, id: &str, amount: i64) -> i64 {
    app.send(Pay { id: id.into(), amount }).await.expect("it is paid")
}
/// Looks until it is so; a busy machine may take its time.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let looks = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), looks).await.is_ok(), "never so: {what}");
}

/// The same test on memory and, where it is built in, on SQLite.
pub(crate) fn on_each<F: Future<Output = ()> + 'static>(name: &str, test: fn(App) -> F) -> Vec<Trial> {
    let mut trials = vec![trial(format!("{name}: memory"), move || test(bank(Memory::new())))];
    #[cfg(feature = "sqlite")]
    trials.push(trial(format!("{name}: sqlite"), move || async move {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("bank.db")).await;
        let storage = storage.expect("a new database opens");
        storage.migrate().await.expect("a new database takes the schema");
        test(bank(storage)).await;
    }));
    trials
}
