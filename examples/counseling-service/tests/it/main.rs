//! Tests of the counseling service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod fixture; // the service with its database, its port and its clock
mod lists; // order and pages of lists, and the seeds
mod messages; // sending a message and getting a reply
mod neighbour; // a service that records the events it receives
mod open; // opening a counsel
mod ownership; // access to other people's counsels
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod responder; // a scripted responder

use cqrs_core::{storage::postgres, storage::sqlite::Sqlite};
use fixture::Fixture;
use futures_util::future::BoxFuture;
use std::{process::ExitCode, sync::Arc};
use test_support::{Postgres, Trials};

type Case = (&'static str, fn(Fixture) -> BoxFuture<'static, anyhow::Result<()>>);

/// Lists cases by name; each is an `async fn(Fixture) -> anyhow::Result<()>`.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$((stringify!($case), |fixture| Box::pin($case(fixture)))),*];
    };
}
pub(crate) use cases;

fn main() -> ExitCode {
    let suites = [
        ("open", open::CASES),
        ("messages", messages::CASES),
        ("ownership", ownership::CASES),
        ("lists", lists::CASES),
    ];
    let all = suites.into_iter().flat_map(|(suite, cases)| cases.iter().map(move |(name, case)| (suite, *name, *case)));
    let mut trials = Trials::new().test("wiring: every dependency is provided", async || {
        let app = cqrs_core::App::builder(counseling_service::NAME);
        counseling_service::wire(app, Arc::new(counseling_service::OfflineResponder)).build().map(drop)
    });
    for (suite, name, case) in all {
        let name = format!("{suite}: {}", name.replace('_', " "));
        trials = trials.test(format!("sqlite: {name}"), move || async move {
            let folder = tempfile::tempdir()?;
            let storage = Sqlite::open(folder.path().join("counseling.db")).await?;
            case(Fixture::on(storage, folder).await?).await
        });
        trials = trials.test(format!("postgres: {name}"), move |postgres: &'static Postgres| async move {
            let database = postgres.create_database("counseling")?;
            let storage = postgres::Postgres::connect(database.url()).await?;
            case(Fixture::on(storage, database).await?).await
        });
    }
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
