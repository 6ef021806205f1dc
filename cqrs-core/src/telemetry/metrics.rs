//! The metrics: every name with its unit and its labels.
//!
//! They are recorded through the `metrics` facade. Without a recorder the cost is negligible, and queries are not
//! measured at all. Feature `operations` serves the metrics to Prometheus. Every metric has the label `service`, since
//! a process can run several.
//!
//! | name | kind | labels beside `service` | meaning |
//! |---|---|---|---|
//! | [`COMMIT_SECONDS`] | histogram | `command`, `outcome` | time the database takes to commit a command's batch |
//! | [`COMMAND_RETRIES`] | counter | `command` | commands decided again after a conflict with a concurrent change |
//! | [`COMMAND_REPEATS`] | counter | `command` | commands answered with the stored response of their idempotency key |
//! | [`MESSAGES`] | counter | `group`, `outcome` | attempts of a group's subscribers: `handled`, `known` (handled before), `conflict`, `failed`; `timed_out` for each that failed by the time limit; `refused` for each command of another service that the domain refused; and messages `parked` |
//! | [`MESSAGE_AGE_SECONDS`] | histogram | `group` | time from the commit of an event to the commit of its effect |
//! | [`PARKED`] | gauge | `reader` | parked messages that wait for an operator, counted up to 10,000 |
//! | [`TIMERS`] | gauge | `state`: `waiting`, `overdue`, `failed` | timers, counted up to 10,000; a failed one waits for an operator |
//! | [`TIMER_OVERDUE_SECONDS`] | gauge | | time for which the first overdue timer is due |
//! | [`TIMERS_FIRED`] | counter | `command`, `outcome` | attempts to fire a timer: `fired`, `refused` by the domain, `gone` (fired, replaced or cancelled by another one), `unavailable`, `failed` |
//! | [`TIMER_LATE_SECONDS`] | histogram | `command` | time from a timer's due time to an attempt to fire it |
//! | [`CLOCK_SET`] | counter | | times that the database's clock was seen to be set by more than 5 s |
//! | [`LIMIT_HELD`] | gauge | `limit` | permits of a limit that attempts of this process hold |
//! | [`LIMIT_WAITING`] | gauge | `limit` | attempts of this process that wait for a permit of a limit |
//! | [`LIMIT_WAIT_SECONDS`] | histogram | `limit` | time for which an attempt has waited for a permit, those that were given up included |
//! | [`LIMIT_LOST`] | counter | `limit` | permits that could not be renewed, so that their attempts were given up |
//! | [`PROJECTED`] | counter | `projection` | events applied by a projection |
//! | [`RESERVED`] | counter | `field` | stored aggregates whose values were reserved after a program made a field unique |
//! | [`INDEXED`] | counter | `view` | values whose index entries were filled in after a program added an index |
//! | [`PUBLISHED`] | counter | `audience` | records acknowledged by the audience; the label is empty for a broker |
//! | [`PUBLISH_FAILURES`] | counter | `audience` | publishes that ended with an error |
//! | [`TOPIC_WAITING`] | gauge | `topic` | 1 while the broker refuses the topic, so that records to it wait in the outbox; 0 otherwise |
//! | [`JOB_FAILURES`] | counter | `job` | failed steps of background jobs, which are retried |
//! | [`JOB_UP`] | gauge | `job` | 1 while the steps of a background job succeed; 0 while they fail or panic |
//! | [`BREAKER_OPEN`] | gauge | `reader` | 1 while a circuit breaker of the reader is open, so that it is paused; 0 otherwise |
//! | [`LAG`], [`LAG_EVENTS`], [`LAG_SECONDS`] | gauge | `kind`, `reader` | distance of a reader's checkpoint from the end of the log in positions, the events or messages among them that the reader has to handle (of the next 10,000 entries), and the age of the first entry after the checkpoint |
//! | [`GROUP_LAG`] | gauge | `group`, `topic` (and no `service`) | records on the broker that a group has not consumed, in the partitions assigned to this process |
//! | [`LOST_RECORDS`] | counter | `group`, `topic` | records that the broker dropped before the group has read them |
//! | [`HIGH_WATER_MARK_SECONDS`] | gauge | | how long the oldest open write transaction has blocked the high-water mark |
//! | [`HIGH_WATER_MARK_PID`] | gauge | | the PostgreSQL process of that transaction, for `pg_terminate_backend`; 0 without one |
//! | [`CONNECTIONS`], [`CONNECTION_LIMIT`] | gauge | `state`: `used`, `idle` | connections to the database, and their limit |
//! | [`COMPONENT_UP`] | gauge | `component` | 1 while the database responds, the broker accepts records, no background job fails, no circuit breaker is open, or no topic was replaced, is refused or has lost records; 0 otherwise |
//!
//! Gauges are set before each scrape by [`App::measure`](crate::App::measure), so a value is as old as its scrape.
use crate::{Timestamp, environment::Environment, position::Position, storage::CommitError};
use metrics::{SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::{sync::Arc, time::Duration};

/// The seconds from the start to the end of a command's commit.
pub const COMMIT_SECONDS: &str = "cqrs_commit_duration_seconds";
/// Commands decided again after a conflict.
pub const COMMAND_RETRIES: &str = "cqrs_command_retries_total";
/// Commands answered with the stored response of their idempotency key.
pub const COMMAND_REPEATS: &str = "cqrs_command_repeats_total";
/// Attempts to handle a message, by outcome.
pub const MESSAGES: &str = "cqrs_messages_total";
/// The seconds from an event's commit to the commit of its effect.
pub const MESSAGE_AGE_SECONDS: &str = "cqrs_message_age_seconds";
/// Parked messages that wait for an operator.
pub const PARKED: &str = "cqrs_parked_messages";
/// Timers by state.
pub const TIMERS: &str = "cqrs_timers";
/// The seconds for which the first overdue timer is due.
pub const TIMER_OVERDUE_SECONDS: &str = "cqrs_timer_overdue_seconds";
/// Attempts to fire a timer, by outcome.
pub const TIMERS_FIRED: &str = "cqrs_timers_fired_total";
/// The seconds from a timer's due time to an attempt to fire it.
pub const TIMER_LATE_SECONDS: &str = "cqrs_timer_late_seconds";
/// The number of times that the database's clock was seen to be set.
pub const CLOCK_SET: &str = "cqrs_database_clock_set_total";
/// Permits of a limit that attempts of this process hold.
pub const LIMIT_HELD: &str = "cqrs_limit_held";
/// Attempts of this process that wait for a permit of a limit.
pub const LIMIT_WAITING: &str = "cqrs_limit_waiting";
/// The seconds for which an attempt has waited for a permit of a limit.
pub const LIMIT_WAIT_SECONDS: &str = "cqrs_limit_wait_seconds";
/// Permits of a limit that could not be renewed.
pub const LIMIT_LOST: &str = "cqrs_limit_lost_total";
/// Events applied by a projection.
pub const PROJECTED: &str = "cqrs_events_projected_total";
/// Values of a view whose index entries were filled in.
pub const INDEXED: &str = "cqrs_view_values_indexed_total";
/// Stored aggregates whose values of a field that became unique were reserved.
pub const RESERVED: &str = "cqrs_unique_values_reserved_total";
/// Records acknowledged by an audience of the relay.
pub const PUBLISHED: &str = "cqrs_relay_published_total";
/// Publishes that ended with an error.
pub const PUBLISH_FAILURES: &str = "cqrs_relay_failures_total";
/// 1 while records to a topic wait in the outbox because the broker refuses the topic, 0 otherwise.
pub const TOPIC_WAITING: &str = "cqrs_relay_topic_waiting";
/// Failed steps of background jobs.
pub const JOB_FAILURES: &str = "cqrs_job_failures_total";
/// 1 while the steps of a background job succeed, 0 otherwise.
pub const JOB_UP: &str = "cqrs_job_up";
/// 1 while a circuit breaker of a reader is open, 0 otherwise.
pub const BREAKER_OPEN: &str = "cqrs_circuit_breaker_open";
/// Positions between a reader's checkpoint and the end of the log.
pub const LAG: &str = "cqrs_lag_positions";
/// The events after a reader's checkpoint that the reader has to handle, among the next 10,000 entries.
pub const LAG_EVENTS: &str = "cqrs_lag_events";
/// The age in seconds of the first entry after a reader's checkpoint.
pub const LAG_SECONDS: &str = "cqrs_lag_seconds";
/// Records on the broker that a group has not consumed.
pub const GROUP_LAG: &str = "cqrs_group_lag_records";
/// Records that the broker dropped before a group has read them.
pub const LOST_RECORDS: &str = "cqrs_lost_records_total";
/// The seconds for which the oldest open write transaction has blocked the high-water mark.
pub const HIGH_WATER_MARK_SECONDS: &str = "cqrs_high_water_mark_blocked_seconds";
/// The PostgreSQL process id of the transaction that blocks the high-water mark, or 0.
pub const HIGH_WATER_MARK_PID: &str = "cqrs_high_water_mark_blocking_pid";
/// Connections to the database, by state.
pub const CONNECTIONS: &str = "cqrs_database_connections";
/// The largest number of connections to the database.
pub const CONNECTION_LIMIT: &str = "cqrs_database_connections_limit";
/// 1 while a component works, 0 otherwise.
pub const COMPONENT_UP: &str = "cqrs_component_up";

/// Upper bounds in seconds for durations. The lowest ones separate a commit to a local disk, which takes less than a
/// millisecond, from one that takes up to ten.
pub const DURATION_BUCKETS: [f64; 17] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds in seconds for [`MESSAGE_AGE_SECONDS`] and [`TIMER_LATE_SECONDS`]. The highest is a day, for a group that catches up after an
/// outage.
pub const AGE_BUCKETS: [f64; 14] =
    [1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 86400.0];

/// Describes every metric to the recorder. Call it after the recorder is installed.
pub fn describe() {
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time the database takes to commit a command's batch");
    describe_counter!(COMMAND_RETRIES, Unit::Count, "Commands decided again after a conflict");
    describe_counter!(
        COMMAND_REPEATS,
        Unit::Count,
        "Commands answered with the stored response of their idempotency key"
    );
    describe_counter!(MESSAGES, Unit::Count, "Attempts to handle a message, by outcome");
    describe_histogram!(MESSAGE_AGE_SECONDS, Unit::Seconds, "Time from the commit of an event to that of its effect");
    describe_gauge!(PARKED, Unit::Count, "Parked messages that wait for an operator");
    describe_gauge!(TIMERS, Unit::Count, "Timers by state, counted up to 10,000");
    describe_gauge!(TIMER_OVERDUE_SECONDS, Unit::Seconds, "Time for which the first overdue timer is due");
    describe_counter!(TIMERS_FIRED, Unit::Count, "Attempts to fire a timer, by outcome");
    describe_histogram!(TIMER_LATE_SECONDS, Unit::Seconds, "Time from a timer's due time to an attempt to fire it");
    describe_counter!(CLOCK_SET, Unit::Count, "Times that the database's clock was seen to be set");
    describe_gauge!(LIMIT_HELD, Unit::Count, "Permits of a limit that attempts of this process hold");
    describe_gauge!(LIMIT_WAITING, Unit::Count, "Attempts of this process that wait for a permit of a limit");
    describe_histogram!(LIMIT_WAIT_SECONDS, Unit::Seconds, "Time for which an attempt has waited for a permit");
    describe_counter!(LIMIT_LOST, Unit::Count, "Permits of a limit that could not be renewed");
    describe_counter!(PROJECTED, Unit::Count, "Events applied by a projection");
    describe_counter!(INDEXED, Unit::Count, "Values of a view whose index entries were filled in");
    describe_counter!(
        RESERVED,
        Unit::Count,
        "Stored aggregates whose values of a field that became unique were reserved"
    );
    describe_counter!(PUBLISHED, Unit::Count, "Records acknowledged by an audience");
    describe_counter!(PUBLISH_FAILURES, Unit::Count, "Publishes that ended with an error");
    describe_gauge!(TOPIC_WAITING, "1 while the broker refuses the topic and records to it wait in the outbox, else 0");
    describe_counter!(JOB_FAILURES, Unit::Count, "Failed steps of background jobs, which are retried");
    describe_gauge!(JOB_UP, "1 while the steps of a background job succeed, else 0");
    describe_gauge!(BREAKER_OPEN, "1 while a circuit breaker of the reader is open, else 0");
    describe_gauge!(LAG, Unit::Count, "Positions between a reader's checkpoint and the end of the log");
    describe_gauge!(
        LAG_EVENTS,
        Unit::Count,
        "Events or messages after a reader's checkpoint that it has to handle, among the next 10,000 entries"
    );
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "Age of the first entry after a reader's checkpoint");
    describe_gauge!(GROUP_LAG, Unit::Count, "Records on the broker that a group has not consumed");
    describe_counter!(LOST_RECORDS, Unit::Count, "Records that the broker dropped before a group has read them");
    describe_gauge!(
        HIGH_WATER_MARK_SECONDS,
        Unit::Seconds,
        "Time for which the oldest open write transaction has blocked the high-water mark"
    );
    describe_gauge!(
        HIGH_WATER_MARK_PID,
        "PostgreSQL process id of the transaction that blocks the high-water mark, 0 without one"
    );
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections to the database, by state");
    describe_gauge!(CONNECTION_LIMIT, Unit::Count, "Largest number of connections to the database");
    describe_gauge!(COMPONENT_UP, "1 while a component works, else 0");
}

/// Sets the number of records of a topic that a group has not consumed, in the partitions of this process. Transports
/// call it.
pub fn group_lag(group: &str, topic: &str, records: u64) {
    gauge!(GROUP_LAG, "group" => group.to_owned(), "topic" => topic.to_owned()).set(records as f64);
}

/// A recorder of the metrics of one service.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<str>);
impl Meter {
    pub(crate) fn new(service: &str) -> Self {
        Meter(service.into())
    }
    fn service(&self) -> SharedString {
        self.0.clone().into()
    }
    /// Records that a command's batch was committed or rejected.
    pub(crate) fn committed(&self, command: &'static str, took: Duration, done: &Result<Position, CommitError>) {
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
    /// Records the outcome of one attempt to handle a message.
    pub(crate) fn tried(
        &self,
        group: &'static str,
        at: Timestamp,
        environment: &dyn Environment,
        done: &Result<(), CommitError>,
    ) {
        let outcome = match done {
            Ok(()) => "handled",
            Err(CommitError::AlreadyHandled) => "known",
            Err(CommitError::Conflict { .. } | CommitError::Moved(_)) => "conflict",
            Err(_) => "failed",
        };
        self.message(group, outcome);
        if done.is_ok() {
            histogram!(MESSAGE_AGE_SECONDS, "service" => self.service(), "group" => group).record(age(at, environment));
        }
    }
    pub(crate) fn message(&self, group: &'static str, outcome: &'static str) {
        counter!(MESSAGES, "service" => self.service(), "group" => group, "outcome" => outcome).increment(1);
    }
    pub(crate) fn parked(&self, reader: &str, count: u64) {
        gauge!(PARKED, "service" => self.service(), "reader" => reader.to_owned()).set(count as f64);
    }
    pub(crate) fn timers(&self, waiting: u64, overdue: u64, failed: u64, overdue_for: Duration) {
        for (state, count) in [("waiting", waiting), ("overdue", overdue), ("failed", failed)] {
            gauge!(TIMERS, "service" => self.service(), "state" => state).set(count as f64);
        }
        gauge!(TIMER_OVERDUE_SECONDS, "service" => self.service()).set(overdue_for);
    }
    pub(crate) fn timer(&self, command: &str, outcome: &'static str) {
        let labels = [("service", self.service()), ("command", command.to_owned().into()), ("outcome", outcome.into())];
        counter!(TIMERS_FIRED, &labels).increment(1);
    }
    pub(crate) fn timer_late(&self, command: &str, late: Duration) {
        let labels = [("service", self.service()), ("command", command.to_owned().into())];
        histogram!(TIMER_LATE_SECONDS, &labels).record(late);
    }
    pub(crate) fn clock_was_set(&self) {
        counter!(CLOCK_SET, "service" => self.service()).increment(1);
    }
    /// Adds to the permits of a limit that this process holds; less than 0 for permits that are given back.
    pub(crate) fn limit_held(&self, limit: &str, permits: f64) {
        gauge!(LIMIT_HELD, "service" => self.service(), "limit" => limit.to_owned()).increment(permits);
    }
    /// Adds to the attempts that wait for a permit of a limit; less than 0 for those that do not wait any more.
    pub(crate) fn limit_waiting(&self, limit: &str, attempts: f64) {
        gauge!(LIMIT_WAITING, "service" => self.service(), "limit" => limit.to_owned()).increment(attempts);
    }
    pub(crate) fn limit_waited(&self, limit: &str, waited: Duration) {
        let labels = [("service", self.service()), ("limit", limit.to_owned().into())];
        histogram!(LIMIT_WAIT_SECONDS, &labels).record(waited);
    }
    pub(crate) fn limit_lost(&self, limit: &str) {
        counter!(LIMIT_LOST, "service" => self.service(), "limit" => limit.to_owned()).increment(1);
    }
    pub(crate) fn projected(&self, projection: &'static str, events: usize) {
        counter!(PROJECTED, "service" => self.service(), "projection" => projection).increment(events as u64);
    }
    pub(crate) fn indexed(&self, view: &'static str, values: usize) {
        counter!(INDEXED, "service" => self.service(), "view" => view).increment(values as u64);
    }
    pub(crate) fn reserved(&self, field: &str, aggregates: usize) {
        let labels = [("service", self.service()), ("field", field.to_owned().into())];
        counter!(RESERVED, &labels).increment(aggregates as u64);
    }
    pub(crate) fn published(&self, audience: &str, records: usize) {
        counter!(PUBLISHED, "service" => self.service(), "audience" => audience.to_owned()).increment(records as u64);
    }
    pub(crate) fn publish_failed(&self, audience: &str) {
        counter!(PUBLISH_FAILURES, "service" => self.service(), "audience" => audience.to_owned()).increment(1);
    }
    pub(crate) fn topic_waiting(&self, topic: &str, waits: bool) {
        gauge!(TOPIC_WAITING, "service" => self.service(), "topic" => topic.to_owned()).set(u8::from(waits));
    }
    pub(crate) fn lost(&self, group: &str, topic: &str, records: u64) {
        let labels =
            [("service", self.service()), ("group", group.to_owned().into()), ("topic", topic.to_owned().into())];
        counter!(LOST_RECORDS, &labels).increment(records);
    }
    pub(crate) fn job_failed(&self, job: &str) {
        counter!(JOB_FAILURES, "service" => self.service(), "job" => job.to_owned()).increment(1);
    }
    pub(crate) fn job_up(&self, job: &str, up: bool) {
        gauge!(JOB_UP, "service" => self.service(), "job" => job.to_owned()).set(u8::from(up));
    }
    pub(crate) fn breaker_open(&self, reader: &str, open: bool) {
        gauge!(BREAKER_OPEN, "service" => self.service(), "reader" => reader.to_owned()).set(u8::from(open));
    }
    pub(crate) fn lag(&self, kind: &'static str, reader: &str, positions: u64, events: u64, age: Duration) {
        let labels = [("service", self.service()), ("kind", kind.into()), ("reader", reader.to_owned().into())];
        gauge!(LAG, &labels).set(positions as f64);
        gauge!(LAG_EVENTS, &labels).set(events as f64);
        gauge!(LAG_SECONDS, &labels).set(age);
    }
    pub(crate) fn high_water_mark(&self, pid: u32, held: Duration) {
        gauge!(HIGH_WATER_MARK_PID, "service" => self.service()).set(pid);
        gauge!(HIGH_WATER_MARK_SECONDS, "service" => self.service()).set(held);
    }
    pub(crate) fn connections(&self, used: u32, idle: u32, limit: u32) {
        gauge!(CONNECTIONS, "service" => self.service(), "state" => "used").set(used);
        gauge!(CONNECTIONS, "service" => self.service(), "state" => "idle").set(idle);
        gauge!(CONNECTION_LIMIT, "service" => self.service()).set(limit);
    }
    pub(crate) fn up(&self, component: &'static str, up: bool) {
        gauge!(COMPONENT_UP, "service" => self.service(), "component" => component).set(u8::from(up));
    }
}

/// Returns the time since `at`, or zero when the clock was set back.
pub(crate) fn age(at: Timestamp, environment: &dyn Environment) -> Duration {
    (environment.now() - at).to_std().unwrap_or_default()
}

fn outcome(rejected: &CommitError) -> &'static str {
    match rejected {
        CommitError::Conflict { exists: false, .. } => "conflict",
        CommitError::Conflict { exists: true, .. } => "exists",
        CommitError::Taken { .. } => "taken",
        CommitError::ResponseExists => "answered",
        CommitError::AlreadyHandled | CommitError::Moved(_) => "refused",
        CommitError::Fault(_) => "failed",
    }
}
