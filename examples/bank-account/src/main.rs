//! A bank account in one file: three commands, three rules, a read model of the balance, PostgreSQL.
//! Run it with `cargo run -p bank-account -- postgres://user:password@localhost/bank`, or with `DATABASE_URL` set.
use cqrs_core::{
    Aggregate, App, Change, Command, DomainError, Event, EventSourced, Evolve, HandlerResult, Metadata, Query, Repo,
};
use cqrs_core::{View, Views, handler, projection, storage::postgres::Postgres};
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
    Opened { id: String },
    Deposited { id: String, amount: u64 },
    Withdrawn { id: String, amount: u64 },
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
        if amount == 0 { Err(AccountError::NotPositive) } else { Ok(Deposited { id: self.id.clone(), amount }) }
    }
    fn withdraw(&self, amount: u64) -> Result<AccountEvent, AccountError> {
        self.balance.checked_sub(amount).ok_or(AccountError::InsufficientFunds(amount))?;
        if amount == 0 { Err(AccountError::NotPositive) } else { Ok(Withdrawn { id: self.id.clone(), amount }) }
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
#[handler]
async fn open(Open(id): Open, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    accounts.create(Opened { id })?;
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
fn balance(event: &AccountEvent) -> Change<Balance> {
    match event.clone() {
        Opened { id } => Balance(0).put(id),
        Deposited { id, amount } => Balance::update(id, move |balance| balance.0 += amount),
        Withdrawn { id, amount } => Balance::update(id, move |balance| balance.0 -= amount),
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
    let url = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok());
    let url = url.ok_or_else(|| {
        anyhow::anyhow!("no database: pass a URL such as postgres://user:password@localhost/bank, or set DATABASE_URL")
    })?;
    let storage = Postgres::connect(&url).await?;
    let app = App::builder("bank")
        .discover(module_path!())
        .aggregate(EventSourced::<Account>::new())
        .storage(storage)
        .build()?;
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
    use cqrs_core::testing::{TestApp, given};

    fn opened() -> AccountEvent {
        Opened { id: "kim".into() }
    }
    fn deposited(amount: u64) -> AccountEvent {
        Deposited { id: "kim".into(), amount }
    }
    #[test]
    fn a_withdrawal_above_the_balance_is_refused() {
        let withdrawn = Withdrawn { id: "kim".into(), amount: 10 };
        given::<Account>([opened(), deposited(10)]).when(|account| account.withdraw(10)).then([withdrawn.clone()]);
        given::<Account>([opened(), deposited(10)])
            .when(|account| account.withdraw(11))
            .then_rejected(InsufficientFunds(11));
        given::<Account>([opened(), deposited(10), withdrawn])
            .when(|account| account.withdraw(1))
            .then_rejected(InsufficientFunds(1));
        given::<Account>([opened()]).when(|account| account.withdraw(0)).then_rejected(NotPositive);
    }
    #[test]
    fn a_deposit_above_the_largest_amount_is_refused() {
        given::<Account>([opened()]).when(|account| account.deposit(u64::MAX)).then([deposited(u64::MAX)]);
        given::<Account>([opened(), deposited(u64::MAX)]).when(|account| account.deposit(1)).then_rejected(Full);
        given::<Account>([opened()]).when(|account| account.deposit(0)).then_rejected(NotPositive);
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
