//! A process's connection to the database: each call is sent, done there, and answered, and each of the three takes time.
use super::{Database, Fate, at_once};
use crate::{listener::lock, simulation::process::Process};
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Old, Parked, ParkedKey, Scan, Scanned, Seen, Storage, StoredRow, StoredView, Tx},
};
use std::{any::Any, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) database: Arc<Database>,
    pub(crate) process: Arc<Process>,
}

fn away() -> Fault {
    Fault::unavailable("simulated: the database is away")
}
fn cut() -> Fault {
    Fault::unavailable("simulated: the connection was cut, and what became of it is unknown")
}

impl Connection {
    /// Sends `run` to the server and waits for its answer.
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        run: impl FnOnce(&Database, Box<dyn FnOnce(T) + Send>) + Send + 'static,
    ) -> Result<T, Fault> {
        let (database, process) = (self.database.clone(), self.process.clone());
        let machine = database.machine.clone();
        let fate = database.fate();
        let (there, back) = (database.delay(), database.delay());
        let (answer, answered) = oneshot::channel();
        if fate != Fate::Fine {
            machine.note(|| format!("{}: {what} of {} will be {fate:?}", database.name, process.name));
        }
        let late = if fate == Fate::Late { database.delay() * 8 } else { 0 };
        let mut answer = Some(answer);
        if fate == Fate::Late {
            let answer = answer.take();
            machine.after(there + back, move |_| drop(answer));
        }
        machine.after(there + late, move |machine| {
            if database.exclusive && !process.is_alive() {
                return;
            }
            if fate == Fate::Refused || database.is_down() {
                answer.map(|it| it.send(Err(away())));
                return;
            }
            let machine = machine.clone();
            run(
                &database,
                Box::new(move |found| {
                    machine.after(back, move |_| {
                        if fate == Fate::Fine {
                            answer.map(|it| it.send(Ok(found)));
                        }
                    });
                }),
            );
        });
        answered.await.unwrap_or_else(|_| Err(cut()))
    }
    async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        run: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(what, move |database, answer| answer(run(database))).await?
    }
    /// Transactions that hold positions now, and the last position drawn.
    async fn open(&self) -> Result<(Position, Vec<u64>), Fault> {
        let open = |database: &Database| {
            let server = lock(&database.server);
            Ok((Position(server.drawn), server.open.iter().copied().collect()))
        };
        self.read("horizon", open).await
    }
}

#[async_trait]
impl Storage for Connection {
    fn is_exclusive(&self) -> bool {
        self.database.exclusive
    }
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let (kind, id, key) = (kind.to_owned(), id.to_owned(), answer.map(str::to_owned));
        let row = move |database: &Database| {
            let Loaded { found, answer } = at_once(database.memory.row(&kind, &id, key.as_deref()))?;
            Ok(Loaded { found, answer: database.place_answer(answer) })
        };
        self.read("row", row).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        let (stream, key) = (stream.to_owned(), answer.map(str::to_owned));
        let load = move |database: &Database| {
            let Loaded { mut found, answer } = at_once(database.memory.stream(&stream, after, key.as_deref()))?;
            found.iter_mut().for_each(|it| database.place(it));
            Ok(Loaded { found, answer: database.place_answer(answer) })
        };
        self.read("stream", load).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        let key = key.to_owned();
        let answer = move |database: &Database| Ok(database.place_answer(at_once(database.memory.answer(&key))?));
        self.read("answer", answer).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        let (group, messages, keys) = (group.to_owned(), messages.to_vec(), keys.to_vec());
        self.read("seen", move |database| at_once(database.memory.seen(&group, &messages, &keys))).await
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        let readers = readers.to_vec();
        self.read("parked keys", move |database| at_once(database.memory.parked_keys(&readers))).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        let (reader, key) = (reader.to_owned(), key.to_owned());
        self.read("parked", move |database| at_once(database.memory.parked(&reader, &key, after, limit))).await
    }
    async fn forget(&self, _: &Old, _: usize) -> Result<u64, Fault> {
        Err(Fault::internal("no engine forgets"))
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let (view, keys) = (view.to_owned(), keys.to_vec());
        self.read("views", move |database| at_once(database.memory.views(&view, &keys))).await
    }
    async fn scan(&self, _: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        Err(Fault::internal("no engine scans"))
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let readers = readers.to_vec();
        self.read("positions", move |database| at_once(database.memory.positions(&readers))).await
    }
    /// As on PostgreSQL: the last position drawn, once all who held positions then are gone.
    async fn horizon(&self) -> Result<Position, Fault> {
        let (drawn, mut holders) = self.open().await?;
        while !holders.is_empty() {
            self.database.machine.sleep(2_000).await;
            let (_, still) = self.open().await?;
            holders.retain(|it| still.contains(it));
        }
        Ok(drawn)
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let log = move |database: &Database| {
            let server = lock(&database.server);
            let found = server.log.range(after.0 + 1..).take_while(|(at, _)| **at <= upto.0);
            Ok(found.take(limit).map(|(_, it)| it.clone()).collect())
        };
        self.read("log", log).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let lanes = lanes.to_vec();
        let read = move |database: &Database| {
            let server = lock(&database.server);
            let one = |(lane, after): &(u16, Position)| {
                let lane = *lane;
                let from = server.log.range(after.0 + 1..).take_while(|(at, _)| **at <= upto.0).map(|(_, it)| it);
                let told = from.filter(move |it| it.told.as_ref().is_some_and(|told| told.lane == lane));
                told.take(limit).cloned().collect::<Vec<_>>()
            };
            Ok(lanes.iter().flat_map(one).collect())
        };
        self.read("lanes", read).await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        if !super::has_keys(reader) {
            // Nobody is told anything over this lane: not worth the time of sixteen round trips.
            return Ok(self.database.lease(reader, &self.process, owner, ttl));
        }
        let (reader, owner, process) = (reader.to_owned(), owner.to_owned(), self.process.clone());
        self.read("lease", move |database| Ok(database.lease(&reader, &process, &owner, ttl))).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        let (reader, owner) = (reader.to_owned(), owner.to_owned());
        self.read("release", move |database| at_once(database.memory.release(&reader, &owner))).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        let (database, process) = (self.database.clone(), self.process.clone());
        let takes = database.delay();
        let commit = move |at: &Database, answer: Box<dyn FnOnce(Result<Position, Rejected>) + Send>| {
            let open = at.begin(&batch);
            at.machine.after(takes, move |_| answer(database.end_of(open, batch, &process)));
        };
        self.ask("commit", commit).await?
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(Transaction(self.clone())))
    }
    async fn committed(&self, after: Position) {
        // Whoever commits elsewhere tells nobody: those who look again do so after a while. Until then nothing is missed by
        // not looking, so a simulated wait for news stands for all the looks between.
        if self.database.end() <= after.0 {
            self.database.news.notified().await;
        }
        self.database.machine.sleep(self.database.delay()).await;
    }
}

/// There is no SQL in memory.
struct Transaction(Connection);
#[async_trait]
impl Tx for Transaction {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut self.0
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, Rejected> {
        self.0.commit(batch).await
    }
}
