//! The list of tests of a binary. Each test gets the servers in its parameters, or is ignored with the reason.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime;
use tokio::time::timeout;

use crate::browser::Browser;
use crate::chromium::Chromium;
use crate::deployed::DeployedKafka;
use crate::kafka::Kafka;
use crate::part::{Part, Unavailable};
use crate::pgbouncer::PgBouncer;
use crate::postgres::Postgres;
use crate::redis::Redis;

/// The default time limit of a test; [`Trials::within`] sets another one.
const LIMIT: Duration = Duration::from_secs(120);
/// The number of threads of a test's runtime, so that tasks run in parallel also on a small machine.
const THREADS: usize = 4;
/// The time limit of shutting down a test's runtime.
const GOODBYE: Duration = Duration::from_secs(5);

/// The tests of one binary. Its `Cargo.toml` has `harness = false`, and its `main` returns [`Trials::run`].
///
/// A test is an async function with up to three parameters, the parts that it needs. It returns nothing or a `Result`
/// and
/// runs on its own runtime. It fails by an error, by a panic, or by taking longer than two minutes after its parts are
/// available.
///
/// ```no_run
/// # use test_support::{Kafka, Postgres, Trials};
/// # use std::time::Duration;
/// mod relay {
///     # use test_support::{Kafka, Postgres, Trials};
///     pub fn trials() -> Trials {
///         Trials::new()
///             .test("publishes what is committed", publishes)
///             .test("a killed broker does not stop the relay", async |postgres: &'static Postgres, kafka: Kafka| {
///                 let database = postgres.create_database("relay")?;
///                 kafka.kill()?;
///                 // ...
///                 kafka.start_again()
///             })
///     }
///
///     async fn publishes(postgres: &'static Postgres, kafka: &'static Kafka) -> anyhow::Result<()> {
///         // ...
///         Ok(())
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     Trials::new()
///         .test("one and one", async || assert_eq!(1 + 1, 2))
///         .within(Duration::from_secs(10))
///         .group("relay", relay::trials())
///         .run()
/// }
/// ```
///
/// All arguments of libtest work: `cargo test -p user-service --test it -- relay --nocapture`. The parts of a test are
/// in
/// its name, so `-- kafka` runs the tests that need Kafka and `--skip kafka` the others.
#[derive(Default)]
pub struct Trials {
    tests: Vec<Test>,
}

/// A registered test.
struct Test {
    name: String,
    parts: Vec<Part>,
    limit: Duration,
    run: Box<RunTest>,
}

/// A function that runs a test within a limit, in a run that requires these parts.
type RunTest = dyn FnOnce(Duration, &[Part]) -> Result<Completion, Failed> + Send;

impl Trials {
    /// Creates an empty list.
    pub fn new() -> Trials {
        Trials::default()
    }

    /// Adds a test.
    #[must_use]
    pub fn test<Needs>(mut self, name: impl Into<String>, test: impl TestFn<Needs>) -> Trials {
        let parts = parts_of(&test);
        let run = Box::new(move |limit, required: &[Part]| run(test, limit, required));
        self.tests.push(Test { name: name.into(), parts, limit: LIMIT, run });
        self
    }

    /// Sets the time limit of the test that was added last.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Trials {
        if let Some(test) = self.tests.last_mut() {
            test.limit = limit;
        }
        self
    }

    /// Adds the tests of a module with the prefix `name::`.
    #[must_use]
    pub fn group(mut self, name: &str, trials: Trials) -> Trials {
        let named = trials.tests.into_iter().map(|test| Test { name: format!("{name}::{}", test.name), ..test });
        self.tests.extend(named);
        self
    }

    /// Runs the tests that the command line selects, ends the shared servers, and returns the exit code for `main`.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let required = match Part::required() {
            Ok(required) => Arc::new(required),
            Err(mistake) => {
                eprintln!("{mistake}");
                return ExitCode::FAILURE;
            }
        };
        remember_where_tests_panic();
        let trials = self.tests.into_iter().map(|test| {
            let kind: Vec<String> = test.parts.iter().map(Part::to_string).collect();
            let required = required.clone();
            Trial::ignorable_test(test.name, move || (test.run)(test.limit, &required)).with_kind(kind.join("+"))
        });
        let conclusion = libtest_mimic::run(&arguments, trials.collect());
        Postgres::end_shared();
        Kafka::end_shared();
        Redis::end_shared();
        conclusion.exit_code()
    }
}

/// Returns the parts of a test.
fn parts_of<Needs, F: TestFn<Needs>>(_: &F) -> Vec<Part> {
    F::parts()
}

/// Runs one test. Ignores it when a part is missing that this run does not require.
fn run<Needs>(test: impl TestFn<Needs>, limit: Duration, required: &[Part]) -> Result<Completion, Failed> {
    match find(&test) {
        Err(Unavailable::Missing { part, reason }) if !required.contains(&part) => {
            return Ok(Completion::ignored_with(format!("no {part}: {reason}")));
        }
        Err(unavailable) => return Err(unavailable.into()),
        Ok(()) => {}
    }
    let runtime = runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let body = || runtime.block_on(test.run(limit));
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    runtime.shutdown_timeout(GOODBYE); // dropping a runtime would wait for blocked tasks of the test
    match outcome {
        Ok(result) => result.map(|()| Completion::Completed),
        Err(panic) => Err(panicked(panic.as_ref()).into()),
    }
}

fn find<Needs, F: TestFn<Needs>>(_: &F) -> Result<(), Unavailable> {
    F::find()
}

thread_local! {
    /// The place of this thread's last panic, which the payload does not contain.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

fn remember_where_tests_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED_AT.set(info.location().map(ToString::to_string));
        print(info);
    }));
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let place = PANICKED_AT.take().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}:\n{}", message.unwrap_or("(no message)"))
}

/// A parameter of a test: one of the parts, or a type that a test author builds from them.
///
/// ```no_run
/// use test_support::{Database, Needed, Part, Postgres, Trials, Unavailable};
///
/// /// A database with the tables of the service.
/// struct Migrated(Database);
///
/// impl Needed for Migrated {
///     const PARTS: &'static [Part] = &[Part::Postgres];
///
///     fn find() -> Result<(), Unavailable> {
///         <&'static Postgres>::find()
///     }
///
///     async fn bring() -> anyhow::Result<Migrated> {
///         let database = Postgres::shared()?.create_database("migrated")?;
///         // ... migrate(database.url()).await?
///         Ok(Migrated(database))
///     }
/// }
///
/// let trials = Trials::new().test("a user is stored", async |Migrated(database)| println!("{}", database.url()));
/// ```
pub trait Needed: Sized {
    /// The required parts; they become part of the test's name.
    const PARTS: &'static [Part];

    /// Checks that the parameter is available, without starting anything.
    ///
    /// # Errors
    /// Fails when it is unavailable; the error names the searched places.
    fn find() -> Result<(), Unavailable>;

    /// Provides the parameter.
    fn bring() -> impl Future<Output = anyhow::Result<Self>>;
}

impl Needed for &'static Postgres {
    const PARTS: &'static [Part] = &[Part::Postgres];

    fn find() -> Result<(), Unavailable> {
        Postgres::find_shared()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Postgres::shared()?)
    }
}

impl Needed for Postgres {
    const PARTS: &'static [Part] = &[Part::Postgres];

    fn find() -> Result<(), Unavailable> {
        Postgres::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Postgres::start()?)
    }
}

impl Needed for &'static Kafka {
    const PARTS: &'static [Part] = &[Part::Kafka];

    fn find() -> Result<(), Unavailable> {
        Kafka::find_shared()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Kafka::shared()?)
    }
}

impl Needed for Kafka {
    const PARTS: &'static [Part] = &[Part::Kafka];

    fn find() -> Result<(), Unavailable> {
        Kafka::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Kafka::start()?)
    }
}

impl Needed for DeployedKafka {
    const PARTS: &'static [Part] = &[Part::Kafka];

    fn find() -> Result<(), Unavailable> {
        DeployedKafka::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(DeployedKafka::start()?)
    }
}

impl Needed for PgBouncer {
    const PARTS: &'static [Part] = &[Part::Postgres, Part::PgBouncer];

    fn find() -> Result<(), Unavailable> {
        Postgres::find_shared()?;
        PgBouncer::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        PgBouncer::start(Postgres::shared()?, &[])
    }
}

impl Needed for &'static Redis {
    const PARTS: &'static [Part] = &[Part::Redis];

    fn find() -> Result<(), Unavailable> {
        Redis::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Redis::shared()?)
    }
}

impl Needed for Redis {
    const PARTS: &'static [Part] = &[Part::Redis];

    fn find() -> Result<(), Unavailable> {
        Redis::find()
    }

    async fn bring() -> anyhow::Result<Self> {
        Ok(Redis::start()?)
    }
}

impl Needed for Browser {
    const PARTS: &'static [Part] = &[Part::Chromium];

    fn find() -> Result<(), Unavailable> {
        Chromium::find().map(drop)
    }

    async fn bring() -> anyhow::Result<Self> {
        Browser::open("about:blank").await
    }
}

/// An async function with [`Needed`] parameters. It is implemented for functions and closures; no other type has to
/// implement it.
pub trait TestFn<Needs>: Send + 'static {
    /// The parts of its parameters.
    fn parts() -> Vec<Part>;

    /// Checks that all parameters are available.
    ///
    /// # Errors
    /// Returns the error of the first unavailable one.
    fn find() -> Result<(), Unavailable>;

    /// Provides the parts without a time limit, and runs the test within `limit`.
    fn run(self, limit: Duration) -> impl Future<Output = Result<(), Failed>>;
}

macro_rules! test_fn {
    ($($need:ident),*) => {
        impl<F, Test, $($need),*> TestFn<($($need,)*)> for F
        where
            F: FnOnce($($need),*) -> Test + Send + 'static,
            Test: Future<Output: Outcome>,
            $($need: Needed,)*
        {
            fn parts() -> Vec<Part> {
                let parts: &[&[Part]] = &[$($need::PARTS),*];
                parts.concat()
            }

            fn find() -> Result<(), Unavailable> {
                $($need::find()?;)*
                Ok(())
            }

            async fn run(self, limit: Duration) -> Result<(), Failed> {
                let test = self($($need::bring().await.map_err(|error| format!("{error:#}"))?),*);
                timeout(limit, test).await.map_err(|_| format!("still running after {limit:?}"))?.outcome()
            }
        }
    };
}

test_fn!();
test_fn!(A);
test_fn!(A, B);
test_fn!(A, B, C);

/// The return type of a test.
pub trait Outcome {
    /// Converts the value to a result.
    ///
    /// # Errors
    /// Returns the error of a failed test.
    fn outcome(self) -> Result<(), Failed>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), Failed> {
        Ok(())
    }
}

impl<E: Debug> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), Failed> {
        // A backtrace behind the message would hide it at the end of a long output.
        self.map_err(|error| format!("{error:?}").split("\n\nStack backtrace:").next().unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parameter that is never available.
    struct Nowhere;

    impl Needed for Nowhere {
        const PARTS: &'static [Part] = &[Part::Kafka];

        fn find() -> Result<(), Unavailable> {
            Err(Part::Kafka.missing("there is none"))
        }

        async fn bring() -> anyhow::Result<Self> {
            unreachable!("it was not found")
        }
    }

    fn message<Needs>(test: impl TestFn<Needs>, limit: Duration) -> String {
        run(test, limit, &[Part::Kafka]).err().expect("the test fails").message().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_test_that_returns_passes() {
        let passes = async || anyhow::Ok(());
        assert!(matches!(run(passes, LIMIT, &[]), Ok(Completion::Completed)));
    }

    #[test]
    fn a_missing_part_is_ignored_by_name_unless_it_is_required() {
        let needs = async |_: Nowhere| ();
        let ignored = run(needs, LIMIT, &[Part::Postgres]);
        assert!(
            matches!(ignored, Ok(Completion::Ignored { reason: Some(reason) }) if reason == "no kafka: there is none")
        );
        assert_eq!(message(needs, LIMIT), "no kafka on this machine: there is none");
    }

    #[test]
    fn an_error_a_panic_and_a_hang_are_failures_that_say_why() {
        remember_where_tests_panic();
        let error = async || anyhow::Context::context(Err::<(), _>(anyhow::anyhow!("the cause")), "what failed");
        assert!(message(error, LIMIT).contains("what failed") && message(error, LIMIT).contains("the cause"));

        let panic = message(async || assert_eq!(1, 2, "sums"), LIMIT);
        assert!(panic.contains("trials.rs:") && panic.contains("sums"), "{panic}");

        let hang = message(async || std::future::pending::<()>().await, Duration::from_millis(50));
        assert_eq!(hang, "still running after 50ms");
    }

    #[test]
    fn a_group_names_its_tests() {
        let trials = Trials::new().test("one", async || ()).group("inner", Trials::new().test("two", async || ()));
        let names: Vec<&str> = trials.tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["one", "inner::two"]);
    }
}
