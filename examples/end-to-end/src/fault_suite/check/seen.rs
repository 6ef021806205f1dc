//! The observations of a run: the callers' histories, the log, the topic and the effects of the consumers.
use super::Invariant;
use crate::fault_suite::tally::Tally;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The observations of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The commands and their outcomes, from the callers' history files.
    pub commands: Vec<Command>,
    /// The log in the order of its positions.
    pub log: Vec<Posting>,
    /// The topic from its first offset on, each partition in order.
    pub topic: Vec<Copied>,
    /// Ids of parked messages.
    pub parked: BTreeSet<u64>,
    /// The projection's views by account, if a projection ran.
    pub tallies: Option<BTreeMap<String, Tally>>,
    /// The views of the writers' own log by account, if a projection on that log ran.
    pub ledger: Option<BTreeMap<String, Tally>>,
    /// The views of the query side by account, if query servers ran.
    pub query_side: Option<BTreeMap<String, Tally>>,
    /// The answers of the query servers.
    pub answers: Vec<Answer>,
    /// The credits that the subscriber applied, in the order of its commits, if one ran.
    pub applied: Option<Vec<Posting>>,
    /// The number of the subscriber's inbox records, if one ran.
    pub inbox_records: Option<u64>,
    /// The entries that each reader of the log saw, in order.
    pub log_reads: Vec<Vec<Posting>>,
    /// The acknowledged offsets and applied ids after each crash of a subscriber.
    pub crashes: Vec<Crash>,
    /// Relay shards with a checkpoint that went back.
    pub went_back: Vec<String>,
    /// The number of duplicates that the injected faults explain.
    pub allowed: u64,
    /// Descriptions of everything that did not arrive or did not end in time.
    pub left: Vec<String>,
    /// Violations that the scenario itself has observed.
    pub observed: Vec<(Invariant, String)>,
    /// Descriptions of the messages that are parked, or were parked without a cause.
    pub stuck: Vec<String>,
    /// The alarms, if a service with alarms ran.
    pub alarms: Option<Alarms>,
    /// The orders, if the services of the example `order-fulfilment` ran.
    pub orders: Option<Orders>,
}
impl Seen {
    /// Returns the number of events in the logs.
    pub(super) fn events(&self) -> usize {
        let of_alarms = self.alarms.as_ref().map_or(0, |alarms| alarms.rung.len());
        let of_orders = self.orders.as_ref().map_or(0, |orders| orders.events.len() + orders.stock.len());
        self.log.len() + of_alarms + of_orders
    }
}

/// Alarms and their effects.
#[derive(Debug, Clone, Default)]
pub struct Alarms {
    /// The number of alarms that were due; their numbers begin at 0.
    pub due: u64,
    /// The number of alarms with the next numbers, which were not due yet.
    pub far: u64,
    /// The rings, in the order of their commits.
    pub rung: Vec<Ring>,
    /// The names of the stored timers, with whether each is due.
    pub waiting: BTreeMap<String, bool>,
}
/// A ring of a bell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    pub bell: String,
    /// The number of the alarm.
    pub number: u64,
}

/// Orders, their process manager and their goods.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The orders whose callers have a response.
    pub placed: Vec<String>,
    /// The order and the name of each event of an order, in the order of the log.
    pub events: Vec<(String, String)>,
    /// The noted reactions of the process manager, in the order of the log.
    pub moved: Vec<Moved>,
    /// The stored instances of the process manager, by order.
    pub instances: BTreeMap<String, Instance>,
    /// The names of the stored timers, with whether each is due.
    pub timers: BTreeMap<String, bool>,
    /// The order and the name of each event about its goods in the inventory, in the order of its log.
    pub stock: Vec<(String, String)>,
}
/// A noted reaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    pub key: String,
    pub step: u64,
    pub from: String,
    pub to: String,
    /// The names of the commands that the reaction has sent.
    pub sent: Vec<String>,
}
/// A stored instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    pub status: String,
    pub state: String,
    pub steps: u64,
}

/// A command, as its caller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command's number, as in [`id_of`](crate::fault_suite::account::id_of).
    pub number: u64,
    /// The account.
    pub key: String,
    /// The number of credits.
    pub count: usize,
    pub outcome: Outcome,
}

/// The three outcomes that Jepsen distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The command succeeded, and its first credit has this number.
    Ok(u64),
    /// The command was refused.
    Fail,
    /// The outcome is unknown: the caller was killed or gave up.
    Info,
}

/// A credit at a position of a log, as stored or as a reader saw it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Posting {
    /// The position in the log.
    pub at: u64,
    /// The account.
    pub key: String,
    /// The number of the credit on its account, from 1.
    pub seq: u64,
    pub amount: i64,
    /// The id of the credit.
    pub id: u64,
}

/// An answer of a query server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The account.
    pub key: String,
    /// The position of the token that the caller has sent.
    pub at: u64,
    /// The view of the account, if it was found.
    pub tally: Option<Tally>,
}

/// A copy of a credit on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub partition: i32,
    pub offset: i64,
    /// The account.
    pub key: String,
    /// The number of the credit on its account, from 1.
    pub seq: u64,
    /// The id of the credit.
    pub id: u64,
}

/// The state after a subscriber's crash, before it was started again.
#[derive(Debug, Clone, Default)]
pub struct Crash {
    /// The group's offset of each partition. Everything before it is acknowledged.
    pub committed: BTreeMap<i32, i64>,
    /// The ids that had been applied.
    pub applied: BTreeSet<u64>,
}
