//! This service alone, through gRPC, on real databases. Each case runs on SQLite and, where there is a server, on PostgreSQL.
mod certificates; // who may call over TLS
mod initialize; // first visits
mod neighbour; // a counseling service that only talks and listens
#[cfg(feature = "deployed")]
mod program; // the program itself, with everything real around it
mod reserve; // holds: by id, for a minute, never more than there are
mod spend; // what counseling tells becomes accounting, once
mod stage; // the service with its database, its port and its clock
mod update; // saying who one is
mod whose; // who may ask about whom

use cqrs_core::storage::{postgres, sqlite::Sqlite};
use futures_util::future::BoxFuture;
use stage::Stage;
use std::process::ExitCode;
use test_support::{Postgres, Trials};

type Case = (&'static str, fn(Stage) -> BoxFuture<'static, anyhow::Result<()>>);

/// Cases by name: each is an `async fn(Stage) -> anyhow::Result<()>`.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$((stringify!($case), |stage| Box::pin($case(stage)))),*];
    };
}
pub(crate) use cases;

fn main() -> ExitCode {
    let suites = [
        ("initialize", initialize::CASES),
        ("update", update::CASES),
        ("reserve", reserve::CASES),
        ("spend", spend::CASES),
        ("whose", whose::CASES),
    ];
    let all = suites.into_iter().flat_map(|(suite, cases)| cases.iter().map(move |(name, case)| (suite, *name, *case)));
    let mut trials = Trials::new()
        .test("wiring: nothing is missing", async || user_service::wire(cqrs_core::App::new("user")).build().map(drop));
    for (suite, name, case) in all {
        let name = format!("{suite}: {}", name.replace('_', " "));
        trials = trials.test(format!("sqlite: {name}"), move || async move {
            let folder = tempfile::tempdir()?;
            let storage = Sqlite::open(folder.path().join("user.db")).await?;
            case(Stage::on(storage, folder).await?).await
        });
        trials = trials.test(format!("postgres: {name}"), move |postgres: &'static Postgres| async move {
            let database = postgres.create_database("user")?;
            let storage = postgres::Postgres::connect(database.url()).await?;
            case(Stage::on(storage, database).await?).await
        });
    }
    let trials = trials.group("certificates", certificates::trials());
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
