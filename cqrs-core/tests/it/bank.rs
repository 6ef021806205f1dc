//! A small bank for the framework's tests: an account, a view of it, and an integration event.
use crate::trials::trial;
use cqrs_core::{
    Aggregate, App, AppBuilder, Change, Command, DomainError, Event, Evolve, HandlerResult, Infallible,
    IntegrationEvent, Query, Recorded, Repo, StateStored, View, Views, handler, projection, publish,
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
    Opened { name: String },
    Renamed { name: String },
    Paid { amount: i64 },
}

impl Evolve<AccountEvent> for Account {
    fn create(id: String, event: &AccountEvent) -> Option<Self> {
        match event {
            AccountEvent::Opened { name } => Some(Account { id, name: name.clone(), balance: 0 }),
            _ => None,
        }
    }
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => (),
            AccountEvent::Renamed { name } => self.name.clone_from(name),
            AccountEvent::Paid { amount } => self.balance += amount,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, DomainError)]
pub(crate) enum AccountError {
    #[error("the balance is only {0}")]
    #[kind(precondition)]
    Insufficient(i64),
}

impl Account {
    pub(crate) fn pay(&self, amount: i64) -> Result<AccountEvent, AccountError> {
        if self.balance + amount < 0 {
            return Err(AccountError::Insufficient(self.balance));
        }
        Ok(AccountEvent::Paid { amount })
    }
    pub(crate) fn rename(&self, name: &str) -> Result<Option<AccountEvent>, AccountError> {
        Ok((name != self.name).then(|| AccountEvent::Renamed { name: name.into() }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) name: String,
}
#[handler]
async fn open(command: Open, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    accounts.create(command.id, AccountEvent::Opened { name: command.name })?;
    Ok(())
}

/// Pays the amount in, or out if it is negative, and returns the balance.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Pay {
    pub(crate) id: String,
    pub(crate) amount: i64,
}
#[handler]
async fn pay(command: Pay, accounts: Repo<Account>) -> HandlerResult<i64, AccountError> {
    Ok(accounts.update(&command.id, |account| account.pay(command.amount)).await?.balance)
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Rename {
    pub(crate) id: String,
    pub(crate) name: String,
}
#[handler]
async fn rename(command: Rename, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
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
fn card(event: &Recorded<AccountEvent>) -> Change<Card> {
    let id = event.aggregate_id.clone();
    match event.event.clone() {
        AccountEvent::Opened { name } => Card { name, balance: 0 }.put(id),
        AccountEvent::Renamed { name } => Card::update(id, move |card| card.name = name),
        AccountEvent::Paid { amount } => Card::update(id, move |card| card.balance += amount),
    }
}

#[derive(Debug, Clone, Query)]
pub(crate) struct FindCard(pub(crate) String);
#[handler]
async fn find_card(query: FindCard, cards: Views<Card>) -> HandlerResult<Option<Card>, Infallible> {
    Ok(cards.find(&query.0).await?)
}

/// The integration event of the bank: only payments are published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.bank.paid.v1", topic = "bank.events.v1", key = id)]
pub(crate) struct PaymentMade {
    pub(crate) id: String,
    pub(crate) amount: i64,
}
#[publish]
fn paid(event: &Recorded<AccountEvent>) -> Option<PaymentMade> {
    match event.event {
        AccountEvent::Paid { amount } => Some(PaymentMade { id: event.aggregate_id.clone(), amount }),
        _ => None,
    }
}

/// Builds the bank on a storage, with state-stored accounts.
pub(crate) fn bank(storage: impl Storage) -> AppBuilder {
    App::builder("bank").discover_part(BANK).aggregate(StateStored::<Account>::new()).storage(storage)
}
pub(crate) async fn opened(app: &App, id: &str) {
    app.send(Open { id: id.into(), name: format!("name of {id}") }).await.expect("the account opens");
}
pub(crate) async fn paid_in(app: &App, id: &str, amount: i64) -> i64 {
    app.send(Pay { id: id.into(), amount }).await.expect("the payment succeeds")
}
/// Polls until the condition holds, and panics after a minute; a busy machine may be slow.
pub(crate) async fn until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), polling).await.is_ok(), "not within 60 s: {condition}");
}

/// Lists the same test on memory and, if the feature is on, on SQLite.
pub(crate) fn on_each<F: Future<Output = ()> + 'static>(name: &str, test: fn(AppBuilder) -> F) -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one test"))]
    let mut trials = vec![trial(format!("{name}: memory"), move || test(bank(Memory::new())))];
    #[cfg(feature = "sqlite")]
    trials.push(trial(format!("{name}: sqlite"), move || async move {
        let directory = tempfile::tempdir().expect("a temporary directory for the database");
        let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("bank.db")).await;
        let storage = storage.expect("a new database opens");
        storage.migrate().await.expect("the schema can be created");
        test(bank(storage)).await;
    }));
    trials
}
