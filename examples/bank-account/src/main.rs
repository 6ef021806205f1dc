//! A bank account in one file: three commands, three rules, a read model of the balance, PostgreSQL.
//! Run it with `cargo run -p bank-account -- postgres://user:password@localhost/bank`, or with `DATABASE_URL` set.
use anyhow::Context;
use cqrs_core::{Aggregate, App, Change, Command, DomainError, Event, EventSourced, Evolve, HandlerResult, Metadata};
use cqrs_core::{Query, Recorded, Repo, View, Views, handler, projection, storage::postgres::Postgres};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = AccountEvent)]
struct Account {
    #[id]
    id: String,
    balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", version = 1)]
enum AccountEvent {
    Opened,
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}
use AccountEvent::{Deposited, Opened, Withdrawn};

#[derive(Debug, PartialEq, thiserror::Error, DomainError)]
#[kind(precondition)]
enum AccountError {
    #[error("the amount must be greater than zero")]
    NotPositive,
    #[error("the balance is less than {0}")]
    InsufficientFunds(u64),
    #[error("the balance would exceed the largest possible amount")]
    Full,
}

impl Account {
    fn deposit(&self, amount: u64) -> Result<AccountEvent, AccountError> {
        self.balance.checked_add(amount).ok_or(AccountError::Full)?;
        if amount == 0 { Err(AccountError::NotPositive) } else { Ok(Deposited { amount }) }
    }
    fn withdraw(&self, amount: u64) -> Result<AccountEvent, AccountError> {
        self.balance.checked_sub(amount).ok_or(AccountError::InsufficientFunds(amount))?;
        if amount == 0 { Err(AccountError::NotPositive) } else { Ok(Withdrawn { amount }) }
    }
}

impl Evolve<AccountEvent> for Account {
    fn create(id: String, event: &AccountEvent) -> Option<Self> {
        (*event == Opened).then_some(Account { id, balance: 0 })
    }
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            Opened => (),
            Deposited { amount } => self.balance += amount,
            Withdrawn { amount } => self.balance -= amount,
        }
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Open(String);
#[handler]
async fn open(Open(id): Open, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    accounts.create(id, Opened)?;
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Deposit(String, u64);
#[handler]
async fn deposit(Deposit(id, amount): Deposit, accounts: Repo<Account>) -> HandlerResult<u64, AccountError> {
    Ok(accounts.update(&id, |account| account.deposit(amount)).await?.balance)
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Withdraw(String, u64);
#[handler]
async fn withdraw(Withdraw(id, amount): Withdraw, accounts: Repo<Account>) -> HandlerResult<u64, AccountError> {
    Ok(accounts.update(&id, |account| account.withdraw(amount)).await?.balance)
}

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "balance", key = String)]
struct Balance(u64);
#[projection(name = "balance")]
fn balance(event: &Recorded<AccountEvent>) -> Change<Balance> {
    let id = event.aggregate_id.clone();
    match event.event {
        Opened => Balance(0).put(id),
        Deposited { amount } => Balance::update(id, move |balance| balance.0 += amount),
        Withdrawn { amount } => Balance::update(id, move |balance| balance.0 -= amount),
    }
}

#[derive(Clone, Query)]
struct GetBalance(String);
#[handler]
async fn get_balance(GetBalance(id): GetBalance, balances: Views<Balance>) -> HandlerResult<Option<u64>, AccountError> {
    Ok(balances.find(&id).await?.map(|balance| balance.0))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).or(std::env::var("DATABASE_URL").ok()).context("pass the database's URL")?;
    let app = App::builder("bank").discover(module_path!()).storage(Postgres::connect(&url).await?);
    let app = app.aggregate(EventSourced::<Account>::new()).build()?;
    let _background = app.start().await?;
    // With the idempotency key the account is opened once, however often the program runs.
    app.with(Metadata::default().key("open kim")).send(Open("kim".into())).await?;
    app.send(Deposit("kim".into(), 100)).await?;
    app.send(Withdraw("kim".into(), 30)).await?;
    println!("balance: {:?}", app.send(GetBalance("kim".into())).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::AccountError::{Full, InsufficientFunds, NotPositive};
    use super::{
        Account, AccountEvent, App, Deposit, Deposited, EventSourced, GetBalance, Open, Opened, Withdraw, Withdrawn,
    };
    use cqrs_core::testing::{Given, TestApp, given};

    fn account(past: impl IntoIterator<Item = AccountEvent>) -> Given<Account> {
        given("kim".into(), past)
    }
    #[test]
    fn a_withdrawal_above_the_balance_is_refused() {
        let withdrawn = Withdrawn { amount: 10 };
        account([Opened, Deposited { amount: 10 }]).when(|account| account.withdraw(10)).then([withdrawn.clone()]);
        account([Opened, Deposited { amount: 10 }])
            .when(|account| account.withdraw(11))
            .then_rejected(InsufficientFunds(11));
        account([Opened, Deposited { amount: 10 }, withdrawn])
            .when(|account| account.withdraw(1))
            .then_rejected(InsufficientFunds(1));
        account([Opened]).when(|account| account.withdraw(0)).then_rejected(NotPositive);
    }
    #[test]
    fn a_deposit_above_the_largest_amount_is_refused() {
        account([Opened]).when(|account| account.deposit(u64::MAX)).then([Deposited { amount: u64::MAX }]);
        account([Opened, Deposited { amount: u64::MAX }]).when(|account| account.deposit(1)).then_rejected(Full);
        account([Opened]).when(|account| account.deposit(0)).then_rejected(NotPositive);
    }
    #[tokio::test]
    async fn the_balance_follows_deposits_and_withdrawals() {
        let app = App::builder("bank")
            .discover(module_path!().trim_end_matches("::tests"))
            .aggregate(EventSourced::<Account>::new());
        let app = TestApp::start(app).await.unwrap();
        app.send(Open("kim".into())).await.unwrap();
        assert_eq!(app.send(Deposit("kim".into(), 100)).await.unwrap(), 100);
        assert_eq!(app.send(Withdraw("kim".into(), 30)).await.unwrap(), 70);
        assert_eq!(app.send(GetBalance("kim".into())).await.unwrap(), Some(70));
        assert_eq!(app.send(GetBalance("lee".into())).await.unwrap(), None);
    }
}
