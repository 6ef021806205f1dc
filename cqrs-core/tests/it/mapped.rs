//! Aggregates in a table that other software made, and rows of other software that decisions read.
use crate::bank::{Account, AccountEvent, BANK};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, AppBuilder, BoxError, Command, Dep, DomainError, Error, Event, Evolve, Foreign, ForeignTable,
    HandlerResult, IntegrationEvent, Mapped, Mapping, Metadata, Recorded, Repo, RowLock, StateStored, handler, publish,
    storage::{ReadLimit, Storage, Tx},
};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// The schema of the other software, a shop. The column `note` is its own.
pub(crate) const SCHEMA: &str = "\
    create table invoice (number bigint primary key, customer text not null, amount bigint not null, \
        paid bigint not null default 0, note text not null default '', row_version bigint not null default 1); \
    create table customer (name text primary key, is_blocked boolean not null default false, phone text); \
    insert into customer (name) values ('kim'), ('lee'); \
    insert into invoice (number, customer, amount, note) values (1, 'kim', 100, 'from the shop')";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "invoice", event = InvoiceEvent)]
struct Invoice {
    #[id]
    number: i64,
    customer: String,
    amount: i64,
    paid: i64,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "invoice", version = 1)]
enum InvoiceEvent {
    Issued { customer: String, amount: i64 },
    Paid { amount: i64 },
    Cancelled,
}
impl Evolve<InvoiceEvent> for Invoice {
    fn create(number: i64, event: &InvoiceEvent) -> Option<Self> {
        match event.clone() {
            InvoiceEvent::Issued { customer, amount } => Some(Invoice { number, customer, amount, paid: 0 }),
            InvoiceEvent::Paid { .. } | InvoiceEvent::Cancelled => None,
        }
    }
    fn apply(&mut self, event: &InvoiceEvent) {
        if let InvoiceEvent::Paid { amount } = event {
            self.paid += amount;
        }
    }
}
#[derive(Debug, thiserror::Error, DomainError)]
enum InvoiceError {
    #[error("only {0} is open")]
    #[kind(precondition)]
    TooMuch(i64),
    #[error("the customer is blocked or unknown")]
    #[kind(precondition)]
    Blocked,
}
#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "shop.invoice.paid.v1", topic = "invoices.v1", key = number)]
struct InvoicePaid {
    number: i64,
}
#[publish]
fn paid(event: &Recorded<InvoiceEvent>) -> Option<InvoicePaid> {
    matches!(event.event, InvoiceEvent::Paid { .. }).then_some(InvoicePaid { number: event.aggregate_id })
}

/// Runs SQL of the other software on a connection of its own, or on the one of a mapping.
#[async_trait]
pub(crate) trait Sql: Send + Sync + 'static {
    async fn run(&self, sql: &'static str);
    async fn number(&self, sql: &'static str) -> i64;
    async fn row(&self, tx: &mut dyn Tx, sql: String) -> Result<Option<(String, i64, i64, i64)>, BoxError>;
    async fn execute(&self, tx: &mut dyn Tx, sql: String) -> Result<(), BoxError>;
    /// Returns the lock of a `select`.
    fn lock(&self, lock: RowLock) -> &'static str;
}
type Database = Arc<dyn Sql>;

/// The invoices with the version column of the shop.
struct InvoiceTable(Database);
impl Mapping for InvoiceTable {
    type Aggregate = Invoice;
    type Version = i64;
    async fn load(&self, tx: &mut dyn Tx, number: &i64, lock: RowLock) -> Result<Option<(Invoice, i64)>, BoxError> {
        let sql = "select customer, amount, paid, row_version from invoice where number =";
        let found = self.0.row(tx, format!("{sql} {number}{}", self.0.lock(lock))).await?;
        let number = *number;
        Ok(found.map(|(customer, amount, paid, version)| (Invoice { number, customer, amount, paid }, version)))
    }
    async fn save(&self, tx: &mut dyn Tx, invoice: &Invoice, replaced: Option<&i64>) -> Result<(), BoxError> {
        self.0.execute(tx, saved(invoice, replaced.is_none(), "row_version + 1")).await
    }
    async fn delete(&self, tx: &mut dyn Tx, number: &i64, _: &i64) -> Result<(), BoxError> {
        self.0.execute(tx, format!("delete from invoice where number = {number}")).await
    }
}
/// The statement that saves an invoice.
fn saved(invoice: &Invoice, is_new: bool, row_version: &str) -> String {
    let Invoice { number, customer, amount, paid } = invoice;
    match is_new {
        true => format!(
            "insert into invoice (number, customer, amount, paid) values ({number}, '{customer}', {amount}, {paid})"
        ),
        false => format!(
            "update invoice set amount = {amount}, paid = {paid}, row_version = {row_version} where number = {number}"
        ),
    }
}
/// The invoices without a version column: the version is everything that was loaded. No row is deleted.
struct ComparedRows(Database);
impl Mapping for ComparedRows {
    type Aggregate = Invoice;
    type Version = Invoice;
    async fn load(&self, tx: &mut dyn Tx, number: &i64, lock: RowLock) -> Result<Option<(Invoice, Invoice)>, BoxError> {
        let found = InvoiceTable(self.0.clone()).load(tx, number, lock).await?;
        Ok(found.map(|(invoice, _)| (invoice.clone(), invoice)))
    }
    async fn save(&self, tx: &mut dyn Tx, invoice: &Invoice, replaced: Option<&Invoice>) -> Result<(), BoxError> {
        self.0.execute(tx, saved(invoice, replaced.is_none(), "row_version")).await
    }
}
/// A seeded bug: every version is the same, so that changes of the shop are not noticed.
struct Uncompared(Database);
impl Mapping for Uncompared {
    type Aggregate = Invoice;
    type Version = ();
    async fn load(&self, tx: &mut dyn Tx, number: &i64, lock: RowLock) -> Result<Option<(Invoice, ())>, BoxError> {
        Ok(InvoiceTable(self.0.clone()).load(tx, number, lock).await?.map(|(invoice, _)| (invoice, ())))
    }
    async fn save(&self, tx: &mut dyn Tx, invoice: &Invoice, replaced: Option<&()>) -> Result<(), BoxError> {
        self.0.execute(tx, saved(invoice, replaced.is_none(), "row_version + 1")).await
    }
}
struct Customers(Database);
impl ForeignTable for Customers {
    type Key = String;
    type Row = bool;
    const NAME: &'static str = "customer";
    async fn load(&self, tx: &mut dyn Tx, name: &String, lock: RowLock) -> Result<Option<bool>, BoxError> {
        let sql = "select name, case when is_blocked then 1 else 0 end, 0, 0 from customer where name =";
        // The driver's types of the two databases are those of an invoice, so that one function reads both.
        let found = self.0.row(tx, format!("{sql} '{name}'{}", self.0.lock(lock))).await?;
        Ok(found.map(|(_, is_blocked, _, _)| is_blocked == 1))
    }
}

/// A table with the name of an aggregate and the same keys.
struct Namesakes(Database);
impl ForeignTable for Namesakes {
    type Key = String;
    type Row = bool;
    const NAME: &'static str = "account";
    async fn load(&self, tx: &mut dyn Tx, name: &String, lock: RowLock) -> Result<Option<bool>, BoxError> {
        Customers(self.0.clone()).load(tx, name, lock).await
    }
}

/// Runs SQL of the shop in the middle of the first attempt of a command.
struct Shop {
    sql: Database,
    between: &'static str,
    attempts: AtomicUsize,
}
impl Shop {
    async fn meanwhile(&self) {
        if self.attempts.fetch_add(1, SeqCst) == 0 && !self.between.is_empty() {
            self.sql.run(self.between).await;
        }
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Issue {
    number: i64,
    customer: String,
    amount: i64,
}
#[handler]
async fn issue(
    command: Issue,
    invoices: Repo<Invoice>,
    customers: Foreign<Customers>,
    shop: Dep<Shop>,
) -> HandlerResult<(), InvoiceError> {
    let Issue { number, customer, amount } = command;
    if customers.read(&customer).await? != Some(false) {
        return Err(InvoiceError::Blocked.into());
    }
    shop.meanwhile().await;
    invoices.create(number, InvoiceEvent::Issued { customer, amount })?;
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct PayInvoice {
    number: i64,
    amount: i64,
}
#[handler]
async fn pay_invoice(
    command: PayInvoice,
    invoices: Repo<Invoice>,
    shop: Dep<Shop>,
) -> HandlerResult<i64, InvoiceError> {
    invoices.get::<InvoiceError>(&command.number).await?;
    shop.meanwhile().await;
    let pay = |invoice: &Invoice| match invoice.amount - invoice.paid {
        open if open < command.amount => Err(InvoiceError::TooMuch(open)),
        _ => Ok(InvoiceEvent::Paid { amount: command.amount }),
    };
    Ok(invoices.update(&command.number, pay).await?.paid)
}
/// Deletes an invoice. Returns the amount that was paid.
#[derive(Clone, Serialize, Deserialize, Command)]
struct Cancel(i64);
#[handler]
async fn cancel(Cancel(number): Cancel, invoices: Repo<Invoice>, shop: Dep<Shop>) -> HandlerResult<i64, InvoiceError> {
    invoices.get::<InvoiceError>(&number).await?;
    shop.meanwhile().await;
    Ok(invoices.delete(&number, |_| Ok::<_, InvoiceError>(InvoiceEvent::Cancelled)).await?.paid)
}
/// Issues an invoice and deletes it.
#[derive(Clone, Serialize, Deserialize, Command)]
struct IssueAndCancel(i64);
#[handler]
async fn issue_and_cancel(
    IssueAndCancel(number): IssueAndCancel,
    invoices: Repo<Invoice>,
) -> HandlerResult<(), InvoiceError> {
    invoices.create(number, InvoiceEvent::Issued { customer: "kim".into(), amount: 1 })?;
    invoices.delete(&number, |_| Ok::<_, InvoiceError>(InvoiceEvent::Cancelled)).await?;
    Ok(())
}
/// Opens an account if the customer of the same name is not blocked.
#[derive(Clone, Serialize, Deserialize, Command)]
struct OpenForCustomer(String);
#[handler]
async fn open_for_customer(
    OpenForCustomer(name): OpenForCustomer,
    namesakes: Foreign<Namesakes>,
    accounts: Repo<Account>,
    shop: Dep<Shop>,
) -> HandlerResult<(), InvoiceError> {
    if namesakes.read(&name).await? == Some(true) {
        return Err(InvoiceError::Blocked.into());
    }
    shop.meanwhile().await;
    accounts.create(name.clone(), AccountEvent::Opened { name })?;
    Ok(())
}
/// Pays, and opens an account that may exist: the two are committed together or not at all.
#[derive(Clone, Serialize, Deserialize, Command)]
struct PayAndOpen(i64, String);
#[handler]
async fn pay_and_open(
    command: PayAndOpen,
    invoices: Repo<Invoice>,
    accounts: Repo<Account>,
) -> HandlerResult<(), InvoiceError> {
    let PayAndOpen(number, name) = command;
    invoices.update(&number, |_| Ok(InvoiceEvent::Paid { amount: 1 })).await?;
    accounts.create(name.clone(), AccountEvent::Opened { name })?;
    Ok(())
}
/// Opens an account for the payer of an invoice that must be paid: the invoice is read and not changed.
#[derive(Clone, Serialize, Deserialize, Command)]
struct OpenIfPaid(i64, String);
#[handler]
async fn open_if_paid(
    command: OpenIfPaid,
    invoices: Repo<Invoice>,
    accounts: Repo<Account>,
    shop: Dep<Shop>,
) -> HandlerResult<(), InvoiceError> {
    let invoice = invoices.read::<InvoiceError>(&command.0).await?;
    shop.meanwhile().await;
    if invoice.paid < invoice.amount {
        return Err(InvoiceError::TooMuch(invoice.amount - invoice.paid).into());
    }
    accounts.create(command.1.clone(), AccountEvent::Opened { name: command.1 })?;
    Ok(())
}

fn builder(storage: &(impl Storage + Clone), sql: &Database, between: &'static str) -> AppBuilder {
    let shop = Shop { sql: sql.clone(), between, attempts: AtomicUsize::new(0) };
    let app = App::builder("shop").discover_part(module_path!()).discover_part(BANK).storage(storage.clone());
    let app = app.provide(Arc::new(Customers(sql.clone()))).provide(Arc::new(Namesakes(sql.clone())));
    app.aggregate(StateStored::<Account>::new()).provide(Arc::new(shop))
}
fn app(storage: &(impl Storage + Clone), sql: &Database, between: &'static str) -> App {
    let app = builder(storage, sql, between).aggregate(Mapped::new(InvoiceTable(sql.clone())));
    app.build().expect("the app builds")
}

/// Runs all cases on one database with the shop's schema.
pub(crate) async fn on(storage: impl Storage + Clone, sql: Database) {
    const NOTHING: &str = "";
    let pay = |number, amount| PayInvoice { number, amount };
    let issue = |number, customer: &str| Issue { number, customer: customer.into(), amount: 50 };

    // A row that the shop has made is paid, with its event and its integration event, once for a key.
    let plain = app(&storage, &sql, NOTHING);
    let keyed = || plain.with(Metadata::default().caller("kim").key("once"));
    assert_eq!(keyed().send(pay(1, 10)).await.expect("the invoice is open"), 10);
    assert_eq!(keyed().send(pay(1, 10)).await.expect("the stored response"), 10);
    assert_eq!(sql.number("select paid * 100 + row_version from invoice where number = 1").await, 1002);
    assert_eq!(sql.number("select count(*) from invoice where note = 'from the shop'").await, 1, "its column stays");
    let stream = storage.stream_page("invoice/1", 0, ReadLimit::entries(9)).await.expect("the database responds");
    let entries: Vec<_> = stream.iter().map(|entry| (entry.version, &*entry.name, entry.outgoing.is_some())).collect();
    assert_eq!(entries, [(1, "invoice.paid", true)]);

    // A new one is a row for the shop, and exists then.
    plain.send(issue(2, "kim")).await.expect("the number is free");
    assert_eq!(sql.number("select amount from invoice where number = 2").await, 50);
    for number in [1, 2] {
        let exists = plain.send(issue(number, "kim")).await.expect_err("the number is taken");
        assert!(matches!(&exists, Error::Exists { what } if *what == format!("invoice/{number}")), "{exists}");
    }
    assert!(matches!(plain.send(pay(9, 1)).await, Err(Error::NotFound { .. })));
    let refused = plain.send(pay(2, 51)).await.expect_err("more than is open");
    assert!(matches!(refused, Error::Domain(InvoiceError::TooMuch(50))), "{refused}");

    // A change of the shop between load and save is a conflict: the command is decided again, and nothing is lost.
    let changed =
        app(&storage, &sql, "update invoice set paid = paid + 5, row_version = row_version + 1 where number = 2");
    assert_eq!(changed.send(pay(2, 10)).await.expect("decided again"), 15);
    assert_eq!(sql.number("select paid from invoice where number = 2").await, 15);
    let refused = app(&storage, &sql, "update invoice set paid = 48, row_version = row_version + 1 where number = 2");
    assert!(matches!(refused.send(pay(2, 10)).await, Err(Error::Domain(InvoiceError::TooMuch(2)))));
    // The same without a version column.
    let compared = builder(&storage, &sql, "update invoice set paid = 20 where number = 2");
    let compared = compared.aggregate(Mapped::new(ComparedRows(sql.clone()))).build().expect("the app builds");
    assert_eq!(compared.send(pay(2, 1)).await.expect("decided again"), 21);
    // Seeded: without a comparison the change of the shop is lost.
    let lost = builder(&storage, &sql, "update invoice set paid = 40, row_version = row_version + 1 where number = 2");
    let lost = lost.aggregate(Mapped::new(Uncompared(sql.clone()))).build().expect("the app builds");
    assert_eq!(lost.send(pay(2, 1)).await.expect("the command does not see it"), 22);
    // The shop removes the row, or inserts the same number first.
    let removed = app(&storage, &sql, "delete from invoice where number = 2");
    assert!(matches!(removed.send(pay(2, 1)).await, Err(Error::NotFound { .. })));
    let inserted = app(&storage, &sql, "insert into invoice (number, customer, amount) values (3, 'lee', 7)");
    assert!(matches!(inserted.send(issue(3, "kim")).await, Err(Error::Exists { .. })));
    assert_eq!(sql.number("select amount from invoice where number = 3").await, 7);

    // The row and everything else of the batch are committed together.
    let before = sql.number("select paid from invoice where number = 1").await;
    plain.send(PayAndOpen(1, "new".into())).await.expect("both are committed");
    let exists = plain.send(PayAndOpen(1, "new".into())).await.expect_err("the account exists");
    assert!(matches!(&exists, Error::Exists { what } if what == "account/new"), "{exists}");
    assert_eq!(sql.number("select paid from invoice where number = 1").await, before + 1);
    assert_eq!(storage.stream("invoice/1", 0, None).await.expect("the database responds").found.len(), 2);

    // What is read of an invoice or of a customer is compared at the commit.
    sql.run("update invoice set paid = amount where number = 1").await;
    let unpaid = app(&storage, &sql, "update invoice set paid = 0, row_version = row_version + 1 where number = 1");
    assert!(matches!(unpaid.send(OpenIfPaid(1, "a".into())).await, Err(Error::Domain(InvoiceError::TooMuch(100)))));
    let blocked = app(&storage, &sql, "update customer set is_blocked = true where name = 'lee'");
    assert!(matches!(blocked.send(issue(4, "lee")).await, Err(Error::Domain(InvoiceError::Blocked))));
    let phoned = app(&storage, &sql, "update customer set phone = '1' where name = 'kim'");
    phoned.send(issue(4, "kim")).await.expect("the telephone number is no conflict");
    assert!(matches!(plain.send(issue(5, "nobody")).await, Err(Error::Domain(InvoiceError::Blocked))));

    // Concurrent commands on one row, the first of which has no version yet, are all counted.
    sql.run("insert into invoice (number, customer, amount) values (7, 'kim', 1000)").await;
    let sent = (0..20).map(|_| {
        let plain = plain.clone();
        tokio::spawn(async move { plain.send(pay(7, 1)).await })
    });
    for result in futures_util::future::join_all(sent).await {
        result.expect("no panic").expect("the payment succeeds");
    }
    assert_eq!(sql.number("select paid from invoice where number = 7").await, 20);

    deleted(&storage, &sql).await;

    // A foreign table may have the name of an aggregate: both are stored and compared.
    let blocks = app(&storage, &sql, "update customer set is_blocked = true where name = 'kim'");
    assert!(matches!(blocks.send(OpenForCustomer("kim".into())).await, Err(Error::Domain(InvoiceError::Blocked))));
    sql.run("update customer set is_blocked = false where name = 'kim'").await;
    plain.send(OpenForCustomer("kim".into())).await.expect("the customer is not blocked");
    let account = storage.row("account", "kim", None).await.expect("the database responds").found;
    assert!(account.state.is_some_and(|state| serde_json::from_slice::<Account>(&state).is_ok()), "no state is stored");
}

/// An aggregate that is deleted has no row any more, and its id is refused or used again.
async fn deleted(storage: &(impl Storage + Clone), sql: &Database) {
    let plain = app(storage, sql, "");
    let issue = |number| Issue { number, customer: "kim".into(), amount: 50 };
    let events = async |number: i64| {
        let stream = storage.stream(&format!("invoice/{number}"), 0, None).await.expect("the database responds").found;
        stream.into_iter().map(|event| event.name).collect::<Vec<_>>()
    };

    plain.send(issue(8)).await.expect("the number is free");
    assert_eq!(plain.send(Cancel(8)).await.expect("the invoice exists"), 0);
    assert_eq!(sql.number("select count(*) from invoice where number = 8").await, 0);
    assert_eq!(events(8).await, ["invoice.issued", "invoice.cancelled", "cqrs.deleted"]);
    let gone = plain.send(PayInvoice { number: 8, amount: 1 }).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    let read = plain.send(OpenIfPaid(8, "eight".into())).await;
    assert!(matches!(read, Err(Error::NotFound { .. })), "{read:?}");
    let exists = plain.send(issue(8)).await;
    assert!(matches!(exists, Err(Error::Exists { .. })), "{exists:?}");
    assert_eq!(sql.number("select count(*) from invoice where number = 8").await, 0, "a refused command inserts a row");

    // The id is used again by choice, and the shop may insert the row again.
    let reuses = builder(storage, sql, "").aggregate(Mapped::new(InvoiceTable(sql.clone())).reuses_ids());
    reuses.build().expect("the app builds").send(issue(8)).await.expect("the id can be used again");
    assert_eq!(plain.send(Cancel(8)).await.expect("the invoice exists"), 0);
    sql.run("insert into invoice (number, customer, amount) values (8, 'kim', 9)").await;
    assert_eq!(plain.send(PayInvoice { number: 8, amount: 9 }).await.expect("the shop has inserted it"), 9);
    assert_eq!(events(8).await.len(), 7);

    // A change of the shop before the deletion is a conflict: the command is decided again.
    let paid = app(storage, sql, "update invoice set paid = 5, row_version = row_version + 1 where number = 8");
    assert_eq!(paid.send(Cancel(8)).await.expect("decided again"), 5);
    // An aggregate that one command creates and deletes has no row.
    plain.send(IssueAndCancel(9)).await.expect("the number is free");
    assert_eq!(sql.number("select count(*) from invoice where number in (8, 9)").await, 0);
    assert!(matches!(plain.send(issue(9)).await, Err(Error::Exists { .. })));

    // A mapping without `delete` refuses, and nothing is changed.
    let keeps = builder(storage, sql, "").aggregate(Mapped::new(ComparedRows(sql.clone())));
    let keeps = keeps.build().expect("the app builds");
    keeps.send(issue(10)).await.expect("the number is free");
    let refused = keeps.send(Cancel(10)).await.expect_err("the mapping deletes no rows");
    let causes = std::iter::successors(std::error::Error::source(&refused), |error| error.source());
    let text: Vec<_> = causes.map(ToString::to_string).collect();
    assert!(text.iter().any(|text| text.contains("the mapping has no `delete`")), "{refused}: {text:?}");
    assert_eq!(sql.number("select amount from invoice where number = 10").await, 50);
    assert_eq!(events(10).await, ["invoice.issued"]);
}

#[cfg(feature = "sqlite")]
pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    vec![
        crate::trials::trial("mapped: sqlite: a table of other software is used beside it", sqlite),
        crate::trials::trial("mapped: unique fields are refused, since other software does not reserve values", unique),
    ]
}

#[cfg(feature = "sqlite")]
async fn sqlite() {
    use cqrs_core::storage::sqlite::{Sqlite, transaction};
    use sqlx::{AssertSqlSafe, SqlitePool};
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let path = directory.path().join("shop.db");
    let storage = Sqlite::open(&path).await.expect("a new database opens");
    storage.migrate().await.expect("the schema can be created");
    struct OnSqlite(SqlitePool);
    #[async_trait]
    impl Sql for OnSqlite {
        async fn run(&self, sql: &'static str) {
            sqlx::raw_sql(sql).execute(&self.0).await.expect("the shop's SQL runs");
        }
        async fn number(&self, sql: &'static str) -> i64 {
            sqlx::query_scalar(sql).fetch_one(&self.0).await.expect("the shop's SQL runs")
        }
        async fn row(&self, tx: &mut dyn Tx, sql: String) -> Result<Option<(String, i64, i64, i64)>, BoxError> {
            Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(transaction(tx)).await?)
        }
        async fn execute(&self, tx: &mut dyn Tx, sql: String) -> Result<(), BoxError> {
            sqlx::query(AssertSqlSafe(sql)).execute(transaction(tx)).await?;
            Ok(())
        }
        fn lock(&self, _: RowLock) -> &'static str {
            ""
        }
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = SqlitePool::connect_with(options).await.expect("the shop opens the file");
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("the shop's schema can be created");
    on(storage, Arc::new(OnSqlite(pool))).await;
}

#[cfg(feature = "sqlite")]
struct Accounts;
#[cfg(feature = "sqlite")]
impl Mapping for Accounts {
    type Aggregate = Account;
    type Version = i64;
    async fn load(&self, _: &mut dyn Tx, _: &String, _: RowLock) -> Result<Option<(Account, i64)>, BoxError> {
        Ok(None)
    }
    async fn save(&self, _: &mut dyn Tx, _: &Account, _: Option<&i64>) -> Result<(), BoxError> {
        Ok(())
    }
}
#[cfg(feature = "sqlite")]
async fn unique() {
    let app = App::builder("shop").discover_part(BANK).aggregate(Mapped::new(Accounts));
    let refused = app.build().expect_err("the account has a unique field").to_string();
    assert!(refused.contains("account") && refused.contains("unique index"), "{refused}");
}
