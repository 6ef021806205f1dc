//! What is measured: every name, its unit and its labels, described once and recorded where it happens.
//!
//! Recorded through the `metrics` facade: with no recorder installed it costs next to nothing, and a query is not measured at all.
//! Feature `operations` serves them to Prometheus. Everything is labelled `service`, since several may live in one process.
//!
//! | name | kind | labels beside `service` | what it tells |
//! |---|---|---|---|
//! | [`COMMIT_SECONDS`] | histogram | `command`, `outcome` | how long the database takes to commit what a command staged |
//! | [`COMMAND_RETRIES`] | counter | `command` | decided again, since somebody else was faster |
//! | [`COMMAND_REPEATS`] | counter | `command` | answered with the first answer of its idempotency key |
//! | [`MESSAGES`] | counter | `group`, `outcome` | attempts of a group's subscribers: `handled`, `known`, `conflict`, `failed`; and what was `parked` |
//! | [`MESSAGE_AGE_SECONDS`] | histogram | `group` | from the commit of an event to the commit of its effect |
//! | [`PARKED`] | gauge | `reader` | messages that wait aside for an operator |
//! | [`PROJECTED`] | counter | `projection` | events applied |
//! | [`PUBLISHED`] | counter | `audience` | records that were acknowledged; the broker's audience has no name |
//! | [`PUBLISH_FAILURES`] | counter | `audience` | publishes that were not |
//! | [`STEP_FAILURES`] | counter | `job` | steps of background jobs that failed and are tried again |
//! | [`LAG`], [`LAG_SECONDS`] | gauge | `kind`, `reader` | positions that a reader of the log has to go, and the age of the first of them |
//! | [`GROUP_LAG`] | gauge | `group`, `topic` (and no `service`) | records on the broker that a group has to go, of the partitions this process has |
//! | [`HORIZON_SECONDS`] | gauge | | how long the oldest writer of the log has held up its readers |
//! | [`HORIZON_PID`] | gauge | | its process on PostgreSQL: `pg_terminate_backend` ends it; 0 without one |
//! | [`CONNECTIONS`], [`CONNECTION_LIMIT`] | gauge | `state`: `used`, `idle` | connections to the database |
//! | [`UP`] | gauge | `part` | 1 while the database answers, the broker takes records |
//!
//! Gauges are set when somebody asks ([`Running::measure`](crate::Running::measure)), so that a figure is as old as the question.
use crate::{
    Timestamp,
    batch::{Position, Rejected},
    world::World,
};
use metrics::{SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::{sync::Arc, time::Duration};

/// Seconds from the commit's start to its end.
pub const COMMIT_SECONDS: &str = "cqrs_commit_duration_seconds";
/// Commands decided again after a conflict.
pub const COMMAND_RETRIES: &str = "cqrs_command_retries_total";
/// Commands answered from their idempotency key.
pub const COMMAND_REPEATS: &str = "cqrs_command_repeats_total";
/// Attempts to handle a message.
pub const MESSAGES: &str = "cqrs_messages_total";
/// Seconds from an event's commit to its effect's.
pub const MESSAGE_AGE_SECONDS: &str = "cqrs_message_age_seconds";
/// Messages that are parked.
pub const PARKED: &str = "cqrs_parked_messages";
/// Events applied by a projection.
pub const PROJECTED: &str = "cqrs_events_projected_total";
/// Records that were acknowledged.
pub const PUBLISHED: &str = "cqrs_relay_published_total";
/// Publishes that ended with an error.
pub const PUBLISH_FAILURES: &str = "cqrs_relay_failures_total";
/// Steps that failed.
pub const STEP_FAILURES: &str = "cqrs_step_failures_total";
/// Positions a reader has to go.
pub const LAG: &str = "cqrs_lag_positions";
/// Age of the first entry a reader has to pass.
pub const LAG_SECONDS: &str = "cqrs_lag_seconds";
/// Records a group has to go.
pub const GROUP_LAG: &str = "cqrs_group_lag_records";
/// For how long the log's horizon has been held up.
pub const HORIZON_SECONDS: &str = "cqrs_horizon_blocked_seconds";
/// Who holds it up.
pub const HORIZON_PID: &str = "cqrs_horizon_blocking_pid";
/// Connections to the database.
pub const CONNECTIONS: &str = "cqrs_database_connections";
/// How many there may be.
pub const CONNECTION_LIMIT: &str = "cqrs_database_connections_limit";
/// Whether a part works.
pub const UP: &str = "cqrs_part_up";

/// Upper bounds in seconds for durations. A commit to a near disk takes less than a millisecond, and has to be told from one that
/// takes less than ten.
pub const DURATION_BUCKETS: [f64; 17] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds in seconds for [`MESSAGE_AGE_SECONDS`]: a group that was away for a day catches up.
pub const AGE_BUCKETS: [f64; 14] =
    [1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 86400.0];

/// Tells the recorder what each is; called after it is installed.
pub fn describe() {
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time the database takes to commit what a command staged");
    describe_counter!(COMMAND_RETRIES, Unit::Count, "Commands decided again after a conflict");
    describe_counter!(COMMAND_REPEATS, Unit::Count, "Commands answered from their idempotency key");
    describe_counter!(MESSAGES, Unit::Count, "Attempts to handle a message, by outcome");
    describe_histogram!(MESSAGE_AGE_SECONDS, Unit::Seconds, "Time from the commit of an event to that of its effect");
    describe_gauge!(PARKED, Unit::Count, "Messages that are parked");
    describe_counter!(PROJECTED, Unit::Count, "Events applied by a projection");
    describe_counter!(PUBLISHED, Unit::Count, "Records acknowledged by an audience");
    describe_counter!(PUBLISH_FAILURES, Unit::Count, "Publishes that ended with an error");
    describe_counter!(STEP_FAILURES, Unit::Count, "Steps of background jobs that failed and are tried again");
    describe_gauge!(LAG, Unit::Count, "Positions of the log that a reader has to go");
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "Age of the first entry that a reader has to pass");
    describe_gauge!(GROUP_LAG, Unit::Count, "Records on the broker that a group has to go");
    describe_gauge!(HORIZON_SECONDS, Unit::Seconds, "For how long the oldest writer has held up readers of the log");
    describe_gauge!(HORIZON_PID, "Process id of that writer in PostgreSQL, 0 without one");
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections to the database, by state");
    describe_gauge!(CONNECTION_LIMIT, Unit::Count, "Connections to the database there may be");
    describe_gauge!(UP, "1 while a part works, else 0");
}

/// Records what a transport knows of a group: how many records of a topic it has to go, in this process.
pub fn group_lag(group: &str, topic: &str, records: u64) {
    gauge!(GROUP_LAG, "group" => group.to_owned(), "topic" => topic.to_owned()).set(records as f64);
}

/// Records for one service.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<str>);
impl Meter {
    pub(crate) fn new(service: &str) -> Self {
        Meter(service.into())
    }
    fn service(&self) -> SharedString {
        self.0.clone().into()
    }
    /// A command's batch has been committed, or refused.
    pub(crate) fn committed(&self, command: &'static str, took: Duration, done: &Result<Position, Rejected>) {
        let outcome = done.as_ref().map_or_else(outcome, |_| "committed");
        histogram!(COMMIT_SECONDS, "service" => self.service(), "command" => command, "outcome" => outcome)
            .record(took);
    }
    pub(crate) fn decides_again(&self, command: &'static str) {
        counter!(COMMAND_RETRIES, "service" => self.service(), "command" => command).increment(1);
    }
    pub(crate) fn repeats(&self, command: &'static str) {
        counter!(COMMAND_REPEATS, "service" => self.service(), "command" => command).increment(1);
    }
    /// One attempt at a message has ended.
    pub(crate) fn tried(&self, group: &'static str, at: Timestamp, world: &dyn World, done: &Result<(), Rejected>) {
        let outcome = match done {
            Ok(()) => "handled",
            Err(Rejected::Seen) => "known",
            Err(Rejected::Conflict { .. } | Rejected::Moved(_)) => "conflict",
            Err(_) => "failed",
        };
        self.message(group, outcome);
        if done.is_ok() {
            histogram!(MESSAGE_AGE_SECONDS, "service" => self.service(), "group" => group).record(age(at, world));
        }
    }
    pub(crate) fn message(&self, group: &'static str, outcome: &'static str) {
        counter!(MESSAGES, "service" => self.service(), "group" => group, "outcome" => outcome).increment(1);
    }
    pub(crate) fn parked(&self, reader: &str, count: u64) {
        gauge!(PARKED, "service" => self.service(), "reader" => reader.to_owned()).set(count as f64);
    }
    pub(crate) fn projected(&self, projection: &'static str, events: usize) {
        counter!(PROJECTED, "service" => self.service(), "projection" => projection).increment(events as u64);
    }
    pub(crate) fn published(&self, audience: &str, records: usize) {
        counter!(PUBLISHED, "service" => self.service(), "audience" => audience.to_owned()).increment(records as u64);
    }
    pub(crate) fn publish_failed(&self, audience: &str) {
        counter!(PUBLISH_FAILURES, "service" => self.service(), "audience" => audience.to_owned()).increment(1);
    }
    pub(crate) fn step_failed(&self, job: &str) {
        counter!(STEP_FAILURES, "service" => self.service(), "job" => job.to_owned()).increment(1);
    }
    pub(crate) fn lag(&self, kind: &'static str, reader: &str, positions: u64, age: Duration) {
        let labels = [("service", self.service()), ("kind", kind.into()), ("reader", reader.to_owned().into())];
        gauge!(LAG, &labels).set(positions as f64);
        gauge!(LAG_SECONDS, &labels).set(age);
    }
    pub(crate) fn horizon(&self, pid: u32, held: Duration) {
        gauge!(HORIZON_PID, "service" => self.service()).set(pid);
        gauge!(HORIZON_SECONDS, "service" => self.service()).set(held);
    }
    pub(crate) fn connections(&self, used: u32, idle: u32, limit: u32) {
        gauge!(CONNECTIONS, "service" => self.service(), "state" => "used").set(used);
        gauge!(CONNECTIONS, "service" => self.service(), "state" => "idle").set(idle);
        gauge!(CONNECTION_LIMIT, "service" => self.service()).set(limit);
    }
    pub(crate) fn up(&self, part: &'static str, up: bool) {
        gauge!(UP, "service" => self.service(), "part" => part).set(u8::from(up));
    }
}

/// How long ago that was; a clock that was set back makes it nothing.
pub(crate) fn age(at: Timestamp, world: &dyn World) -> Duration {
    (world.now() - at).to_std().unwrap_or_default()
}

fn outcome(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::Conflict { exists: false, .. } => "conflict",
        Rejected::Conflict { exists: true, .. } => "exists",
        Rejected::Taken { .. } => "taken",
        Rejected::Answered => "answered",
        Rejected::Seen | Rejected::Moved(_) => "refused",
        Rejected::Fault(_) => "failed",
    }
}
