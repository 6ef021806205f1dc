//! What SQLite alone promises: one process, its schema's version, SQL of one's own beside a batch.
use crate::trials::{runtime, trial};
use cqrs_core::{
    ErrorKind, Fault,
    batch::{Batch, Rejected, Row},
    storage::{
        Storage,
        sqlite::{Sqlite, transaction},
    },
};
use libtest_mimic::Trial;
use sqlx::{Connection, Row as _, SqliteConnection, query};
use std::path::Path;
use tempfile::tempdir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sqlite: the file and its directory are made", directory),
        trial("sqlite: a second process is told that the file is in use", second),
        trial("sqlite: a schema newer than the program is refused and left alone", newer),
        trial("sqlite: without a schema every call says what to do", unmigrated),
        trial("sqlite: SQL of one's own is committed with the batch", own_sql),
        trial("sqlite: a borrower that ends the transaction commits nothing with it", ended),
        trial("sqlite: what waits while the connection is lent is committed after it", lent),
        trial("sqlite: a full disk fails what was to be committed, and is got over", full),
        trial("sqlite: a closed database refuses", closed),
        Trial::test("sqlite: when its runtime is gone callers are told", || {
            gone();
            Ok(())
        }),
    ]
}

async fn open(path: &Path) -> Sqlite {
    let storage = Sqlite::open(path).await.expect("it opens");
    storage.migrate().await.expect("it takes the schema");
    storage
}

fn row(id: &str) -> Batch {
    let row = Row { kind: "user", id: id.to_owned(), expected: 0, version: 1, state: Some(Vec::new()) };
    Batch { rows: vec![row], ..Batch::default() }
}

async fn version(storage: &Sqlite, id: &str) -> u64 {
    storage.row("user", id, None).await.expect("a row can be read").found.version
}

fn whole(fault: &Fault) -> String {
    let source = std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default();
    format!("{:?} {fault}: {source}", fault.kind())
}

async fn directory() {
    let temp = tempdir().expect("a directory");
    let path = temp.path().join("not/there/yet.db");
    open(&path).await.commit(row("kim")).await.expect("it works");
    assert!(path.exists());
}

async fn second() {
    let temp = tempdir().expect("a directory");
    let path = temp.path().join("service.db");
    let first = open(&path).await;
    // A lock belongs to the open file, so this process stands for another.
    let fault = Sqlite::open(&path).await.expect_err("it is open");
    assert!(fault.to_string().ends_with("service.db is in use by another process"), "{fault}");
    first.commit(row("kim")).await.expect("the first goes on");
    // One that is on its way out is waited for.
    let (closed, next) = tokio::join!(first.close(), Sqlite::open(&path));
    let () = closed;
    assert_eq!(version(&next.expect("it is closed"), "kim").await, 1);
}

async fn newer() {
    let temp = tempdir().expect("a directory");
    let path = temp.path().join("service.db");
    open(&path).await.close().await;
    let mut other = SqliteConnection::connect(path.to_str().expect("a path in UTF-8")).await.expect("it opens");
    query("insert into _cqrs_migrations (version, name) values (7, 'later')")
        .execute(&mut other)
        .await
        .expect("a step");
    other.close().await.expect("it closes");
    let storage = Sqlite::open(&path).await.expect("it opens");
    let fault = storage.migrate().await.expect_err("it is newer");
    assert!(fault.to_string().starts_with("the schema is at version 7, this program knows 2: "), "{fault}");
    assert_eq!(fault.kind(), ErrorKind::Internal);
}

async fn unmigrated() {
    let temp = tempdir().expect("a directory");
    let storage = Sqlite::open(temp.path().join("service.db")).await.expect("it opens");
    let says = "Internal the database has no schema yet: call `migrate` first";
    let read = storage.row("user", "kim", None).await.expect_err("there is no table");
    assert!(whole(&read).starts_with(says), "{}", whole(&read));
    let horizon = storage.horizon().await.expect_err("there is no table");
    assert!(whole(&horizon).starts_with(says), "{}", whole(&horizon));
    let Err(Rejected::Fault(write)) = storage.commit(row("kim")).await else { panic!("there is no table") };
    assert!(whole(&write).starts_with(says), "{}", whole(&write));
    storage.migrate().await.expect("it is not too late");
    storage.commit(row("kim")).await.expect("it works");
}

async fn count(storage: &Sqlite) -> i64 {
    let mut tx = storage.begin().await.expect("it begins");
    let row = query("select count(*) from note").fetch_one(transaction(&mut *tx)).await.expect("notes");
    row.get(0)
}

async fn own_sql() {
    let temp = tempdir().expect("a directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("it begins");
    query("create table note (text text)").execute(transaction(&mut *tx)).await.expect("a table of one's own");
    tx.commit(Batch::default()).await.expect("an empty batch is fine");
    for (id, expected, kept) in [("kim", true, 1), ("kim", false, 1), ("lee", true, 2)] {
        let mut tx = storage.begin().await.expect("it begins");
        query("insert into note values ('x')").execute(transaction(&mut *tx)).await.expect("a note");
        assert_eq!(tx.commit(row(id)).await.is_ok(), expected, "{id}");
        assert_eq!(count(&storage).await, kept, "a refused batch takes the SQL with it");
    }
    let mut tx = storage.begin().await.expect("it begins");
    query("insert into note values ('x')").execute(transaction(&mut *tx)).await.expect("a note");
    drop(tx);
    assert_eq!(count(&storage).await, 2, "dropped is rolled back");
}

async fn ended() {
    let temp = tempdir().expect("a directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("it begins");
    query("rollback").execute(transaction(&mut *tx)).await.expect("nothing forbids it");
    let rejected = tx.commit(row("kim")).await.expect_err("its SQL is lost, so the batch must be");
    assert!(matches!(rejected, Rejected::Fault(_)), "{rejected:?}");
    assert_eq!(version(&storage, "kim").await, 0);
    storage.commit(row("kim")).await.expect("the writer goes on");
}

async fn lent() {
    let temp = tempdir().expect("a directory");
    let storage = open(&temp.path().join("service.db")).await;
    let tx = storage.begin().await.expect("it begins");
    let waiting = ["kim", "lee"].map(|id| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.commit(row(id)).await })
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(waiting.iter().all(|it| !it.is_finished()));
    assert_eq!(version(&storage, "kim").await, 0, "reads go on");
    tx.commit(row("park")).await.expect("it is first");
    for task in waiting {
        task.await.expect("no panic").expect("it is committed");
    }
}

async fn full() {
    let temp = tempdir().expect("a directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("it begins");
    // As full as it is; SQLite forgets this with the connection, and rolls back by itself when it happens.
    query("pragma max_page_count = 1").fetch_all(transaction(&mut *tx)).await.expect("a limit");
    drop(tx);
    let big = |id| {
        let mut all = row(id);
        all.rows[0].state = Some(vec![7; 1 << 20]);
        all
    };
    let (small, large) = tokio::join!(storage.commit(row("kim")), storage.commit(big("lee")));
    let Err(Rejected::Fault(fault)) = large else { panic!("it was committed: {large:?}") };
    assert_eq!(fault.kind(), ErrorKind::Unavailable, "{}", whole(&fault));
    assert_eq!(version(&storage, "lee").await, 0);
    assert_eq!(version(&storage, "kim").await, u64::from(small.is_ok()), "told {small:?}");
    storage.commit(big("lee")).await.expect("there is room again");
}

async fn closed() {
    let temp = tempdir().expect("a directory");
    let storage = open(&temp.path().join("service.db")).await;
    storage.close().await;
    let Err(Rejected::Fault(fault)) = storage.commit(row("kim")).await else { panic!("it is closed") };
    assert_eq!(fault.kind(), ErrorKind::Unavailable);
    assert!(storage.row("user", "kim", None).await.is_err_and(|it| it.kind() == ErrorKind::Unavailable));
    storage.close().await;
}

fn gone() {
    let temp = tempdir().expect("a directory");
    let path = temp.path().join("service.db");
    let first = runtime("first");
    let storage = first.block_on(open(&path));
    drop(first);
    runtime("second").block_on(async {
        let Err(Rejected::Fault(fault)) = storage.commit(row("kim")).await else { panic!("nobody writes") };
        assert_eq!(fault.kind(), ErrorKind::Unavailable);
        open(&path).await.commit(row("kim")).await.expect("the lock went with the runtime");
    });
}
