//! The writers' program after a deploy: it books the last credit of a command as a bonus, on some accounts.
use super::Ledger;
use crate::fault_suite::account::{Credit, CreditError, Credited, Posted};
use cqrs_core::{
    Aggregate, Change, Command, Event, Evolve, HandlerResult, IntegrationEvent, Recorded, Repo, handler, projection,
    publish,
};
use serde::{Deserialize, Serialize};

/// The module to discover.
pub const NEW: &str = module_path!();

/// The account, with the stored state of the old program.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = Booked)]
pub struct Account {
    #[id]
    key: String,
    seq: u64,
    sum: i64,
}

/// A booking on an account. The old program knows the event `account.credited` alone.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "account", version = 1)]
#[serde(untagged)]
pub enum Booked {
    /// A credit for a reason, which distinguishes its stored form from that of a plain credit.
    Bonus {
        /// The reason.
        reason: String,
        /// The credit.
        #[serde(flatten)]
        credit: Credited,
    },
    /// A plain credit, stored as by the old program.
    Credited(Credited),
}
impl Booked {
    fn credit(&self) -> &Credited {
        match self {
            Booked::Bonus { credit, .. } | Booked::Credited(credit) => credit,
        }
    }
    fn posted(&self, key: &str) -> Posted {
        self.credit().clone().posted(key.to_owned())
    }
}

impl Evolve<Booked> for Account {
    fn create(key: String, event: &Booked) -> Option<Self> {
        let mut account = Account { key, seq: 0, sum: 0 };
        account.apply(event);
        Some(account)
    }
    fn apply(&mut self, event: &Booked) {
        let Posted { seq, amount, .. } = event.posted(&self.key);
        self.seq = seq;
        self.sum += amount;
    }
}

/// Returns true if an account has bonuses: those of one digit, so that other accounts must not be affected.
pub fn has_bonuses(key: &str) -> bool {
    key.ends_with('7')
}

/// The command [`Credit`] of this program.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct Book(pub Credit);

impl Book {
    fn bookings(&self, after: u64) -> Result<Vec<Booked>, CreditError> {
        let mut booked: Vec<_> = self.0.credits(after)?.into_iter().map(Booked::Credited).collect();
        if has_bonuses(&self.0.key)
            && let Some(Booked::Credited(credit)) = booked.pop()
        {
            booked.push(Booked::Bonus { reason: "a loyal customer".to_owned(), credit });
        }
        Ok(booked)
    }
}

/// Books the credits and returns the number of the first one.
#[handler]
async fn book(command: Book, accounts: Repo<Account>) -> HandlerResult<u64, CreditError> {
    match accounts.find(&command.0.key).await? {
        None => {
            let bookings = command.bookings(0)?;
            accounts.create(command.0.key, bookings)?;
            Ok(1)
        }
        Some(before) => {
            accounts.update(&command.0.key, |account| command.bookings(account.seq)).await?;
            Ok(before.seq + 1)
        }
    }
}

#[publish]
fn posted(booked: &Recorded<Booked>) -> Option<Posted> {
    matches!(booked.event, Booked::Credited(_)).then(|| booked.event.posted(&booked.aggregate_id))
}

/// The integration event of a bonus. Its body is that of [`Posted`].
#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "faults.bonus.v1", topic = "faults.accounts.v1", key = key)]
pub struct BonusPosted {
    /// The account.
    pub key: String,
    /// The number of the bonus among the credits of its account.
    pub seq: u64,
    pub amount: i64,
    /// The id of the bonus.
    pub id: u64,
}
#[publish]
fn bonus(booked: &Recorded<Booked>) -> Option<BonusPosted> {
    let Booked::Bonus { .. } = booked.event else { return None };
    let Posted { key, seq, amount, id } = booked.event.posted(&booked.aggregate_id);
    Some(BonusPosted { key, seq, amount, id })
}

#[projection(name = "ledger")]
fn ledger(booked: &Recorded<Booked>) -> Change<Ledger> {
    let posted = booked.event.posted(&booked.aggregate_id);
    Change::none().and(posted.key.clone(), move |before: Option<Ledger>| {
        let mut tally = before.map_or_else(Default::default, |Ledger(tally)| tally);
        tally.post(&posted);
        Some(Ledger(tally))
    })
}
