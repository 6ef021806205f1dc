//! A command on PostgreSQL through the framework. It loads one account and writes one row and one log entry.
use super::DEPOSIT;
use crate::{
    subject::{Caller, Counters, Subject},
    system::Server,
};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, AppBuilder, Command, Event, EventSourced, Evolve, HandlerResult, Infallible, Repo, StateStored,
    handler, storage::postgres::Postgres,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = AccountEvent)]
struct Account {
    #[id]
    id: String,
    owner: String,
    balance: u64,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", version = 1)]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64 },
}

impl Evolve<AccountEvent> for Account {
    fn create(id: String, event: &AccountEvent) -> Option<Self> {
        let AccountEvent::Opened { owner } = event.clone() else { return None };
        Some(Account { id, owner, balance: 0 })
    }
    fn apply(&mut self, event: &AccountEvent) {
        if let AccountEvent::Deposited { amount } = event {
            self.balance += amount;
        }
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct OpenAccount {
    id: String,
    owner: String,
}
#[handler]
async fn open_account(command: OpenAccount, accounts: Repo<Account>) -> HandlerResult<()> {
    accounts.create(command.id, AccountEvent::Opened { owner: command.owner })?;
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Deposit {
    account: String,
    amount: u64,
}
#[handler]
async fn deposit(command: Deposit, accounts: Repo<Account>) -> HandlerResult<u64> {
    let event = AccountEvent::Deposited { amount: command.amount };
    let account = accounts.update(&command.account, |_| Ok::<_, Infallible>(event)).await?;
    Ok(account.balance)
}

/// Gives an account its past, in one commit.
#[derive(Clone, Serialize, Deserialize, Command)]
struct DepositOften {
    account: String,
    events: usize,
}
#[handler]
async fn deposit_often(command: DepositOften, accounts: Repo<Account>) -> HandlerResult<()> {
    let events = vec![AccountEvent::Deposited { amount: DEPOSIT }; command.events];
    accounts.update(&command.account, |_| Ok::<_, Infallible>(events)).await?;
    Ok(())
}

/// The number of events between two snapshots.
const SNAPSHOT_EVERY: u32 = 100;

/// Returns the number of accounts of each caller, which take turns so that a run does not lengthen their pasts much.
fn accounts_with(past: usize) -> usize {
    match past {
        0 => 1,
        1..100 => 200,
        100..5_000 => 20,
        5_000.. => 5,
    }
}

/// An app on a database of its own. It runs no background job, so that the row shows the command alone.
pub(crate) struct FrameworkCommand {
    name: &'static str,
    app: App,
    server: Server,
    /// The number of events that an account has before a run.
    past: usize,
}
impl FrameworkCommand {
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        FrameworkCommand::with(server, "framework", 0, |app| app.aggregate(StateStored::<Account>::new())).await
    }
    /// Starts an app whose accounts are state-stored, with a past of this many events.
    pub(crate) async fn state_stored(server: &Server, past: usize) -> Result<Self> {
        FrameworkCommand::with(server, "state-stored", past, |app| app.aggregate(StateStored::<Account>::new())).await
    }
    /// Starts an app whose accounts are event-sourced and have snapshots, with a past of this many events.
    pub(crate) async fn event_sourced(server: &Server, past: usize) -> Result<Self> {
        let accounts = || EventSourced::<Account>::new().snapshot_every(SNAPSHOT_EVERY);
        FrameworkCommand::with(server, "event-sourced", past, |app| app.aggregate(accounts())).await
    }
    async fn with(
        server: &Server,
        name: &'static str,
        past: usize,
        accounts: impl FnOnce(AppBuilder) -> AppBuilder,
    ) -> Result<Self> {
        let database = format!("{}_{past}", name.replace('-', "_"));
        let storage = Postgres::connect(server.database(&database)?.url()).await?;
        let app = accounts(App::builder("bank").discover_part(module_path!()).storage(storage)).build()?;
        app.migrate().await?;
        Ok(FrameworkCommand { name, app, server: server.clone(), past })
    }
    /// Opens an account and gives it its past.
    async fn open_account(&self) -> Result<OpenedAccount> {
        let id = Uuid::now_v7().to_string();
        self.app.send(OpenAccount { id: id.clone(), owner: "Kim".to_owned() }).await?;
        if self.past > 0 {
            self.app.send(DepositOften { account: id.clone(), events: self.past }).await?;
        }
        Ok(OpenedAccount { id, balance: self.past as u64 * DEPOSIT })
    }
}
#[async_trait]
impl Subject for FrameworkCommand {
    fn name(&self) -> &'static str {
        self.name
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            let mut accounts = Vec::new();
            for _ in 0..accounts_with(self.past) {
                accounts.push(self.open_account().await?);
            }
            callers.push(Box::new(Depositor { app: self.app.clone(), accounts, calls: 0 }));
        }
        Ok(callers)
    }
    async fn counters(&self) -> Result<Counters> {
        self.server.counters().await
    }
}

struct OpenedAccount {
    id: String,
    balance: u64,
}
struct Depositor {
    app: App,
    accounts: Vec<OpenedAccount>,
    calls: usize,
}
#[async_trait]
impl Caller for Depositor {
    async fn call(&mut self) -> Result<()> {
        let number = self.calls % self.accounts.len().max(1);
        self.calls += 1;
        let account = self.accounts.get_mut(number).context("no account was opened")?;
        let balance = self.app.send(Deposit { account: account.id.clone(), amount: DEPOSIT }).await?;
        account.balance += DEPOSIT;
        ensure!(balance == account.balance, "expected a balance of {}, received {balance}", account.balance);
        Ok(())
    }
}
