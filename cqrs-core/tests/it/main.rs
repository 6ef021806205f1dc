//! Integration tests: each case of a suite and each test is listed by name. What needs a real server is a second list.
mod bank; // the domain that the framework's tests share
mod bench; // storages to be tried
mod bus; // what a caller of `send` sees
mod describe; // the list that discovery hides
#[cfg(feature = "operations")]
mod exit; // a process that hangs is ended
mod flaky; // a database that fails when told to
mod inbox; // messages are committed together
mod listener; // a subscriber that does as a test says
mod metrics; // what is measured is what happened
mod needs; // what does not fit together is told at start-up
mod parking; // what cannot be handled waits aside
mod planted; // the storage suite catches bugs
mod planted_transport; // the transport suite catches bugs
#[cfg(feature = "postgres")]
mod postgres; // what PostgreSQL alone promises, and the suite on it
mod relay; // what others are told arrives
mod rows_and_streams; // two ways of keeping, one behaviour
mod shutdown; // what is in flight is finished
mod simulation; // the engines under every fault, from a seed
#[cfg(feature = "sqlite")]
mod sqlite; // what SQLite alone promises
mod subscriber; // what a message causes happens once
mod transport; // the suite in process
mod trials; // async tests for libtest-mimic
mod unit; // what a handler sees of aggregates
mod views; // what a query sees
mod world_is_the_only_place; // house rule

use cqrs_core::testing::conformance::storage::{Bench, cases};
use futures_util::{FutureExt, future::BoxFuture};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// The storage suite on one backend; `open` makes it anew for each case.
fn storage<B: Bench>(backend: &str, open: fn() -> BoxFuture<'static, B>) -> Vec<Trial> {
    let trial = |case: cqrs_core::testing::conformance::storage::Case| {
        trials::trial(format!("storage: {backend}: {}", case.name), move || async move {
            case.run(Box::new(open().await)).await;
        })
    };
    cases().into_iter().map(trial).collect()
}

/// What the framework promises on top of a storage.
fn framework() -> Vec<Trial> {
    let all = [bus::trials, unit::trials, needs::trials, rows_and_streams::trials, views::trials, relay::trials];
    let more = [
        subscriber::trials,
        inbox::trials,
        parking::trials,
        shutdown::trials,
        flaky::trials,
        describe::trials,
        metrics::trials,
        simulation::trials,
        world_is_the_only_place::trials,
    ];
    all.iter().chain(&more).flat_map(|trials| trials()).collect()
}

fn main() -> ExitCode {
    #[cfg(feature = "operations")]
    if let Some(code) = exit::role() {
        return code;
    }
    let mut trials = storage("memory", || bench::InMemory::open().boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(storage("sqlite", || bench::InFile::open().boxed()));
    #[cfg(feature = "sqlite")]
    trials.extend(sqlite::trials());
    trials.extend(planted::trials());
    trials.extend(planted_transport::trials());
    trials.extend(transport::trials());
    trials.extend(framework());
    #[cfg(feature = "operations")]
    trials.extend(exit::trials());
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    #[cfg(feature = "postgres")]
    let on_servers = test_support::Trials::new().group("postgres", postgres::trials()).run();
    #[cfg(not(feature = "postgres"))]
    let on_servers = ExitCode::SUCCESS;
    if conclusion.has_failed() { conclusion.exit_code() } else { on_servers }
}
