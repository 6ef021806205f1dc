//! The one task that writes: it takes what has queued up, commits it as one transaction, and only then answers.
use super::{commit, fault};
use crate::{
    Fault,
    batch::{Batch, Position, Rejected},
    error::ErrorKind,
    storage::Tx,
    world::World,
};
use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, sqlite::SqliteConnectOptions};
use std::{
    any::Any,
    fs::{File, TryLockError},
    mem,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// How many jobs one transaction takes at most, so that the first of them does not wait too long.
const GROUP: usize = 128;

pub(super) type Verdict = Result<Position, Rejected>;

#[expect(clippy::large_enum_variant, reason = "nearly every job is a commit")]
pub(super) enum Job {
    Commit(Batch, oneshot::Sender<Verdict>),
    /// The connection, inside a transaction, for SQL of one's own.
    Lend(oneshot::Sender<Result<Loan, Fault>>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// None after an error that left it in doubt; opened again by the next job.
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

    /// Runs until every handle is gone or one of them closes it.
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
                        self.group(mem::take(&mut batches), mem::take(&mut replies)).await;
                        self.lend(reply).await;
                    }
                    Job::Close(reply) => closed = Some(reply),
                }
            }
            self.group(batches, replies).await;
        }
        self.queue.close();
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
        drop(self); // the lock with it, before anybody hears of it
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
    }

    /// Commits these batches together, each with its own verdict.
    async fn group(&mut self, batches: Vec<Batch>, replies: Vec<oneshot::Sender<Verdict>>) {
        if batches.is_empty() {
            return;
        }
        match self.together(batches).await {
            Ok(verdicts) => {
                self.tell(verdicts.iter().filter_map(|it| it.as_ref().ok()).max());
                replies.into_iter().zip(verdicts).for_each(|(reply, verdict)| drop(reply.send(verdict)));
            }
            Err(broken) => {
                self.reset().await;
                // Each caller of the group gets a copy; an error of the driver cannot be cloned.
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

    /// One transaction, a savepoint for each batch. An error that is no rejection ends it for all: SQLite may have rolled
    /// back everything by itself, as it does when the disk is full.
    async fn together(&mut self, batches: Vec<Batch>) -> Result<Vec<Verdict>, Fault> {
        let connection = self.open().await?;
        let mut verdicts = Vec::with_capacity(batches.len());
        let all = async {
            query("begin immediate").execute(&mut *connection).await?;
            for batch in batches {
                query("savepoint batch").execute(&mut *connection).await?;
                let verdict = commit::apply(connection, batch).await?;
                if verdict.is_err() {
                    query("rollback to batch").execute(&mut *connection).await?;
                }
                query("release batch").execute(&mut *connection).await?;
                verdicts.push(verdict);
            }
            query("commit").execute(&mut *connection).await
        };
        all.await.map_err(fault)?;
        Ok(verdicts)
    }

    /// Lends the connection and waits until it comes back.
    async fn lend(&mut self, reply: oneshot::Sender<Result<Loan, Fault>>) {
        let begun = async {
            let connection = self.open().await?;
            query("begin immediate").execute(&mut *connection).await.map_err(fault)?;
            // Its release fails if the borrower's own SQL has ended the transaction.
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
                self.tell(Some(&position));
                drop(reply.send(Ok(position)));
            }
            Some((Ok(refused), reply)) => {
                self.roll_back().await;
                drop(reply.send(refused));
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

    /// A new connection is the one state that is known for certain; closing the old one rolls back.
    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    fn tell(&self, position: Option<&Position>) {
        let position = position.map_or(0, |it| it.0);
        self.last.send_if_modified(|last| {
            let later = position > *last;
            *last = position.max(*last);
            later
        });
    }
}

async fn finish(connection: &mut SqliteConnection, batch: Batch) -> sqlx::Result<Verdict> {
    query("release lent").execute(&mut *connection).await?;
    let verdict = commit::apply(connection, batch).await?;
    if verdict.is_ok() {
        query("commit").execute(&mut *connection).await?;
    }
    Ok(verdict)
}

type Returned = (SqliteConnection, Option<(Batch, oneshot::Sender<Verdict>)>);

/// The writer's connection in somebody's hands. Dropped, it goes back and is rolled back.
pub(super) struct Loan {
    connection: Option<SqliteConnection>,
    back: Option<oneshot::Sender<Returned>>,
}
impl Loan {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("only given back when this is gone")
    }
    pub(super) async fn finish(mut self, batch: Batch) -> Verdict {
        crate::storage::check(&batch)?;
        let (reply, verdict) = oneshot::channel();
        self.give_back(Some((batch, reply)));
        verdict.await.map_err(|_| Fault::unavailable("the database was closed"))?
    }
    fn give_back(&mut self, wanted: Option<(Batch, oneshot::Sender<Verdict>)>) {
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
    async fn commit(self: Box<Self>, batch: Batch) -> Verdict {
        self.finish(batch).await
    }
}

/// The file beside the database that says a process has it: two writers would not see each other's commits.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read: the lock ends with the file")] File);
impl Lock {
    /// Waits a moment, since a process that is being replaced may be on its way out.
    pub(super) async fn take(path: &Path, world: &dyn World) -> Result<Self, Fault> {
        let unopened = |error| Fault::unavailable(format!("{} cannot be opened", path.display())).because(error);
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(unopened)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(beside).map_err(unopened)?;
        for _ in 0..20 {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) => world.sleep(Duration::from_millis(50)).await,
                Err(TryLockError::Error(error)) => return Err(unopened(error)),
            }
        }
        Err(Fault::unavailable(format!("{} is in use by another process", path.display())))
    }
}
