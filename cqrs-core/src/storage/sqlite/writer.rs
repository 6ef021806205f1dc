//! The one task that writes: it commits the queued batches as one transaction and only then replies to the callers.
use super::{commit, fault, private};
use crate::{
    environment::Environment,
    error::{ErrorKind, Fault},
    position::Position,
    storage::{Batch, CommitError, Tx},
};
use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, sqlite::SqliteConnectOptions};
use std::{
    any::Any,
    fs::{File, TryLockError},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// The maximum number of jobs in one transaction, so that the first of them does not wait too long.
const GROUP: usize = 128;

pub(super) type CommitResult = Result<Position, CommitError>;

#[expect(clippy::large_enum_variant, reason = "nearly every job is a commit")]
pub(super) enum Job {
    Commit(Batch, oneshot::Sender<CommitResult>),
    /// Lends the connection, inside a transaction, for the caller's SQL.
    Lend(oneshot::Sender<Result<Loan, Fault>>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after an error that left its state in doubt; the next job opens a new one.
    connection: Option<SqliteConnection>,
    queue: mpsc::Receiver<Job>,
    last: Arc<watch::Sender<u64>>,
    _lock: Lock,
}

impl Writer {
    pub(super) async fn start(
        options: SqliteConnectOptions,
        lock: Lock,
        queue: mpsc::Receiver<Job>,
        last: Arc<watch::Sender<u64>>,
    ) -> Result<Self, Fault> {
        let connection = Some(options.connect().await.map_err(fault)?);
        Ok(Writer { options, connection, queue, last, _lock: lock })
    }

    /// Runs until every handle is dropped or one of them closes the file.
    pub(super) async fn run(mut self) {
        let mut jobs = Vec::new();
        let mut closed = None;
        while closed.is_none() && self.queue.recv_many(&mut jobs, GROUP).await > 0 {
            let (mut batches, mut replies) = (Vec::new(), Vec::new());
            for job in jobs.drain(..) {
                match job {
                    Job::Commit(batch, reply) => {
                        batches.push(batch);
                        replies.push(reply);
                    }
                    Job::Lend(reply) => {
                        self.commit_and_reply(mem::take(&mut batches), mem::take(&mut replies)).await;
                        self.lend(reply).await;
                    }
                    Job::Close(reply) => closed = Some(reply),
                }
            }
            self.commit_and_reply(batches, replies).await;
        }
        self.queue.close();
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
        drop(self); // releases the lock before `close` returns
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
    }

    /// Commits these batches as one group and sends each caller its own result.
    async fn commit_and_reply(&mut self, batches: Vec<Batch>, replies: Vec<oneshot::Sender<CommitResult>>) {
        if batches.is_empty() {
            return;
        }
        match self.commit_group(batches).await {
            Ok(results) => {
                self.announce(results.iter().filter_map(|result| result.as_ref().ok()).max());
                replies.into_iter().zip(results).for_each(|(reply, result)| drop(reply.send(result)));
            }
            Err(broken) => {
                self.reset().await;
                // Each caller of the group gets a copy of the text, since a driver's error cannot be cloned.
                let text = std::error::Error::source(&broken).map(ToString::to_string).unwrap_or_default();
                for reply in replies {
                    let copy = match broken.kind() {
                        ErrorKind::Internal => Fault::internal(broken.to_string()),
                        _ => Fault::unavailable(broken.to_string()),
                    };
                    drop(reply.send(Err(copy.because(text.clone()).into())));
                }
            }
        }
    }

    /// Commits the batches in one transaction, with a savepoint for each. An error that is not a refusal fails the
    /// whole group, because SQLite may have rolled back everything by itself, as it does when the disk is full.
    async fn commit_group(&mut self, batches: Vec<Batch>) -> Result<Vec<CommitResult>, Fault> {
        let connection = self.open().await?;
        let mut results = Vec::with_capacity(batches.len());
        let all = async {
            query("begin immediate").execute(&mut *connection).await?;
            for batch in batches {
                query("savepoint batch").execute(&mut *connection).await?;
                let mut result = commit::apply(connection, batch).await?;
                if let Err(refused) = &mut result {
                    query("rollback to batch").execute(&mut *connection).await?;
                    commit::look_up_winner(connection, refused).await?;
                }
                query("release batch").execute(&mut *connection).await?;
                results.push(result);
            }
            query("commit").execute(&mut *connection).await
        };
        all.await.map_err(fault)?;
        Ok(results)
    }

    /// Lends the connection and waits until it comes back.
    async fn lend(&mut self, reply: oneshot::Sender<Result<Loan, Fault>>) {
        let begun = async {
            let connection = self.open().await?;
            query("begin immediate").execute(&mut *connection).await.map_err(fault)?;
            // Releasing this savepoint fails if the caller's SQL has ended the transaction.
            query("savepoint lent").execute(&mut *connection).await.map_err(fault)
        };
        if let Err(broken) = begun.await {
            self.reset().await;
            drop(reply.send(Err(broken)));
            return;
        }
        let (back, returned) = oneshot::channel();
        drop(reply.send(Ok(Loan { connection: self.connection.take(), back: Some(back) })));
        let Ok((mut connection, wanted)) = returned.await else { return };
        let outcome = match wanted {
            Some((batch, reply)) => Some((finish(&mut connection, batch).await, reply)),
            None => None,
        };
        self.connection = Some(connection);
        match outcome {
            Some((Ok(Ok(position)), reply)) => {
                self.announce(Some(&position));
                drop(reply.send(Ok(position)));
            }
            Some((Ok(Err(mut refused)), reply)) => {
                self.roll_back().await;
                if let Some(connection) = &mut self.connection {
                    let _ = commit::look_up_winner(connection, &mut refused).await;
                }
                drop(reply.send(Err(refused)));
            }
            Some((Err(broken), reply)) => {
                self.reset().await;
                drop(reply.send(Err(fault(broken).into())));
            }
            None => self.roll_back().await,
        }
    }

    async fn open(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await.map_err(fault)?);
        }
        Ok(self.connection.as_mut().expect("opened above"))
    }

    async fn roll_back(&mut self) {
        if let Some(connection) = &mut self.connection
            && query("rollback").execute(connection).await.is_err()
        {
            self.reset().await;
        }
    }

    /// Closes the connection, which rolls back. Only a new connection has a known state.
    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    fn announce(&self, position: Option<&Position>) {
        let position = position.map_or(0, |position| position.0);
        self.last.send_if_modified(|last| {
            let later = position > *last;
            *last = position.max(*last);
            later
        });
    }
}

async fn finish(connection: &mut SqliteConnection, batch: Batch) -> sqlx::Result<CommitResult> {
    query("release lent").execute(&mut *connection).await?;
    let result = commit::apply(connection, batch).await?;
    if result.is_ok() {
        query("commit").execute(&mut *connection).await?;
    }
    Ok(result)
}

type Returned = (SqliteConnection, Option<(Batch, oneshot::Sender<CommitResult>)>);

/// The writer's connection, lent to a caller. When it is dropped, the connection returns to the writer and is rolled
/// back.
pub(super) struct Loan {
    connection: Option<SqliteConnection>,
    back: Option<oneshot::Sender<Returned>>,
}
impl Loan {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("the loan has its connection until it is given back")
    }
    pub(super) async fn finish(mut self, batch: Batch) -> CommitResult {
        crate::storage::check(&batch)?;
        let (reply, result) = oneshot::channel();
        self.give_back(Some((batch, reply)));
        result.await.map_err(|_| Fault::outcome_unknown("the database was closed during a commit"))?
    }
    fn give_back(&mut self, wanted: Option<(Batch, oneshot::Sender<CommitResult>)>) {
        if let (Some(connection), Some(back)) = (self.connection.take(), self.back.take()) {
            drop(back.send((connection, wanted)));
        }
    }
}
impl Drop for Loan {
    fn drop(&mut self) {
        self.give_back(None);
    }
}
#[async_trait]
impl Tx for Loan {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        self.connection()
    }
    async fn commit(self: Box<Self>, batch: Batch) -> CommitResult {
        self.finish(batch).await
    }
}

/// The lock file beside the database. It admits one process, since a second writer would not see the first one's
/// commits.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read: the lock ends when the file is closed")] File);
impl Lock {
    /// Takes the lock. It waits up to a second, since a process that is being replaced may still be shutting down.
    pub(super) async fn take(path: &Path, environment: &dyn Environment) -> Result<Self, Fault> {
        let unopened = |error| Fault::unavailable(format!("{} cannot be opened", path.display())).because(error);
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            private::create_directory(directory).map_err(unopened)?;
        }
        let beside = |suffix: &str| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            PathBuf::from(beside)
        };
        let file = private::open(&beside(".lock")).map_err(unopened)?;
        for _ in 0..20 {
            match file.try_lock() {
                Ok(()) => {
                    // Only with the lock: closing a file ends SQLite's own locks on it in this process. SQLite gives
                    // new files beside the database the permissions of the database.
                    private::open(path).map_err(unopened)?;
                    let mut others = ["-wal", "-shm"].iter().map(|suffix| beside(suffix));
                    others.try_for_each(|other| private::restrict_existing(&other)).map_err(unopened)?;
                    return Ok(Lock(file));
                }
                Err(TryLockError::WouldBlock) => environment.sleep(Duration::from_millis(50)).await,
                Err(TryLockError::Error(error)) => return Err(unopened(error)),
            }
        }
        Err(Fault::unavailable(format!("{} is in use by another process", path.display())))
    }
}
