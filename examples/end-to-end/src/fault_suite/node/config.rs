//! The configuration of a node: one line of JSON on its command line.
use super::HandlerBehaviour;
use crate::fault_suite::{
    deploy::Program,
    layers::{Fail, SeededBug},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Sends commands.
    Writer,
    /// Relays the log to the broker.
    Relay,
    /// Consumes the topic as a subscriber.
    Consumer,
    /// Consumes the topic as a projection.
    Projection,
    /// Reads the log while the writers append to it.
    Reader,
    /// Serves queries of the writers' views from a Redis, as a query server does.
    Queries,
    /// Rebuilds the view of the writers' own log and ends, as `views rebuild` does.
    Rebuild,
    /// Fires the timers of alarms.
    Alarms,
    /// Runs the service `orders` of the example `order-fulfilment`, with its process manager.
    Orders,
    /// Runs the service `inventory` of that example.
    Inventory,
}

/// The configuration of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    pub role: Role,
    /// URL of the database.
    pub database: String,
    /// `bootstrap.servers` of the broker.
    pub kafka: String,
    /// URL of the Redis with the views of a query server, in a scenario with one.
    pub views: Option<String>,
    /// The scenario's suffix of topic and group names.
    pub scope: String,
    /// The folder of the node's files.
    pub folder: PathBuf,
    /// The node's name, unique within the scenario.
    pub name: String,
    /// The number of this start, unique among all starts of nodes in the scenario.
    pub start: u64,
    /// The seed of the node's random numbers.
    pub seed: u64,
    /// The number of partitions of the topic.
    pub partitions: i32,
    /// True if the node creates the topic.
    pub creates: bool,
    /// The duration of a lease, in milliseconds.
    pub lease: u64,
    /// The session time-out of a group member, in milliseconds.
    pub session: u64,
    /// The maximum number of connections to the database.
    pub connections: u32,
    /// The time limit of a statement, in milliseconds. A call ends at most three seconds later.
    pub statement_timeout: u64,
    /// True if the node writes its health to a file.
    pub reports_health: bool,
    /// True if the node serves its operations endpoint and writes the address to a file.
    pub serves_operations: bool,
    /// The topic that the process accepts, as `topics accept` does, instead of running its role.
    pub accepts: Option<String>,
    /// The static member name in the group (`group.instance.id`), which outlives the process.
    pub instance: Option<String>,
    /// The error of the clock in seconds; the clock jumps between right and wrong while the node runs.
    pub skew: i64,
    /// The load of a writer.
    pub writing: Writing,
    /// The behaviour of a subscriber's handler.
    pub behaviour: HandlerBehaviour,
    /// The crash point.
    pub fail: Option<Fail>,
    pub seeded_bug: Option<SeededBug>,
    /// The program before or after a deploy, in a scenario with one.
    pub program: Option<Program>,
}

/// The load of a writer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Writing {
    /// The number of concurrent commands.
    pub tasks: u64,
    /// The number of accounts.
    pub keys: u64,
    /// The maximum number of commands per second; 0 means unlimited.
    pub rate: u64,
    /// True if commands are dropped at random await points.
    pub cancels: bool,
}

impl Config {
    /// Returns the path of a file of this start of the node.
    pub fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}-{}.{kind}", self.name, self.start))
    }
    /// Writes the node's report on its end.
    pub(super) fn write_report(&self, report: &super::ShutdownReport) -> anyhow::Result<()> {
        Ok(std::fs::write(self.file("report"), serde_json::to_vec(report)?)?)
    }
}
