//! The reports of the guide's chapter 10: every SQL block runs on its database over real data and returns the table below it,
//! and the views have the columns that the chapter promises.
use crate::bank::{Pay, bank, opened};
#[cfg(feature = "sqlite")]
use crate::trials::trial;
use cqrs_core::{
    Metadata, Position, Timestamp,
    environment::{Environment, SystemEnvironment},
    event::shard_of,
    job::Step,
    storage::{ArchiveRange, Batch, Park, Row, Storage},
    testing::EnvironmentLayer,
};
#[cfg(feature = "sqlite")]
use libtest_mimic::Trial;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const CHAPTER: &str = include_str!("../../../docs/guide/10-reports.md");

#[cfg(feature = "sqlite")]
pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("reports: sqlite: the reports of the guide return what it says", sqlite)]
}

/// Reports that must use indexes: those that the chapter calls cheap.
pub(crate) const INDEXED: [&str; 4] = [
    "select event from cqrs_read.events where stream = 'account/kim' order by version",
    "select event from cqrs_read.events where position > 3 order by position limit 2",
    "select state from cqrs_read.aggregates where aggregate = 'account' and id = 'kim'",
    "select event, payload from cqrs_read.parked where reader = 'projection/card' and key = 'account/kim'",
];

/// A report of the chapter: its SQL, and the table that it returns with the names of its columns.
pub(crate) struct Report {
    pub(crate) sql: String,
    pub(crate) table: Vec<Vec<String>>,
}

/// Returns the reports in the chapter for this database.
pub(crate) fn reports(database: &str) -> Vec<Report> {
    let (mut reports, mut sql) = (Vec::new(), String::new());
    for block in CHAPTER.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').expect("a block has a first line");
        match kind.split_once(' ') {
            Some(("sql", of)) if of == database => text.clone_into(&mut sql),
            Some(_) => (),
            None => {
                assert!(!sql.is_empty(), "a table without a report for {database}: {text}");
                let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
                reports.push(Report { sql: std::mem::take(&mut sql), table: text.lines().map(cells).collect() });
            }
        }
    }
    assert!(reports.len() >= 9, "only {} reports for {database}", reports.len());
    reports
}

/// Returns the names of the views with their columns, from the chapter's table.
pub(crate) fn views() -> Vec<(String, Vec<String>)> {
    let rows = CHAPTER.lines().filter(|line| line.starts_with("| `"));
    let view = |row: &str| {
        let mut names: Vec<_> = row.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (names.remove(0), names)
    };
    let views: Vec<_> = rows.map(view).collect();
    assert_eq!(views.len(), 8);
    views
}

/// A clock that stands, so that reports by day can be compared.
struct Standing;
impl EnvironmentLayer for Standing {
    fn now(&self) -> Timestamp {
        chrono::DateTime::from_timestamp(1_769_860_800, 0).expect("the time is in range")
    }
}

/// Fills a database with the data of the chapter: three accounts, a card that is behind, a parked message, unsent messages, a
/// value that is not JSON, and archived events, of which one is that of the parked message.
pub(crate) async fn fill(storage: impl Storage + Clone) {
    let app = bank(storage.clone()).environment(Arc::new(Standing)).build().expect("the app builds");
    app.migrate().await.expect("the program is declared");
    for id in ["kim", "lee", "park"] {
        opened(&app, id).await;
    }
    let pay = |id: &str, amount| Pay { id: id.into(), amount };
    let teller = Metadata::default().caller("teller");
    app.with(teller.clone()).send(pay("kim", 30)).await.expect("the payment succeeds");
    let of_process = teller.caused_by(SystemEnvironment.id(), Some(Uuid::from_u128(7)));
    app.with(of_process).send(pay("kim", -5)).await.expect("the payment succeeds");
    for mut follower in app.log_followers() {
        while !matches!(follower.step().await.expect("the step succeeds"), Step::Idle(_) | Step::IdleFor(..)) {}
        follower.release().await;
    }
    app.send(pay("lee", 70)).await.expect("the payment succeeds");
    let shard = format!("relay/{}", shard_of("kim"));
    storage.lease(&shard, "relay", Duration::from_secs(60)).await.expect("the lease is free");
    let blob = Row { kind: "blob", id: "odd".into(), expected: 0, version: 1, state: Some(b"{no json".to_vec()) };
    let park = Park {
        reader: "projection/card".into(),
        key: "account/kim".into(),
        behind: false,
        message: SystemEnvironment.id(),
        at: 1,
        record: None,
        error: "it failed".into(),
        attempts: 3,
    };
    let odd = cqrs_core::event::NewEntry {
        stream: "blob/odd".into(),
        version: 1,
        id: SystemEnvironment.id(),
        name: "blob.stored",
        schema: 1,
        payload: vec![0xff, b'{'],
        metadata: Metadata::NONE,
        occurred_at: Environment::now(&Standing),
        outgoing: None,
    };
    let batch = Batch { rows: vec![blob], parks: vec![park], events: vec![odd], ..Batch::default() };
    let upto = storage.commit(batch).await.expect("the batch is committed");
    assert_eq!(upto, Position(7));
    let before = Environment::now(&Standing) + Duration::from_secs(1);
    let archived = storage.archive(&ArchiveRange { after: Position(0), upto, before }, 99).await;
    assert_eq!(archived.expect("the database responds").moved, 2, "the openings of kim and lee");
}

#[cfg(feature = "sqlite")]
async fn sqlite() {
    use cqrs_core::storage::sqlite::Sqlite;
    use sqlx::{AssertSqlSafe, Column, Row, SqlitePool, sqlite::SqliteRow};
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let path = directory.path().join("bank.db");
    let storage = Sqlite::open(&path).await.expect("a new database opens");
    storage.migrate().await.expect("the schema can be created");
    fill(storage).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).read_only(true);
    let reader = SqlitePool::connect_with(options).await.expect("a reader opens the file beside the service");
    let table = |rows: Vec<SqliteRow>| {
        let cell = |row: &SqliteRow, column| row.get_unchecked::<Option<String>, usize>(column).unwrap_or_default();
        let cells = |row: &SqliteRow| (0..row.len()).map(|column| cell(row, column)).collect::<Vec<_>>();
        let names = rows.first().map(|row| row.columns().iter().map(|column| column.name().to_owned()).collect());
        names.into_iter().chain(rows.iter().map(cells)).collect::<Vec<_>>()
    };
    for Report { sql, table: expected } in reports("sqlite") {
        let rows = sqlx::query(AssertSqlSafe(sql.clone())).fetch_all(&reader).await;
        assert_eq!(table(rows.unwrap_or_else(|error| panic!("{error}: {sql}"))), expected, "{sql}");
    }
    for (view, columns) in views() {
        let names = format!("select name from pragma_table_info('cqrs_read_{view}')");
        let names: Vec<String> = sqlx::query_scalar(AssertSqlSafe(names)).fetch_all(&reader).await.expect("it is read");
        assert_eq!(names, columns, "{view}");
        let all = format!("select * from cqrs_read_{view}");
        sqlx::raw_sql(AssertSqlSafe(all)).fetch_all(&reader).await.expect("every row can be read");
    }
    for indexed in INDEXED.map(|sql| sql.replace("cqrs_read.", "cqrs_read_")) {
        let plan = sqlx::query(AssertSqlSafe(format!("explain query plan {indexed}"))).fetch_all(&reader).await;
        let plan: Vec<String> = plan.expect("it is planned").iter().map(|row| row.get("detail")).collect();
        // The result of a subquery is read as a whole; what matters is how it finds its rows.
        let is_scan = |step: &String| step.starts_with("SCAN") && !step.starts_with("SCAN (subquery");
        assert!(!plan.iter().any(is_scan), "{indexed}: {plan:#?}");
    }
}
