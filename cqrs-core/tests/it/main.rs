//! Integration tests: each case of a suite and each test is listed by name. What needs a real server is a second list.
mod bench; // storages to be tried
mod planted; // the suite catches bugs
#[cfg(feature = "postgres")]
mod postgres; // what PostgreSQL alone promises, and the suite on it
#[cfg(feature = "sqlite")]
mod sqlite; // what SQLite alone promises
mod transport; // the suite in process
mod trials; // async tests for libtest-mimic

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

fn main() -> ExitCode {
    let mut trials = storage("memory", || bench::InMemory::open().boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(storage("sqlite", || bench::InFile::open().boxed()));
    #[cfg(feature = "sqlite")]
    trials.extend(sqlite::trials());
    trials.extend(planted::trials());
    trials.extend(transport::trials());
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    #[cfg(feature = "postgres")]
    let on_servers = test_support::Trials::new().group("postgres", postgres::trials()).run();
    #[cfg(not(feature = "postgres"))]
    let on_servers = ExitCode::SUCCESS;
    if conclusion.has_failed() { conclusion.exit_code() } else { on_servers }
}
