//! A projector with a plain `insert` in two processes on one database: one of them applies each event.
use crate::bank::{AccountEvent, bank, opened};
#[cfg(feature = "sqlite")]
use crate::trials::trial;
use cqrs_core::{
    App, BoxError, Recorded,
    consumer::LogFollower,
    job::Step,
    projector,
    storage::{Storage, Tx},
};
#[cfg(feature = "sqlite")]
use libtest_mimic::Trial;

#[cfg(feature = "sqlite")]
pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("projector: sqlite: a plain insert goes on in two processes on one database", sqlite)]
}

/// The statement that creates the table of the projectors.
pub(crate) const TABLE: &str = "create table opened (account text primary key)";

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::{AccountEvent, BoxError, Recorded, Tx, projector};
    use cqrs_core::storage::sqlite::transaction;
    #[projector(name = "opened")]
    async fn opened(event: Recorded<AccountEvent>, tx: &mut dyn Tx) -> Result<(), BoxError> {
        let insert = sqlx::query("insert into opened values (?)").bind(&event.aggregate_id);
        insert.execute(transaction(tx)).await?;
        Ok(())
    }
}
#[cfg(feature = "postgres")]
mod on_postgres {
    use super::{AccountEvent, BoxError, Recorded, Tx, projector};
    use cqrs_core::storage::postgres::transaction;
    #[projector(name = "opened")]
    async fn opened(event: Recorded<AccountEvent>, tx: &mut dyn Tx) -> Result<(), BoxError> {
        let insert = sqlx::query("insert into opened values ($1)").bind(&event.aggregate_id);
        insert.execute(&mut **transaction(tx)).await?;
        Ok(())
    }
}

/// Both processes have read the checkpoint before the events; then the slower one runs the same SQL as the faster one.
pub(crate) async fn in_two_processes(storage: impl Storage + Clone, part: &'static str) {
    let app = || bank(storage.clone()).discover_part(part).build().expect("the app builds");
    let apps = [app(), app()];
    let follower = |app: &App| {
        let found = app.log_followers().into_iter().find(|follower| follower.name() == "projection/opened");
        found.expect("the projector is discovered")
    };
    let [mut faster, mut slower] = [follower(&apps[0]), follower(&apps[1])];
    for round in 0..3 {
        for follower in [&mut faster, &mut slower] {
            to_the_end(follower).await;
        }
        for number in 0..3 {
            opened(&apps[0], &format!("id{round}{number}")).await;
        }
        to_the_end(&mut faster).await;
        assert_eq!(slower.step().await.expect("another process has applied the events"), Step::Did(0));
    }
    // The slower process goes on when the other one is gone.
    drop(faster);
    to_the_end(&mut slower).await;
    opened(&apps[1], "last").await;
    to_the_end(&mut slower).await;
    let stored = storage.checkpoints(&["projection/opened".to_owned()]).await.expect("the database responds");
    assert_eq!(stored, [storage.high_water_mark().await.expect("the database responds").0]);
    assert!(apps[0].parked().list(&Default::default()).await.expect("the database responds").is_empty());
}
async fn to_the_end(follower: &mut LogFollower) {
    for _ in 0..20 {
        if let Step::Idle(_) | Step::IdleFor(..) = follower.step().await.expect("the step succeeds") {
            return;
        }
    }
    panic!("the follower makes no progress: {follower:?}");
}

#[cfg(feature = "sqlite")]
async fn sqlite() {
    use cqrs_core::storage::sqlite::{Sqlite, transaction};
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = Sqlite::open(directory.path().join("bank.db")).await.expect("a new database opens");
    storage.migrate().await.expect("the schema can be created");
    let mut tx = storage.begin().await.expect("the transaction begins");
    sqlx::query(TABLE).execute(transaction(&mut *tx)).await.expect("the table is created");
    tx.commit(Default::default()).await.expect("the table is committed");
    in_two_processes(storage, "it::projector::on_sqlite").await;
}
