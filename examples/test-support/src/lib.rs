//! Real servers for tests, started as children of the test run and stopped with it.
//!
//! A test declares what it needs in its parameters, as a handler does, and [`Trials`] provides it:
//!
//! ```no_run
//! use test_support::{Browser, Kafka, Postgres, Trials};
//!
//! fn main() -> std::process::ExitCode {
//!     Trials::new()
//!         .test("a test without servers", async || assert_eq!(1 + 1, 2))
//!         .test("a table can be created", a_table_can_be_created)
//!         .test("the relay survives a killed broker", the_relay_survives)
//!         .test("a person can log in", async |browser: Browser| browser.goto("data:text/html,hi").await)
//!         .run()
//! }
//!
//! async fn a_table_can_be_created(postgres: &'static Postgres) -> anyhow::Result<()> {
//!     let database = postgres.create_database("tables")?; // a separate database, so that tests can run in parallel
//!     println!("{}", database.url());
//!     Ok(())
//! }
//!
//! async fn the_relay_survives(kafka: Kafka) -> anyhow::Result<()> {
//!     kafka.kill()?; // by value: a separate node, which the test may kill and freeze
//!     kafka.start_again()
//! }
//! ```
//!
//! | parameter | provides | source |
//! |---|---|---|
//! | `&'static Postgres` | the server that the test binary shares | `CQRS_TEST_POSTGRES=<url>`, or the newest PostgreSQL installed |
//! | `Postgres` | a separate server, which the test may stop and crash | the newest PostgreSQL installed |
//! | `&'static Kafka` | the node that the test binary shares | `CQRS_TEST_KAFKA=<bootstrap>`, or Java and the jars |
//! | `Kafka` | a separate node, which the test may kill and freeze | Java and the jars: `CQRS_TEST_KAFKA_LIBS=<folder>`, or the jars that `examples/deploy/kafka-jars` fetched |
//! | `DeployedKafka` | a separate node with the passwords and rights of `examples/deploy/compose.yaml` | as for `Kafka`, and `openssl` |
//! | `PgBouncer` | a pooler of its own in front of the shared PostgreSQL, in transaction mode | the PgBouncer installed |
//! | `&'static Redis` | the Redis that the test binary shares | the Redis installed |
//! | `Redis` | a separate Redis, which the test may kill, freeze and fill | the Redis installed |
//! | `Browser` | a headless Chromium with an empty page | `CQRS_TEST_CHROMIUM=<path>`, or the `PATH` |
//!
//! With the feature `web` a test can also start servers inside its own process: [`LoginProvider`] speaks the login protocols
//! of Kakao and Naver, and [`LanguageModel`] the API of OpenAI. Both fail as a test wants.
//!
//! A test whose server is not installed is ignored with the reason. With
//! `CQRS_TEST_REQUIRE=postgres,kafka,chromium,pgbouncer,redis` it fails instead. A server that is installed but does not start always fails the test. So `cargo test` passes on a bare
//! machine, and
//! CI skips no test.
//!
//! Servers listen on loopback only and keep their data in a temporary folder. When a test run is killed, the kernel
//! ends
//! its servers (`setpriv --pdeathsig`, util-linux on Linux; on other systems they keep running), and the next run
//! removes the folders.

mod browser;
mod certificates;
mod chromium;
mod deployed;
mod door;
mod kafka;
#[cfg(feature = "web")]
mod language_model;
#[cfg(feature = "web")]
mod login_provider;
mod machine;
mod part;
mod pgbouncer;
mod postgres;
mod process;
mod proxy;
mod redis;
mod rights;
mod trials;

pub use browser::Browser;
pub use certificates::{Authority, Issued};
pub use chromium::Chromium;
pub use deployed::DeployedKafka;
pub use door::Door;
pub use kafka::Kafka;
#[cfg(feature = "web")]
pub use language_model::{LanguageModel, ModelFault};
#[cfg(feature = "web")]
pub use login_provider::{LoginFault, LoginProvider};
pub use machine::free_port;
pub use part::{Part, Unavailable};
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Postgres};
pub use proxy::Proxy;
pub use redis::Redis;
pub use rights::{Operation, Resource, Right};
pub use trials::{Needed, Outcome, TestFn, Trials};
