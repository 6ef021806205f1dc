//! What a node is told: one line of JSON on its command line.
use super::Temper;
use crate::ledger::layers::{Fail, Plant};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Sends commands.
    Writer,
    /// Relays the log to the broker.
    Relay,
    /// Hears the topic as a subscriber.
    Consumer,
    /// Hears the topic as a projection.
    Projection,
    /// Reads the log beside the writers.
    Reader,
}

/// What a node is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// What it does.
    pub role: Role,
    /// Its database.
    pub database: String,
    /// The broker.
    pub kafka: String,
    /// The scenario: part of the names of topics and groups.
    pub scope: String,
    /// Where its files are.
    pub folder: PathBuf,
    /// Its name there.
    pub name: String,
    /// A number that no other start of a node has.
    pub start: u64,
    /// What its chances are drawn from.
    pub seed: u64,
    /// How many partitions the topic has.
    pub partitions: i32,
    /// Whether it creates the topic.
    pub creates: bool,
    /// How long a lease lasts, in milliseconds.
    pub lease: u64,
    /// How long a member may be silent, in milliseconds.
    pub session: u64,
    /// Connections to the database, at most.
    pub connections: u32,
    /// A name in the group that outlives the process.
    pub instance: Option<String>,
    /// How much its clock is wrong, in seconds; jumps there and back while it runs.
    pub skew: i64,
    /// What a writer does.
    pub writing: Writing,
    /// What a subscriber's handler is like.
    pub temper: Temper,
    /// Where it dies.
    pub fail: Option<Fail>,
    /// Its bug.
    pub plant: Option<Plant>,
}

/// What a writer does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Writing {
    /// How many commands are under way.
    pub tasks: u64,
    /// How many accounts.
    pub keys: u64,
    /// Commands a second, at most; 0 is as many as it can.
    pub rate: u64,
    /// Whether commands are dropped at any of their awaits.
    pub cancels: bool,
}

impl Config {
    /// A file of this start of the node.
    pub fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}-{}.{kind}", self.name, self.start))
    }
    /// Leaves a last word.
    pub(super) fn say(&self, goodbye: &super::Goodbye) -> anyhow::Result<()> {
        Ok(std::fs::write(self.file("goodbye"), serde_json::to_vec(goodbye)?)?)
    }
}
