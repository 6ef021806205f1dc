//! Everything that was seen of a run: what callers know, the log, the topic, and what consumers made of it.
use crate::ledger::tally::Tally;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was seen of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What callers know, from their history files.
    pub commands: Vec<Command>,
    /// The log, by position.
    pub log: Vec<Posting>,
    /// The topic from its first offset on, each partition in order.
    pub topic: Vec<Copied>,
    /// Ids of parked messages.
    pub parked: BTreeSet<u64>,
    /// What the projection has, if one ran.
    pub tallies: Option<BTreeMap<String, Tally>>,
    /// What the subscriber applied, in the order of its commits, if one ran.
    pub applied: Option<Vec<Posting>>,
    /// How many messages the subscriber has marked as handled, if one ran.
    pub marks: Option<u64>,
    /// What each reader of the feed saw, in order.
    pub feeds: Vec<Vec<Posting>>,
    /// What was acknowledged and what was applied after each crash of a consumer.
    pub crashes: Vec<Crash>,
    /// Lanes whose cursor was seen to go back.
    pub went_back: Vec<String>,
    /// How many duplicates what was done to the run explains.
    pub allowed: u64,
    /// What did not arrive or did not end in time.
    pub left: Vec<String>,
}

/// A command, as its caller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its number.
    pub number: u64,
    /// The account.
    pub key: String,
    /// How many credits.
    pub count: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// Jepsen's three outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, and its first credit has this number.
    Ok(u64),
    /// It did not happen.
    Fail,
    /// Nobody knows: the caller was killed or gave up.
    Info,
}

/// A credit at a place: in the log, in a feed, or where it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Posting {
    /// Its position there.
    pub at: u64,
    /// The account.
    pub key: String,
    /// Its number on the account.
    pub seq: u64,
    /// How much.
    pub amount: i64,
    /// Which credit.
    pub id: u64,
}

/// A copy of a credit on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The account.
    pub key: String,
    /// Its number on the account.
    pub seq: u64,
    /// Which credit.
    pub id: u64,
}

/// What was there after a consumer's crash, before it was started again.
#[derive(Debug, Clone, Default)]
pub struct Crash {
    /// The group's offset of each partition: everything before it is acknowledged.
    pub committed: BTreeMap<i32, i64>,
    /// Ids that were applied by then.
    pub applied: BTreeSet<u64>,
}
