//! SQLite's own guarantees: one process per file, the schema's version, and the caller's SQL beside a batch.
use crate::trials::{runtime, trial};
use cqrs_core::{
    ErrorKind, Fault,
    storage::sqlite::{RANGES_OF_INDEX, Sqlite, transaction},
    storage::{Batch, CommitError, Row, Storage},
};
use libtest_mimic::Trial;
use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection, query};
use std::path::Path;
use tempfile::tempdir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sqlite: the file and its directory are created", directory),
        #[cfg(unix)]
        trial("sqlite: only the owner can read the files and their directory", owner_only),
        trial("sqlite: a second process fails because the file is in use", second),
        trial("sqlite: a schema newer than the program is refused and left unchanged", newer),
        trial("sqlite: without a schema every call fails and names `migrate`", unmigrated),
        trial("sqlite: the caller's SQL is committed with the batch", own_sql),
        trial("sqlite: a caller that ends the transaction commits nothing", ended),
        trial("sqlite: commits that wait for a transaction are made after it", lent),
        trial("sqlite: a full disk fails the commit, and later commits succeed", full),
        trial("sqlite: a closed database is unavailable", closed),
        trial("sqlite: a range of an index is a search of the primary key, without a sort", range_plans),
        Trial::test("sqlite: calls fail when the runtime of the database is gone", || {
            gone();
            Ok(())
        }),
    ]
}

async fn open(path: &Path) -> Sqlite {
    let storage = Sqlite::open(path).await.expect("the database opens");
    storage.migrate().await.expect("the schema can be created");
    storage
}

fn row(id: &str) -> Batch {
    let row = Row { kind: "user", id: id.to_owned(), expected: 0, version: 1, state: Some(Vec::new()) };
    Batch { rows: vec![row], ..Batch::default() }
}

async fn version(storage: &Sqlite, id: &str) -> u64 {
    storage.row("user", id, None).await.expect("a row can be read").found.version
}

fn text(fault: &Fault) -> String {
    let source = std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default();
    format!("{:?} {fault}: {source}", fault.kind())
}

async fn directory() {
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("not/there/yet.db");
    open(&path).await.commit(row("kim")).await.expect("the commit succeeds");
    assert!(path.exists());
}

#[cfg(unix)]
async fn owner_only() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("new/service.db");
    let mode = |path: &Path| fs::metadata(path).expect("the file exists").permissions().mode() & 0o777;
    let storage = open(&path).await;
    storage.commit(row("kim")).await.expect("the commit succeeds");
    assert_eq!(mode(&temp.path().join("new")), 0o700);
    let files = ["service.db", "service.db-wal", "service.db-shm", "service.db.lock"];
    let files = files.map(|file| temp.path().join("new").join(file));
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
    storage.close().await;
    // A file that was created otherwise is restricted as well.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("the permissions can be set");
    open(&path).await.commit(row("lee")).await.expect("the commit succeeds");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

async fn second() {
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("service.db");
    let first = open(&path).await;
    // The lock belongs to the open file, so this process can stand for another.
    let fault = Sqlite::open(&path).await.expect_err("the file is in use");
    assert!(fault.to_string().ends_with("service.db is in use by another process"), "{fault}");
    first.commit(row("kim")).await.expect("the first process can still commit");
    // Opening waits for a database that is closing.
    let (closed, next) = tokio::join!(first.close(), Sqlite::open(&path));
    let () = closed;
    assert_eq!(version(&next.expect("the file is free"), "kim").await, 1);
}

async fn newer() {
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("service.db");
    open(&path).await.close().await;
    let mut other =
        SqliteConnection::connect(path.to_str().expect("a path in UTF-8")).await.expect("the database opens");
    query("insert into _cqrs_migrations (version, name) values (12, 'later')")
        .execute(&mut other)
        .await
        .expect("the row is inserted");
    other.close().await.expect("the connection closes");
    let storage = Sqlite::open(&path).await.expect("the database opens");
    let fault = storage.migrate().await.expect_err("the schema is newer than the program");
    assert!(
        fault.to_string().starts_with("the schema has version 12, and this program knows versions up to 11: "),
        "{fault}"
    );
    assert_eq!(fault.kind(), ErrorKind::Internal);
}

async fn unmigrated() {
    let temp = tempdir().expect("a temporary directory");
    let storage = Sqlite::open(temp.path().join("service.db")).await.expect("the database opens");
    let message = "Internal the database has no schema yet: call `migrate` first";
    let read = storage.row("user", "kim", None).await.expect_err("the table does not exist");
    assert!(text(&read).starts_with(message), "{}", text(&read));
    let high_water_mark = storage.high_water_mark().await.expect_err("the table does not exist");
    assert!(text(&high_water_mark).starts_with(message), "{}", text(&high_water_mark));
    let Err(CommitError::Fault(write)) = storage.commit(row("kim")).await else { panic!("the table does not exist") };
    assert!(text(&write).starts_with(message), "{}", text(&write));
    storage.migrate().await.expect("the schema can be created later");
    storage.commit(row("kim")).await.expect("the commit succeeds");
}

async fn count(storage: &Sqlite) -> i64 {
    let mut tx = storage.begin().await.expect("the transaction begins");
    let row =
        query("select count(*) from note").fetch_one(transaction(&mut *tx)).await.expect("the notes can be counted");
    row.get(0)
}

async fn own_sql() {
    let temp = tempdir().expect("a temporary directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("the transaction begins");
    query("create table note (text text)").execute(transaction(&mut *tx)).await.expect("the caller can create a table");
    tx.commit(Batch::default()).await.expect("an empty batch can be committed");
    for (id, committed, notes) in [("kim", true, 1), ("kim", false, 1), ("lee", true, 2)] {
        let mut tx = storage.begin().await.expect("the transaction begins");
        query("insert into note values ('x')").execute(transaction(&mut *tx)).await.expect("the note is inserted");
        assert_eq!(tx.commit(row(id)).await.is_ok(), committed, "{id}");
        assert_eq!(count(&storage).await, notes, "a refused batch rolls the caller's SQL back");
    }
    let mut tx = storage.begin().await.expect("the transaction begins");
    query("insert into note values ('x')").execute(transaction(&mut *tx)).await.expect("the note is inserted");
    drop(tx);
    assert_eq!(count(&storage).await, 2, "a dropped transaction is rolled back");
}

async fn ended() {
    let temp = tempdir().expect("a temporary directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("the transaction begins");
    query("rollback").execute(transaction(&mut *tx)).await.expect("the caller can roll back");
    let rejected = tx.commit(row("kim")).await.expect_err("the caller's SQL is lost, so the batch must fail");
    assert!(matches!(rejected, CommitError::Fault(_)), "{rejected:?}");
    assert_eq!(version(&storage, "kim").await, 0);
    storage.commit(row("kim")).await.expect("the writer can commit again");
}

async fn lent() {
    let temp = tempdir().expect("a temporary directory");
    let storage = open(&temp.path().join("service.db")).await;
    let tx = storage.begin().await.expect("the transaction begins");
    let waiting = ["kim", "lee"].map(|id| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.commit(row(id)).await })
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    assert_eq!(version(&storage, "kim").await, 0, "reads do not wait");
    tx.commit(row("park")).await.expect("the transaction commits first");
    for task in waiting {
        task.await.expect("the task does not panic").expect("the commit succeeds");
    }
}

async fn full() {
    let temp = tempdir().expect("a temporary directory");
    let storage = open(&temp.path().join("service.db")).await;
    let mut tx = storage.begin().await.expect("the transaction begins");
    // Limits the file to its present size. The limit ends with the connection; SQLite rolls back by itself when it is
    // reached.
    query("pragma max_page_count = 1").fetch_all(transaction(&mut *tx)).await.expect("the limit is set");
    drop(tx);
    let big = |id| {
        let mut all = row(id);
        all.rows[0].state = Some(vec![7; 1 << 20]);
        all
    };
    let (small, large) = tokio::join!(storage.commit(row("kim")), storage.commit(big("lee")));
    let Err(CommitError::Fault(fault)) = large else { panic!("the commit succeeded: {large:?}") };
    assert_eq!(fault.kind(), ErrorKind::Unavailable, "{}", text(&fault));
    assert_eq!(version(&storage, "lee").await, 0);
    assert_eq!(version(&storage, "kim").await, u64::from(small.is_ok()), "the small commit returned {small:?}");
    storage.commit(big("lee")).await.expect("the file can grow again");
}

async fn closed() {
    let temp = tempdir().expect("a temporary directory");
    let storage = open(&temp.path().join("service.db")).await;
    storage.close().await;
    let Err(CommitError::Fault(fault)) = storage.commit(row("kim")).await else { panic!("the database is closed") };
    assert_eq!(fault.kind(), ErrorKind::Unavailable);
    assert!(storage.row("user", "kim", None).await.is_err_and(|fault| fault.kind() == ErrorKind::Unavailable));
    storage.close().await;
}

fn gone() {
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("service.db");
    let first = runtime("first");
    let storage = first.block_on(open(&path));
    drop(first);
    runtime("second").block_on(async {
        let Err(CommitError::Fault(fault)) = storage.commit(row("kim")).await else { panic!("the writer is gone") };
        assert_eq!(fault.kind(), ErrorKind::Unavailable);
        open(&path).await.commit(row("kim")).await.expect("the lock was released with the runtime");
    });
}

/// Each statement searches the entries by the primary key, and looks the values up one by one.
async fn range_plans() {
    let temp = tempdir().expect("a temporary directory");
    let path = temp.path().join("service.db");
    open(&path).await.close().await;
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("the file opens");
    for sql in RANGES_OF_INDEX {
        let plan = query(AssertSqlSafe(format!("explain query plan {sql}"))).fetch_all(&mut connection).await;
        let plan: Vec<String> = plan.expect("the plan").iter().map(|row| row.get("detail")).collect();
        let until = if sql.contains("?6") { " AND (entry,key)<(?,?)" } else { "" };
        let mut expected = vec![
            "CO-ROUTINE e".to_owned(),
            format!("SEARCH e USING PRIMARY KEY (view=? AND name=? AND (entry,key)>(?,?){until})"),
            // The copy of the view that serves, once for the statement.
            "SCALAR SUBQUERY 1".to_owned(),
            "SEARCH c USING PRIMARY KEY (view=?)".to_owned(),
            "SCAN e".to_owned(),
        ];
        if sql.contains("cqrs_view v") {
            expected.push("SEARCH v USING INDEX sqlite_autoindex_cqrs_view_1 (view=? AND key=?)".to_owned());
        }
        assert_eq!(plan, expected, "{sql}");
    }
}
