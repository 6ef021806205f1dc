//! Integration tests of cqrs-core, listed by name. The tests that need a server are a second list.
mod archiving; // old events out of the log
mod attempts; // the attempts of messages of a topic
mod bank; // the domain shared by the framework's tests
mod blame; // one event that cannot be applied costs only its key
mod breaker; // a reader whose messages fail alike is paused
mod breaker_steps; // probes and recovered keys of a paused reader, on a clock of the test
mod bus; // `App::send`: results, errors, idempotency keys, middleware
mod byte_budget; // the bytes of events that a process holds
mod canary; // the content of messages is not logged
mod changed_fields; // fields that do not fit the stored ones
mod clock; // a clock that the test sets
mod crash_notes; // the notes of processes on their attempts, for followers of the log
mod crash_watch; // the notes of members on the messages of their partitions
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod crashes; // a message that ends its process is parked
mod deleting; // the end of an aggregate
mod describe; // `App::describe`
mod environment_is_the_only_place; // architecture rule
#[cfg(feature = "operations")]
mod exit; // the end of a process that hangs
mod first_event; // readers that begin with the next event
mod first_load; // the first load of a command, and its commit
mod flaky; // a database that fails on request
mod follower_steps; // batches, parked keys and newer programs of a follower, on a clock of the test
mod followers; // events that a follower does not handle
mod foreign; // topics of other producers, read by a decoder of the app
mod given_views; // given-when-then tests of projections
mod group_lease; // the lease of a group of subscribers, on a clock of the test
#[cfg(feature = "tonic")]
mod grpc; // the gRPC status of an error
mod harness; // the storages under test
mod history; // the past of an aggregate
mod idempotency; // repetitions by other versions and by subscribers
mod identity; // the service and the epoch of a database
mod idle; // idle jobs share one poll and keep their leases
mod ids; // the id of an aggregate
mod inbox; // messages that are committed together
mod inbox_batches; // batches that touch the same data, and look-ups that fail
mod indexes; // an index that a program adds to a stored view
mod inline; // views in the commit of the command
mod key_stores; // the suite for key stores, and its seeded bugs
mod late_broker; // a broker that is down at the start
mod limits; // limits of resources and groups, in virtual time
mod listener; // a subscriber and a transport controlled by the test
mod live; // live queries, and lists as streams of pages
mod logs; // the log lines of a test
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod mapped; // a table of other software
mod metrics; // the metrics of an app
mod needs; // wiring errors found at build time
mod newer_fields; // fields that only a newer program knows
mod panics; // panics end no background job
mod parking; // messages that cannot be handled are parked
mod persistence; // state-stored and event-sourced aggregates behave the same
mod personal; // personal values, and subjects that are forgotten
#[cfg(feature = "postgres")]
mod postgres; // PostgreSQL's own guarantees, and the storage suite on it
mod processes; // process managers, in virtual time
mod projections; // projections that find values by an index, and those of several functions
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod projector; // a projector in two processes on one database
mod purse; // an aggregate with an end and a history
mod query_side; // views in a store of their own, served by another process
mod reads; // a rule over two aggregates
mod reads_of_deleted; // a rule over aggregates that end and begin again
mod rebuild_ahead; // a rebuild reads while it writes
mod rebuild_rows; // rows that are made from their events again
mod rebuild_values; // a rebuild reads no value twice
mod rebuild_views; // views that are rebuilt in a second copy
mod redelivery; // many parked messages are redelivered by reader, error, or all
#[cfg(feature = "redis")]
mod redis; // the store of a query side in Redis
mod refused_topic; // a topic that the broker refuses for a time
mod relay; // integration events reach their subscribers
mod relay_shutdown; // the shutdown of a relay
mod relay_steps; // leases, shares, publishes and checkpoints of a relay, on a clock of the test
mod remote; // commands to other services
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod reports; // the reports of the guide
mod retries; // conflicts of commands, and the stored form of their keys
mod seeded; // the storage suite finds seeded bugs
mod seeded_transport; // the transport suite finds seeded bugs
mod settle; // several services in one test
mod shutdown; // work in flight is finished at shutdown
mod simulation; // the engines under injected faults, from a seed
mod snapshots; // a load folds few events
#[cfg(feature = "sqlite")]
mod sqlite; // SQLite's own guarantees
mod stored_form; // what is stored can be read back
mod subscriber; // the effects of a message happen once
mod timers; // scheduled commands, in virtual time
mod topics; // topics that were created again, and records that were dropped
mod transport; // the transport suite on the in-process transport
mod trials; // async tests for libtest-mimic
mod unique; // a field that becomes unique on stored aggregates
mod unit; // the unit of work of one command
mod upcast; // events of former versions
mod view_stores; // the suite for view stores, and its seeded bugs
mod views; // views as queries read them
mod virtual_time; // retries and leases on a clock that jumps
mod waiting_topic_steps; // a topic that the broker refuses, on a clock of the test
mod withdrawal; // a program that does not come back

use cqrs_core::testing::conformance::storage::{Harness, cases};
use futures_util::{FutureExt, future::BoxFuture};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// Lists the storage suite for one backend; `open` creates a new storage for each case.
fn storage<B: Harness>(backend: &str, open: fn() -> BoxFuture<'static, B>) -> Vec<Trial> {
    let trial = |case: cqrs_core::testing::conformance::storage::Case| {
        trials::trial(format!("storage: {backend}: {}", case.name), move || async move {
            case.run(Box::new(open().await)).await;
        })
    };
    cases().into_iter().map(trial).collect()
}

/// Lists the tests of the framework's guarantees on top of a storage.
fn framework() -> Vec<Trial> {
    let all = [bus::trials, unit::trials, needs::trials, persistence::trials, views::trials, relay::trials];
    let more = [
        attempts::trials,
        breaker_steps::trials,
        byte_budget::trials,
        crash_notes::trials,
        crash_watch::trials,
        changed_fields::trials,
        followers::trials,
        subscriber::trials,
        inbox::trials,
        indexes::trials,
        inline::trials,
        timers::trials,
        processes::trials,
        remote::trials,
        limits::trials,
        virtual_time::trials,
        unique::trials,
        identity::trials,
        idle::trials,
        ids::trials,
        live::trials,
        idempotency::trials,
        parking::trials,
        refused_topic::trials,
        reads::trials,
        reads_of_deleted::trials,
        redelivery::trials,
        blame::trials,
        newer_fields::trials,
        breaker::trials,
        panics::trials,
        upcast::trials,
        canary::trials,
        personal::trials,
        key_stores::trials,
        foreign::trials,
        shutdown::trials,
        first_event::trials,
        flaky::trials,
        given_views::trials,
        group_lease::trials,
        inbox_batches::trials,
        retries::trials,
        relay_steps::trials,
        relay_shutdown::trials,
        waiting_topic_steps::trials,
        follower_steps::trials,
        first_load::trials,
        projections::trials,
        describe::trials,
        late_broker::trials,
        metrics::trials,
        settle::trials,
        topics::trials,
        stored_form::trials,
        archiving::trials,
        query_side::trials,
        view_stores::trials,
        deleting::trials,
        history::trials,
        rebuild_ahead::trials,
        rebuild_rows::trials,
        rebuild_values::trials,
        rebuild_views::trials,
        snapshots::trials,
        withdrawal::trials,
        simulation::trials,
        environment_is_the_only_place::trials,
    ];
    all.iter().chain(&more).flat_map(|trials| trials()).collect()
}

fn main() -> ExitCode {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(code) = crashes::role() {
        return code;
    }
    #[cfg(feature = "operations")]
    if let Some(code) = exit::role() {
        return code;
    }
    let mut trials = storage("memory", || harness::InMemory::open().boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(storage("sqlite", || harness::InFile::open().boxed()));
    #[cfg(feature = "sqlite")]
    trials.extend(sqlite::trials());
    #[cfg(feature = "sqlite")]
    trials.extend(crashes::trials());
    #[cfg(feature = "sqlite")]
    trials.extend(projector::trials());
    #[cfg(feature = "sqlite")]
    trials.extend(reports::trials());
    #[cfg(feature = "sqlite")]
    trials.extend(mapped::trials());
    trials.extend(seeded::trials());
    trials.extend(seeded_transport::trials());
    trials.extend(transport::trials());
    trials.extend(framework());
    #[cfg(feature = "tonic")]
    trials.extend(grpc::trials());
    #[cfg(feature = "operations")]
    trials.extend(exit::trials());
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    #[cfg(feature = "postgres")]
    let on_servers = test_support::Trials::new().group("postgres", postgres::trials()).run();
    #[cfg(not(feature = "postgres"))]
    let on_servers = ExitCode::SUCCESS;
    #[cfg(feature = "redis")]
    let on_redis = test_support::Trials::new().group("redis", redis::trials()).run();
    #[cfg(not(feature = "redis"))]
    let on_redis = ExitCode::SUCCESS;
    let all = [conclusion.exit_code(), on_servers, on_redis];
    all.into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS)
}
