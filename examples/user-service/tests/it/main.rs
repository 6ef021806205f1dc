//! Tests of the user service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod certificates; // callers over TLS
mod consume; // events of exchanges consume and release tokens
mod fixture; // the service with its database, its port and its clock
mod initialize; // first visits
mod neighbour; // a counseling service that publishes and records events
mod ownership; // access to other people's data
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod reserve; // holds of tokens
mod update; // profile changes

use cqrs_core::{storage::postgres, storage::sqlite::Sqlite};
use fixture::Fixture;
use futures_util::future::BoxFuture;
use std::process::ExitCode;
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
        ("initialize", initialize::CASES),
        ("update", update::CASES),
        ("reserve", reserve::CASES),
        ("consume", consume::CASES),
        ("ownership", ownership::CASES),
    ];
    let all = suites.into_iter().flat_map(|(suite, cases)| cases.iter().map(move |(name, case)| (suite, *name, *case)));
    let mut trials = Trials::new().test("wiring: every dependency is provided", async || {
        user_service::wire(cqrs_core::App::builder("user")).build().map(drop)
    });
    for (suite, name, case) in all {
        let name = format!("{suite}: {}", name.replace('_', " "));
        trials = trials.test(format!("sqlite: {name}"), move || async move {
            let folder = tempfile::tempdir()?;
            let storage = Sqlite::open(folder.path().join("user.db")).await?;
            case(Fixture::on(storage, folder).await?).await
        });
        trials = trials.test(format!("postgres: {name}"), move |postgres: &'static Postgres| async move {
            let database = postgres.create_database("user")?;
            let storage = postgres::Postgres::connect(database.url()).await?;
            case(Fixture::on(storage, database).await?).await
        });
    }
    let trials = trials.group("certificates", certificates::trials());
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
