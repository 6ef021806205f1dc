//! A bank account, whole: three commands, three rules, a balance to read, PostgreSQL.
use cqrs_core::{
    Aggregate, App, Change, Command, DomainError, Event, Evolve, Query, Repo, Result, Streams, View, Views,
};
use cqrs_core::{handler, projection, storage::Postgres};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = AccountEvent)]
struct Account {
    #[id]
    id: String,
    balance: u64,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", version = 1)]
enum AccountEvent {
    Opened { id: String },
    Deposited { id: String, amount: u64 },
    Withdrawn { id: String, amount: u64 },
}
use AccountEvent::{Deposited, Opened, Withdrawn};

#[derive(Debug, thiserror::Error, DomainError)]
#[kind(precondition)]
enum AccountError {
    #[error("an amount is more than nothing")]
    Nothing,
    #[error("{0} is more than the balance")]
    InsufficientFunds(u64),
    #[error("the account is full")]
    Full,
}

impl Account {
    fn deposit(&self, amount: u64) -> std::result::Result<AccountEvent, AccountError> {
        self.balance.checked_add(amount).ok_or(AccountError::Full)?;
        if amount == 0 { Err(AccountError::Nothing) } else { Ok(Deposited { id: self.id.clone(), amount }) }
    }
    fn withdraw(&self, amount: u64) -> std::result::Result<AccountEvent, AccountError> {
        let enough = amount <= self.balance;
        if enough {
            Ok(Withdrawn { id: self.id.clone(), amount })
        } else {
            Err(AccountError::InsufficientFunds(amount))
        }
    }
}

impl Evolve<AccountEvent> for Account {
    fn create(event: &AccountEvent) -> Option<Self> {
        if let Opened { id } = event { Some(Account { id: id.clone(), balance: 0 }) } else { None }
    }
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            Opened { .. } => (),
            Deposited { amount, .. } => self.balance += amount,
            Withdrawn { amount, .. } => self.balance -= amount,
        }
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Open(String);
#[derive(Clone, Serialize, Deserialize, Command)]
struct Deposit(String, u64);
#[derive(Clone, Serialize, Deserialize, Command)]
struct Withdraw(String, u64);
#[derive(Clone, Query)]
struct GetBalance(String);

#[handler]
async fn open(Open(id): Open, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.create(Opened { id })?;
    Ok(())
}
#[handler]
async fn deposit(Deposit(id, amount): Deposit, accounts: Repo<Account>) -> Result<u64, AccountError> {
    Ok(accounts.update(&id, |account| account.deposit(amount)).await?.balance)
}
#[handler]
async fn withdraw(Withdraw(id, amount): Withdraw, accounts: Repo<Account>) -> Result<u64, AccountError> {
    Ok(accounts.update(&id, |account| account.withdraw(amount)).await?.balance)
}
#[handler]
async fn get_balance(GetBalance(id): GetBalance, balances: Views<Balance>) -> Result<Option<Balance>, AccountError> {
    Ok(balances.get(&id).await?)
}

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "balance", key = String)]
struct Balance(u64);

#[projection(name = "balance")]
fn balance(event: &AccountEvent) -> Change<Balance> {
    match event.clone() {
        Opened { id } => Balance(0).put(id),
        Deposited { id, amount } => Balance::update(id, move |balance| balance.0 += amount),
        Withdrawn { id, amount } => Balance::update(id, move |balance| balance.0 -= amount),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Ok(())
}
