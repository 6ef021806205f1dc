//! Runs every case of a service on SQLite and, when a server is available, on PostgreSQL.
use super::TestDatabase;
use crate::Service;
use futures_util::future::BoxFuture;
use test_support::{Postgres, Trials};

/// The name of a case, and the case.
pub type Case<F> = (&'static str, fn(F) -> BoxFuture<'static, anyhow::Result<()>>);

/// A service with its clients, as its cases need it.
pub trait Fixture: Sized + Send + 'static {
    /// Starts the service on an empty database.
    fn on(database: TestDatabase) -> impl Future<Output = anyhow::Result<Self>> + Send;
}

/// Lists the cases of a file as `CASES`, by name; each is an `async fn(Fixture) -> anyhow::Result<()>`.
#[macro_export]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(crate) const CASES: &[$crate::testing::Case<Fixture>] =
            &[$((stringify!($case), |fixture| Box::pin($case(fixture)))),*];
    };
}

/// Adds each case of each suite twice: on SQLite and on PostgreSQL.
pub fn on_each_database<F: Fixture>(
    mut trials: Trials,
    service: &'static Service,
    suites: impl IntoIterator<Item = (&'static str, &'static [Case<F>])>,
) -> Trials {
    for (suite, cases) in suites {
        for (name, case) in cases {
            let name = format!("{suite}: {}", name.replace('_', " "));
            trials = trials.test(format!("sqlite: {name}"), move || async move {
                case(F::on(TestDatabase::sqlite().await?).await?).await
            });
            trials = trials.test(format!("postgres: {name}"), move |postgres: &'static Postgres| async move {
                case(F::on(TestDatabase::postgres(postgres, service.app).await?).await?).await
            });
        }
    }
    trials
}
