//! Aggregates in relational tables of one's own, and rows of other software that a decision reads.
//!
//! A row is loaded without a lock, and the decision is made. In the transaction of the commit the row is loaded again and locked,
//! compared with the one of the decision, and then saved. So a change by other software is a conflict and is not lost,
//! whether it keeps a version or not.
use crate::{
    aggregate::{Aggregate, Persistence, PersistenceOptions, unit_of_work::UnitOfWork},
    error::{BoxError, Fault},
    event::stream_of,
    position::Position,
    runtime::Runtime,
    storage::{Batch, CommitError, Storage, Tx},
};
use async_trait::async_trait;
use std::{
    any::{Any, type_name},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

/// The lock with which a row is loaded. A mapping appends [`for_postgres`](RowLock::for_postgres) to its `select`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLock {
    /// None: the row is loaded for a decision.
    None,
    /// The row must not change until the end of the transaction.
    Share,
    /// The row is about to be changed by this transaction.
    Update,
}
impl RowLock {
    /// Returns the end of a `select` on PostgreSQL: ` for share`, ` for update`, or nothing. SQLite needs none, because a
    /// transaction has the file for itself.
    pub fn for_postgres(self) -> &'static str {
        match self {
            RowLock::None => "",
            RowLock::Share => " for share",
            RowLock::Update => " for update",
        }
    }
}

/// The mapping of an aggregate to tables of one's own, which other software may read and write as well.
///
/// The methods run SQL on the transaction of a [`Sqlite`](crate::storage) or PostgreSQL storage, which
/// `storage::sqlite::transaction` and `storage::postgres::transaction` return. They must not end it.
///
/// ```
/// # #[cfg(feature = "sqlite")] mod mapping {
/// use cqrs_core::{BoxError, Mapping, RowLock, storage::{Tx, sqlite::transaction}};
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "invoice", event = Paid)]
/// # pub struct Invoice { #[id] number: i64, paid: i64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "paid", version = 1)]
/// # pub struct Paid(i64);
/// # impl Evolve<Paid> for Invoice {
/// #     fn create(number: i64, event: &Paid) -> Option<Self> { Some(Invoice { number, paid: event.0 }) }
/// #     fn apply(&mut self, event: &Paid) { self.paid += event.0 }
/// # }
///
/// /// `create table invoice (number integer primary key, paid integer not null, row_version integer not null)`
/// struct InvoiceTable;
/// impl Mapping for InvoiceTable {
///     type Aggregate = Invoice;
///     type Version = i64;
///     async fn load(&self, tx: &mut dyn Tx, number: &i64, _: RowLock) -> Result<Option<(Invoice, i64)>, BoxError> {
///         let row = sqlx::query_as("select paid, row_version from invoice where number = ?").bind(*number);
///         let row: Option<(i64, i64)> = row.fetch_optional(transaction(tx)).await?;
///         Ok(row.map(|(paid, version)| (Invoice { number: *number, paid }, version)))
///     }
///     async fn save(&self, tx: &mut dyn Tx, invoice: &Invoice, replaced: Option<&i64>) -> Result<(), BoxError> {
///         let sql = match replaced {
///             None => "insert into invoice (paid, number, row_version) values (?, ?, 1)",
///             Some(_) => "update invoice set paid = ?, row_version = row_version + 1 where number = ?",
///         };
///         sqlx::query(sql).bind(invoice.paid).bind(invoice.number).execute(transaction(tx)).await?;
///         Ok(())
///     }
/// }
/// # }
/// ```
pub trait Mapping: Send + Sync + 'static {
    /// The type of the aggregate.
    type Aggregate: Aggregate;
    /// The version of a loaded row: its version column, or everything that was loaded if other software keeps no version.
    type Version: PartialEq + Send + Sync + 'static;
    /// Loads the aggregate with its version, and takes this lock.
    ///
    /// # Errors
    /// An error of the driver fails the command. One that a repetition can cure, such as a deadlock, is a conflict.
    #[allow(clippy::type_complexity, reason = "an implementation writes its own types in their place")]
    fn load(
        &self,
        tx: &mut dyn Tx,
        id: &<Self::Aggregate as Aggregate>::Id,
        lock: RowLock,
    ) -> impl Future<Output = Result<Option<(Self::Aggregate, Self::Version)>, BoxError>> + Send;
    /// Saves the aggregate over the row of this version, which this transaction has locked and compared; `None` inserts it.
    /// A version column must get another value.
    ///
    /// # Errors
    /// As for [`load`](Mapping::load). A violated unique index of a new row means that the row exists by now.
    fn save(
        &self,
        tx: &mut dyn Tx,
        state: &Self::Aggregate,
        replaced: Option<&Self::Version>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;
    /// Deletes the row of this version, which this transaction has locked and compared. A commit calls it for an aggregate
    /// that [`Repo::delete`](crate::Repo::delete) has ended.
    ///
    /// # Errors
    /// As for [`load`](Mapping::load). Unless it is implemented, it returns an error, and the command changes nothing.
    fn delete(
        &self,
        tx: &mut dyn Tx,
        id: &<Self::Aggregate as Aggregate>::Id,
        replaced: &Self::Version,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let (_, _, _) = (tx, id, replaced);
        async { Err("the mapping has no `delete`: write one, or end the aggregate by a state of its own".into()) }
    }
}

/// A table of other software that decisions read, by key.
///
/// The commit loads the row again with a lock and compares the two. What was read cannot change before the command is
/// committed, if a row was found. For a row that was absent, the comparison is the last look: an insert that is committed after it
/// goes unnoticed.
pub trait ForeignTable: Send + Sync + 'static {
    /// The key. Its text orders the locks of a command and names the row in a conflict.
    type Key: fmt::Display + Clone + Send + Sync + 'static;
    /// The content on which decisions rely. Another change of the row is no conflict.
    type Row: Clone + PartialEq + Send + Sync + 'static;
    /// The name in conflicts, such as `customer`. It orders the locks of a command, too.
    const NAME: &'static str;
    /// Loads the row, and takes this lock.
    ///
    /// # Errors
    /// As for [`Mapping::load`].
    fn load(
        &self,
        tx: &mut dyn Tx,
        key: &Self::Key,
        lock: RowLock,
    ) -> impl Future<Output = Result<Option<Self::Row>, BoxError>> + Send;
}

/// A table of other software as a handler's parameter. The table is [provided](crate::AppBuilder::provide) to the app.
pub struct Foreign<T> {
    pub(crate) table: Arc<T>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) unit: UnitOfWork,
}
impl<T: ForeignTable> Foreign<T> {
    /// Reads the row with this key, if there is one. The commit of the command compares it again.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails.
    pub async fn read(&self, key: &T::Key) -> Result<Option<T::Row>, Fault> {
        let name = key.to_string();
        let mut tx = self.runtime.storage.begin().await?;
        let row = self.table.load(&mut *tx, key, RowLock::None).await;
        drop(tx);
        let row = row.map_err(|error| self.unit.failed(failed(T::NAME, &name, error)))?;
        let read = ForeignRow { table: self.table.clone(), key: key.clone(), row: row.clone() };
        self.unit.uses_table(T::NAME, &name, Some(type_name::<T>()), Arc::new(read));
        Ok(row)
    }
}
impl<T> fmt::Debug for Foreign<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign")
    }
}

/// Persistence in tables of one's own, through a [`Mapping`]. The row, the events, the outbox and the stored response are
/// committed together, on SQLite and PostgreSQL.
///
/// The framework keeps the version of the aggregate's events beside it. A load takes several round trips, and so does
/// a commit. Unique fields are the table's: the aggregate must have none.
#[derive(Debug)]
pub struct Mapped<A, M> {
    mapping: M,
    options: PersistenceOptions,
    of: PhantomData<fn() -> A>,
}
impl<A: Aggregate, M: Mapping<Aggregate = A>> Mapped<A, M> {
    /// Stores `A` in the tables of this mapping.
    pub fn new(mapping: M) -> Self {
        Mapped { mapping, options: PersistenceOptions::default(), of: PhantomData }
    }
    /// Lets [`Repo::create`](crate::Repo::create) use the id of a deleted aggregate again. Its events follow those of the
    /// deleted one in the same stream. Default: such an id is refused as one that exists.
    ///
    /// A `create` without a `find` before it then takes one more round trip to the database.
    pub fn reuses_ids(mut self) -> Self {
        self.options.reuses_ids = true;
        self
    }
}
impl<A: Aggregate, M: Mapping<Aggregate = A>> Persistence for Mapped<A, M> {
    type Aggregate = A;
    const ROW: bool = true;
    fn options(&self) -> PersistenceOptions {
        self.options
    }
    fn into_table(self) -> Option<Arc<dyn Table<A>>> {
        Some(Arc::new(OwnTable(Arc::new(self.mapping))))
    }
}

/// A mapping without its type.
#[async_trait]
pub trait Table<A: Aggregate>: Send + Sync {
    /// Loads the aggregate without a lock, with the row as it was found.
    async fn load(&self, tx: &mut dyn Tx, id: &A::Id) -> Result<(Option<A>, Arc<dyn FoundRow>), Fault>;
    /// Returns the row of an aggregate that is to be created.
    fn absent(&self, id: &A::Id) -> Arc<dyn FoundRow>;
}

/// A row as the decision found it.
#[async_trait]
pub trait FoundRow: Send + Sync {
    /// Loads the row again with a lock, compares it, and changes it.
    async fn compare_and_change(&self, tx: &mut dyn Tx, change: &RowChange, is_new: bool) -> Result<(), CommitError>;
}

/// The change of a row after its comparison.
pub enum RowChange {
    /// None: the row was only read.
    None,
    /// Saves this state of the aggregate.
    Save(Arc<dyn Any + Send + Sync>),
    /// Deletes the row.
    Delete,
}

struct OwnTable<M>(Arc<M>);
#[async_trait]
impl<M: Mapping> Table<M::Aggregate> for OwnTable<M> {
    async fn load(
        &self,
        tx: &mut dyn Tx,
        id: &<M::Aggregate as Aggregate>::Id,
    ) -> Result<(Option<M::Aggregate>, Arc<dyn FoundRow>), Fault> {
        let found = self.0.load(tx, id, RowLock::None).await;
        let found = found.map_err(|error| failed(M::Aggregate::NAME, &id.to_string(), error))?;
        let (state, version) = found.unzip();
        Ok((state, Arc::new(OwnRow { mapping: self.0.clone(), id: id.clone(), version })))
    }
    fn absent(&self, id: &<M::Aggregate as Aggregate>::Id) -> Arc<dyn FoundRow> {
        Arc::new(OwnRow { mapping: self.0.clone(), id: id.clone(), version: None })
    }
}
struct OwnRow<M: Mapping> {
    mapping: Arc<M>,
    id: <M::Aggregate as Aggregate>::Id,
    version: Option<M::Version>,
}
#[async_trait]
impl<M: Mapping> FoundRow for OwnRow<M> {
    async fn compare_and_change(&self, tx: &mut dyn Tx, change: &RowChange, is_new: bool) -> Result<(), CommitError> {
        let (name, id) = (M::Aggregate::NAME, self.id.to_string());
        let lock = if matches!(change, RowChange::None) { RowLock::Share } else { RowLock::Update };
        let found = self.mapping.load(tx, &self.id, lock).await.map_err(|error| refused(name, &id, is_new, error))?;
        if found.map(|(_, version)| version) != self.version {
            return Err(conflict(name, &id, is_new));
        }
        let changed = match (change, &self.version) {
            (RowChange::Save(state), version) => {
                let state = state.downcast_ref().ok_or_else(|| Fault::internal("an aggregate changed its type"))?;
                self.mapping.save(tx, state, version.as_ref()).await
            }
            (RowChange::Delete, Some(version)) => self.mapping.delete(tx, &self.id, version).await,
            // An aggregate that was created and deleted by one command has no row.
            (RowChange::Delete, None) | (RowChange::None, _) => Ok(()),
        };
        changed.map_err(|error| refused(name, &id, is_new, error))
    }
}
struct ForeignRow<T: ForeignTable> {
    table: Arc<T>,
    key: T::Key,
    row: Option<T::Row>,
}
#[async_trait]
impl<T: ForeignTable> FoundRow for ForeignRow<T> {
    async fn compare_and_change(&self, tx: &mut dyn Tx, _: &RowChange, _: bool) -> Result<(), CommitError> {
        let key = self.key.to_string();
        let found = self.table.load(tx, &self.key, RowLock::Share).await;
        match found.map_err(|error| refused(T::NAME, &key, false, error))? == self.row {
            true => Ok(()),
            false => Err(conflict(T::NAME, &key, false)),
        }
    }
}

/// A row that a unit of work has read or changes, in the order in which rows are locked.
pub(crate) struct TableChange {
    /// The stream of the aggregate.
    pub(crate) stream: String,
    pub(crate) row: Arc<dyn FoundRow>,
    pub(crate) change: RowChange,
    pub(crate) is_new: bool,
}

/// Commits a batch together with rows in tables of one's own.
pub(crate) async fn commit(
    storage: &dyn Storage,
    mut batch: Batch,
    changes: &[TableChange],
) -> Result<Position, CommitError> {
    if changes.is_empty() {
        return storage.commit(batch).await;
    }
    storage.prepare_keys(&mut batch).await?;
    let mut tx = storage.begin().await?;
    for change in changes {
        change.row.compare_and_change(&mut *tx, &change.change, change.is_new).await?;
    }
    tx.commit(batch).await.map_err(|refused| match refused {
        // The first change of a row that other software has inserted, twice at a time: one of them is decided again.
        CommitError::Conflict { what, exists: true, versions } => {
            let is_loaded = |change: &TableChange| !change.is_new && change.stream == what;
            CommitError::Conflict { exists: !changes.iter().any(is_loaded), what, versions }
        }
        refused => refused,
    })
}

fn conflict(name: &str, id: &str, exists: bool) -> CommitError {
    CommitError::Conflict { what: stream_of(name, id), exists, versions: None }
}
fn failed(name: &str, id: &str, error: BoxError) -> Fault {
    let is_transient = matches!(class(&error), Class::Transient | Class::Conflict);
    let message = format!("the row of {name} {id} cannot be loaded or changed");
    if is_transient { Fault::unavailable(message) } else { Fault::internal(message) }.because(error)
}
/// Maps an error of a mapping in the transaction of a commit.
fn refused(name: &str, id: &str, is_new: bool, error: BoxError) -> CommitError {
    match class(&error) {
        Class::Exists if is_new => conflict(name, id, true),
        Class::Conflict => conflict(name, id, false),
        _ => failed(name, id, error).into(),
    }
}

#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "only the error of a driver has another class")
)]
enum Class {
    Exists,
    /// A deadlock or a serialization failure: the whole transaction may succeed when it runs again.
    Conflict,
    Transient,
    Other,
}
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn class(error: &BoxError) -> Class {
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(error)) if error.is_unique_violation() => Class::Exists,
        Some(sqlx::Error::Database(error)) => match error.code().as_deref() {
            Some("40P01" | "40001") => Class::Conflict,
            Some(code) if code.len() == 5 && ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                Class::Transient
            }
            _ => Class::Other,
        },
        Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => Class::Transient,
        _ => Class::Other,
    }
}
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
fn class(_: &BoxError) -> Class {
    Class::Other
}
