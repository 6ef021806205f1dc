//! A bank account, whole: three commands, three rules, a balance to read, PostgreSQL.
//! `cargo run -p bank-account -- postgres://user:password@localhost/bank`, or with `DATABASE_URL` set.
use cqrs_core::{Aggregate, App, Change, Command, DomainError, Event, Evolve, Metadata, Query, Repo, Result, Streams};
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
    #[error("an amount is more than nothing")]
    Nothing,
    #[error("{0} is more than the balance")]
    InsufficientFunds(u64),
    #[error("the account is full")]
    Full,
}

impl Account {
    fn deposit(&self, amount: u64) -> core::result::Result<AccountEvent, AccountError> {
        self.balance.checked_add(amount).ok_or(AccountError::Full)?;
        if amount == 0 { Err(AccountError::Nothing) } else { Ok(Deposited { id: self.id.clone(), amount }) }
    }
    fn withdraw(&self, amount: u64) -> core::result::Result<AccountEvent, AccountError> {
        self.balance.checked_sub(amount).ok_or(AccountError::InsufficientFunds(amount))?;
        if amount == 0 { Err(AccountError::Nothing) } else { Ok(Withdrawn { id: self.id.clone(), amount }) }
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
async fn open(Open(id): Open, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.create(Opened { id })?;
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Deposit(String, u64);
#[handler]
async fn deposit(Deposit(id, amount): Deposit, accounts: Repo<Account>) -> Result<u64, AccountError> {
    Ok(accounts.update(&id, |account| account.deposit(amount)).await?.balance)
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Withdraw(String, u64);
#[handler]
async fn withdraw(Withdraw(id, amount): Withdraw, accounts: Repo<Account>) -> Result<u64, AccountError> {
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
async fn get_balance(GetBalance(id): GetBalance, balances: Views<Balance>) -> Result<Option<u64>, AccountError> {
    Ok(balances.get(&id).await?.map(|balance| balance.0))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok());
    let url = url.ok_or_else(|| anyhow::anyhow!("name a database: bank-account postgres://..."))?;
    let storage = Postgres::connect(&url).await?;
    let app =
        App::new("bank").discover(module_path!()).aggregate(Streams::<Account>::new()).storage(storage).build()?;
    let _background = app.start().await?;
    // The key lets the program run again: the account is opened once.
    app.with(Metadata::default().key("open kim")).send(Open("kim".into())).await?;
    app.send(Deposit("kim".into(), 100)).await?;
    app.send(Withdraw("kim".into(), 30)).await?;
    println!("balance: {:?}", app.send(GetBalance("kim".into())).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::AccountError::{Full, InsufficientFunds, Nothing};
    use super::{
        Account, AccountEvent, App, Deposit, Deposited, GetBalance, Open, Opened, Streams, Withdraw, Withdrawn,
    };
    use cqrs_core::testing::{TestApp, given};

    fn opened() -> AccountEvent {
        Opened { id: "kim".into() }
    }
    fn deposited(amount: u64) -> AccountEvent {
        Deposited { id: "kim".into(), amount }
    }
    #[test]
    fn what_is_there_can_be_withdrawn_and_no_more() {
        let withdrawn = Withdrawn { id: "kim".into(), amount: 10 };
        given::<Account>([opened(), deposited(10)]).when(|it| it.withdraw(10)).then([withdrawn.clone()]);
        given::<Account>([opened(), deposited(10)]).when(|it| it.withdraw(11)).then_rejected(InsufficientFunds(11));
        given::<Account>([opened(), deposited(10), withdrawn])
            .when(|it| it.withdraw(1))
            .then_rejected(InsufficientFunds(1));
        given::<Account>([opened()]).when(|it| it.withdraw(0)).then_rejected(Nothing);
    }
    #[test]
    fn an_account_has_room_for_so_much() {
        given::<Account>([opened()]).when(|it| it.deposit(u64::MAX)).then([deposited(u64::MAX)]);
        given::<Account>([opened(), deposited(u64::MAX)]).when(|it| it.deposit(1)).then_rejected(Full);
        given::<Account>([opened()]).when(|it| it.deposit(0)).then_rejected(Nothing);
    }
    #[tokio::test]
    async fn the_balance_is_what_came_of_it() {
        let app =
            App::new("bank").discover(module_path!().trim_end_matches("::tests")).aggregate(Streams::<Account>::new());
        let app = TestApp::start(app).await.unwrap();
        app.send(Open("kim".into())).await.unwrap();
        assert_eq!(app.send(Deposit("kim".into(), 100)).await.unwrap(), 100);
        assert_eq!(app.send(Withdraw("kim".into(), 30)).await.unwrap(), 70);
        assert_eq!(app.send(GetBalance("kim".into())).await.unwrap(), Some(70));
        assert_eq!(app.send(GetBalance("lee".into())).await.unwrap(), None);
    }
}
