//! This service alone, through gRPC, on real databases. Each case runs on SQLite and, where there is a server, on PostgreSQL.
mod lists; // what is listed, and what there is from the start
mod neighbour; // a service that remembers what it is told
mod open; // opening a counsel
#[cfg(feature = "deployed")]
mod program; // the program itself, with everything real around it
mod responder; // a responder that does as told
mod stage; // the service with its database, its port and its clock
mod talk; // saying something and being answered
mod whose; // whose counsel it is

use cqrs_core::storage::{postgres, sqlite::Sqlite};
use futures_util::future::BoxFuture;
use stage::Stage;
use std::{process::ExitCode, sync::Arc};
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
    let suites = [("open", open::CASES), ("talk", talk::CASES), ("whose", whose::CASES), ("lists", lists::CASES)];
    let all = suites.into_iter().flat_map(|(suite, cases)| cases.iter().map(move |(name, case)| (suite, *name, *case)));
    let mut trials = Trials::new().test("wiring: nothing is missing", async || {
        let app = cqrs_core::App::new(counseling_service::NAME);
        counseling_service::wire(app, Arc::new(counseling_service::OfflineResponder)).build().map(drop)
    });
    for (suite, name, case) in all {
        let name = format!("{suite}: {}", name.replace('_', " "));
        trials = trials.test(format!("sqlite: {name}"), move || async move {
            let folder = tempfile::tempdir()?;
            let storage = Sqlite::open(folder.path().join("counseling.db")).await?;
            case(Stage::on(storage, folder).await?).await
        });
        trials = trials.test(format!("postgres: {name}"), move |postgres: &'static Postgres| async move {
            let database = postgres.create_database("counseling")?;
            let storage = postgres::Postgres::connect(database.url()).await?;
            case(Stage::on(storage, database).await?).await
        });
    }
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
