//! Real servers for tests, started as children of the test run and stopped with it.
//!
//! A test names what it needs in its parameters, as a handler does, and [`Trials`] brings it:
//!
//! ```no_run
//! use test_support::{Browser, Kafka, Postgres, Trials};
//!
//! fn main() -> std::process::ExitCode {
//!     Trials::new()
//!         .test("nothing but code", async || assert_eq!(1 + 1, 2))
//!         .test("a table can be made", a_table_can_be_made)
//!         .test("the relay survives a killed broker", the_relay_survives)
//!         .test("a person can log in", async |browser: Browser| browser.goto("data:text/html,hi").await)
//!         .run()
//! }
//!
//! async fn a_table_can_be_made(postgres: &'static Postgres) -> anyhow::Result<()> {
//!     let database = postgres.create_database("tables")?; // its own, so that tests can run side by side
//!     println!("{}", database.url());
//!     Ok(())
//! }
//!
//! async fn the_relay_survives(kafka: Kafka) -> anyhow::Result<()> {
//!     kafka.kill()?; // by value: a node of its own, to kill and freeze
//!     kafka.start_again()
//! }
//! ```
//!
//! | parameter | what the test gets | where it comes from |
//! |---|---|---|
//! | `&'static Postgres` | the server that this test binary shares | `CQRS_TEST_POSTGRES=<url>`, or the newest PostgreSQL installed |
//! | `Postgres` | a server of its own, to stop and to crash | the newest PostgreSQL installed |
//! | `&'static Kafka` | the node that this test binary shares | `CQRS_TEST_KAFKA=<bootstrap>`, or Java and the jars |
//! | `Kafka` | a node of its own, to kill and to freeze | Java and the jars: `CQRS_TEST_KAFKA_LIBS=<folder>`, or what `examples/deploy/kafka-jars` fetched |
//! | `Browser` | a headless Chromium with an empty page | `CQRS_TEST_CHROMIUM=<path>`, or the `PATH` |
//!
//! A test whose part is not on the machine counts as ignored and says which part and why. With
//! `CQRS_TEST_REQUIRE=postgres,kafka,chromium` it fails instead, and a part that is there but does not start always
//! fails. So `cargo test` passes on a bare machine, and CI skips nothing.
//!
//! Servers listen on loopback only and keep their data in a temporary folder. When a test run is killed, the kernel ends
//! its servers (`setpriv --pdeathsig`, util-linux on Linux; elsewhere they are left behind), and the next run
//! removes the folders.

mod browser;
mod certificates;
mod chromium;
mod door;
mod kafka;
mod machine;
mod part;
mod postgres;
mod process;
mod proxy;
mod trials;

pub use browser::Browser;
pub use certificates::{Authority, Issued};
pub use chromium::Chromium;
pub use door::Door;
pub use kafka::Kafka;
pub use part::{Part, Unavailable};
pub use postgres::{Database, Postgres};
pub use proxy::Proxy;
pub use trials::{Needed, Outcome, TestFn, Trials};
