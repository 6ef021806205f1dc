//! What is counted: credits to accounts, numbered, each with an id that its caller chose.
use super::check::Posting;
use cqrs_core::{
    Aggregate, BoxError, Command, Contract, DomainError, Event, Evolve, Heard, Recorded, Repo, Result, Source, handler,
    publish,
};
use serde::{Deserialize, Serialize};

/// Where this module's functions stand.
pub const ACCOUNT: &str = module_path!();

/// An account: how many credits it has had, and their sum.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = Credited)]
pub struct Account {
    #[id]
    key: String,
    seq: u64,
    sum: i64,
}

/// A credit.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "account.credited", version = 1)]
pub struct Credited {
    key: String,
    seq: u64,
    amount: i64,
    id: u64,
}

impl Credited {
    /// The credit at a place of the log.
    pub fn posting(self, at: u64) -> Posting {
        let Credited { key, seq, amount, id } = self;
        Posting { at, key, seq, amount, id }
    }
}

impl Evolve<Credited> for Account {
    fn create(event: &Credited) -> Option<Self> {
        Some(Account { key: event.key.clone(), seq: event.seq, sum: event.amount })
    }
    fn apply(&mut self, event: &Credited) {
        self.seq = event.seq;
        self.sum += event.amount;
    }
}

/// Credits that belong together: all of them happen, or none.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct Credit {
    /// The account.
    pub key: String,
    /// The command's number; the credits' ids follow from it.
    pub number: u64,
    /// One credit each.
    pub amounts: Vec<i64>,
}

/// The id of a command's credit. A command has at most 64.
pub fn id_of(command: u64, place: usize) -> u64 {
    command << 6 | place as u64
}

/// What is refused.
#[derive(Debug, Clone, thiserror::Error, DomainError)]
pub enum CreditError {
    /// The whole command is refused for one such credit.
    #[error("a credit of nothing")]
    #[kind(invalid)]
    Nothing,
}

impl Credit {
    fn credits(&self, after: u64) -> std::result::Result<Vec<Credited>, CreditError> {
        if self.amounts.contains(&0) {
            return Err(CreditError::Nothing);
        }
        let credit = |(place, amount): (usize, &i64)| Credited {
            key: self.key.clone(),
            seq: after + 1 + place as u64,
            amount: *amount,
            id: id_of(self.number, place),
        };
        Ok(self.amounts.iter().enumerate().map(credit).collect())
    }
}

/// The answer is the number of the first credit.
#[handler]
async fn credit(command: Credit, accounts: Repo<Account>) -> Result<u64, CreditError> {
    match accounts.find(&command.key).await? {
        None => {
            accounts.create(command.credits(0)?)?;
            Ok(1)
        }
        Some(before) => {
            accounts.update(&command.key, |account| command.credits(account.seq)).await?;
            Ok(before.seq + 1)
        }
    }
}

/// What others are told of a credit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Posted {
    /// The account.
    pub key: String,
    /// Its number on the account.
    pub seq: u64,
    /// How much.
    pub amount: i64,
    /// Which credit.
    pub id: u64,
}
impl Contract for Posted {
    const NAME: &'static str = "ledger.posted.v1";
    const TOPIC: &'static str = "ledger.accounts.v1";
    fn key(&self) -> String {
        self.key.clone()
    }
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // plain data always can be
    }
    fn decode(bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
impl Heard for Posted {
    const SOURCE: Source = Source::Topic { topic: Posted::TOPIC, name: Posted::NAME };
    fn decode(_: &str, _: u32, bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        <Posted as Contract>::decode(bytes)
    }
}

#[publish]
fn posted(event: &Recorded<Credited>) -> Option<Posted> {
    let Credited { key, seq, amount, id } = event.event.clone();
    Some(Posted { key, seq, amount, id })
}
