//! Integration tests, one binary: each case of a suite and each test is listed by name.
mod bench; // storages to be tried
mod planted; // the suite catches bugs
#[cfg(feature = "sqlite")]
mod sqlite; // what SQLite alone promises
mod trials; // async tests for libtest-mimic

use cqrs_core::testing::conformance::storage::{Bench, cases};
use futures_util::{FutureExt, future::BoxFuture};
use libtest_mimic::{Arguments, Trial};

/// The storage suite on one backend; `open` makes it anew for each case.
fn storage<B: Bench>(backend: &str, open: fn() -> BoxFuture<'static, B>) -> Vec<Trial> {
    let trial = |case: cqrs_core::testing::conformance::storage::Case| {
        trials::trial(format!("storage: {backend}: {}", case.name), move || async move {
            case.run(Box::new(open().await)).await;
        })
    };
    cases().into_iter().map(trial).collect()
}

fn main() {
    let mut trials = storage("memory", || bench::InMemory::open().boxed());
    #[cfg(feature = "sqlite")]
    trials.extend(storage("sqlite", || bench::InFile::open().boxed()));
    #[cfg(feature = "sqlite")]
    trials.extend(sqlite::trials());
    trials.extend(planted::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
