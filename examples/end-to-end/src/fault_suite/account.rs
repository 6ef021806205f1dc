//! The aggregate under test: an account with numbered credits, each with an id that its caller chose.
use super::check::Posting;
use anyhow::Context;
use cqrs_core::{
    Aggregate, Command, DomainError, Event, Evolve, HandlerResult, IntegrationEvent, Recorded, Repo, handler, publish,
};
use serde::{Deserialize, Serialize};

/// The module to discover.
pub const ACCOUNT: &str = module_path!();

/// An account: the number of its credits, and their sum.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = Credited)]
pub struct Account {
    #[id]
    key: String,
    seq: u64,
    sum: i64,
}

/// A credit to an account.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "account.credited", version = 1)]
pub struct Credited {
    seq: u64,
    amount: i64,
    id: u64,
}

impl Credited {
    /// Returns the credit of an account as a posting at a position of the log.
    pub fn posting(self, key: String, at: u64) -> Posting {
        let Credited { seq, amount, id } = self;
        Posting { at, key, seq, amount, id }
    }
    /// Returns the integration event of the credit.
    pub fn posted(self, key: String) -> Posted {
        let Credited { seq, amount, id } = self;
        Posted { key, seq, amount, id }
    }
}

impl Evolve<Credited> for Account {
    fn create(key: String, event: &Credited) -> Option<Self> {
        Some(Account { key, seq: event.seq, sum: event.amount })
    }
    fn apply(&mut self, event: &Credited) {
        self.seq = event.seq;
        self.sum += event.amount;
    }
}

/// Returns the account that a stream of the account or of its mirror belongs to.
///
/// # Errors
/// Fails when the name of the stream is not that of an aggregate and its id.
pub fn account_of(stream: &str) -> anyhow::Result<String> {
    let (_, key) = stream.split_once('/').with_context(|| format!("stream {stream} has no id"))?;
    Ok(key.to_owned())
}

/// A command that books several credits: either all of them or none.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct Credit {
    /// The account.
    pub key: String,
    /// The command's number. The ids of the credits are derived from it, see [`id_of`].
    pub number: u64,
    /// The amount of each credit.
    pub amounts: Vec<i64>,
}

/// Returns the id of the credit at an index of a command. A command has at most 64 credits.
pub fn id_of(command: u64, place: usize) -> u64 {
    command << 6 | place as u64
}

/// The reasons to refuse a [`Credit`].
#[derive(Debug, Clone, thiserror::Error, DomainError)]
pub enum CreditError {
    /// An amount is 0; the whole command is refused.
    #[error("the amount of a credit must not be 0")]
    #[kind(invalid)]
    Nothing,
}

impl Credit {
    /// Returns the credits of the command after a number of its account.
    ///
    /// # Errors
    /// Fails when an amount is 0.
    pub fn credits(&self, after: u64) -> Result<Vec<Credited>, CreditError> {
        if self.amounts.contains(&0) {
            return Err(CreditError::Nothing);
        }
        let credit = |(place, amount): (usize, &i64)| Credited {
            seq: after + 1 + place as u64,
            amount: *amount,
            id: id_of(self.number, place),
        };
        Ok(self.amounts.iter().enumerate().map(credit).collect())
    }
}

/// Books the credits and returns the number of the first one.
#[handler]
async fn credit(command: Credit, accounts: Repo<Account>) -> HandlerResult<u64, CreditError> {
    match accounts.find(&command.key).await? {
        None => {
            let credits = command.credits(0)?;
            accounts.create(command.key, credits)?;
            Ok(1)
        }
        Some(before) => {
            accounts.update(&command.key, |account| command.credits(account.seq)).await?;
            Ok(before.seq + 1)
        }
    }
}

/// The integration event of a credit.
#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "faults.posted.v1", topic = "faults.accounts.v1", key = key)]
pub struct Posted {
    /// The account.
    pub key: String,
    /// The number of the credit on its account, from 1.
    pub seq: u64,
    pub amount: i64,
    /// The id of the credit, see [`id_of`].
    pub id: u64,
}
#[publish]
fn posted(event: &Recorded<Credited>) -> Option<Posted> {
    Some(event.event.clone().posted(event.aggregate_id.clone()))
}
