//! A process's connection to the database. A call is sent, executed and answered, and each of the three takes time.
use super::{Database, Fate, at_once};
use crate::{listener::lock, simulation::process::Process};
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    event::{Entry, StreamEvent},
    storage::{
        ArchiveRange, Archived, Batch, CommitError, ComparedValues, CountedEntries, Cutoff, DueTimers, Firing,
        InboxLookup, Lease, Loaded, Parked, ParkedKey, ParkedPage, ReadLimit, Scan, Scanned, SnapshotAndEvents,
        Storage, StoredData, StoredProgram, StoredResponse, StoredRow, StoredValues, StoredView, Timer, TimerCounts,
        TimerPage, Tx, ValueReservation, ViewSwitch,
    },
};
use std::{any::Any, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) database: Arc<Database>,
    pub(crate) process: Arc<Process>,
}

fn down() -> Fault {
    Fault::unavailable("simulated: the database is down")
}
fn cut() -> Fault {
    Fault::outcome_unknown("simulated: the connection was cut")
}

impl Connection {
    /// Sends `run` to the server and waits for its response.
    async fn ask<T: Send + 'static>(
        &self,
        call: &'static str,
        run: impl FnOnce(&Database, Box<dyn FnOnce(T) + Send>) + Send + 'static,
    ) -> Result<T, Fault> {
        let (database, process) = (self.database.clone(), self.process.clone());
        let environment = database.environment.clone();
        let fate = database.fate();
        let (there, back) = (database.delay(), database.delay());
        let (response, answer) = oneshot::channel();
        if fate != Fate::Fine {
            environment.note(|| format!("{}: {call} of {} will be {fate:?}", database.name, process.name));
        }
        let late = if fate == Fate::Late { database.delay() * 8 } else { 0 };
        let mut response = Some(response);
        if fate == Fate::Late {
            let response = response.take();
            environment.after(there + back, move |_| drop(response));
        }
        environment.after(there + late, move |environment| {
            if database.exclusive && !process.is_alive() {
                return;
            }
            if fate == Fate::Refused || database.is_down() {
                response.map(|sender| sender.send(Err(down())));
                return;
            }
            let environment = environment.clone();
            run(
                &database,
                Box::new(move |found| {
                    environment.after(back, move |_| {
                        if fate == Fate::Fine {
                            response.map(|sender| sender.send(Ok(found)));
                        }
                    });
                }),
            );
        });
        answer.await.unwrap_or_else(|_| Err(cut()))
    }
    async fn read<T: Send + 'static>(
        &self,
        call: &'static str,
        run: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(call, move |database, response| response(run(database))).await?
    }
    /// Returns the last position drawn, and the transactions that hold positions now.
    async fn open(&self) -> Result<(Position, Vec<u64>), Fault> {
        let open = |database: &Database| {
            let server = lock(&database.server);
            Ok((Position(server.drawn), server.open.iter().copied().collect()))
        };
        self.read("high-water mark", open).await
    }
}

#[async_trait]
impl Storage for Connection {
    fn is_exclusive(&self) -> bool {
        self.database.exclusive
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let (kind, id, key) = (kind.to_owned(), id.to_owned(), response.map(str::to_owned));
        let row = move |database: &Database| {
            let Loaded { found, response } = at_once(database.memory.row(&kind, &id, key.as_deref()))?;
            Ok(Loaded { found, response: database.place_response(response) })
        };
        self.read("row", row).await
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        let (stream, key) = (stream.to_owned(), response.map(str::to_owned));
        let load = move |database: &Database| {
            let Loaded { found, response } = at_once(database.memory.stream(&stream, after, key.as_deref()))?;
            Ok(Loaded { found, response: database.place_response(response) })
        };
        self.read("stream", load).await
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let (kind, id, key) = (kind.to_owned(), id.to_owned(), response.map(str::to_owned));
        let load = move |database: &Database| {
            let Loaded { found, response } = at_once(database.memory.snapshot(&kind, &id, form, key.as_deref()))?;
            Ok(Loaded { found, response: database.place_response(response) })
        };
        self.read("snapshot", load).await
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let stream = stream.to_owned();
        let page = move |database: &Database| {
            let mut found = at_once(database.memory.stream_page(&stream, after, limit))?;
            found.iter_mut().for_each(|entry| database.place(entry));
            Ok(found)
        };
        self.read("stream page", page).await
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        let key = key.to_owned();
        let response = move |database: &Database| Ok(database.place_response(at_once(database.memory.response(&key))?));
        self.read("response", response).await
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        let (group, messages, keys) = (group.to_owned(), messages.to_vec(), keys.to_vec());
        self.read("inbox", move |database| at_once(database.memory.lookup_inbox(&group, &messages, &keys))).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        let (reader, limit, count_up_to) = (page.reader.map(str::to_owned), page.limit, page.count_up_to);
        let after = page.after.map(|(reader, key)| (reader.to_owned(), key.to_owned()));
        let keys = move |database: &Database| {
            let after = after.as_ref().map(|(reader, key)| (&**reader, &**key));
            let page = ParkedPage { reader: reader.as_deref(), after, limit, count_up_to };
            at_once(database.memory.parked_keys(&page))
        };
        self.read("parked keys", keys).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let (reader, keys) = (reader.to_owned(), keys.to_vec());
        self.read("first parked", move |database| at_once(database.memory.first_parked(&reader, &keys))).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        self.read("parked counts", move |database| at_once(database.memory.parked_counts(limit))).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        let (reader, key) = (reader.to_owned(), key.to_owned());
        self.read("parked", move |database| at_once(database.memory.parked(&reader, &key, after, limit))).await
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        self.read("left messages", move |database| at_once(database.memory.left_to_newer_program(limit))).await
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        let (expected, error) = (expected.to_owned(), error.to_owned());
        let replace = move |database: &Database| {
            let is_replaced = at_once(database.memory.replace_parked_error(number, &expected, &error))?;
            if is_replaced {
                database.audit.reason_replaced(database, number, &error);
            }
            Ok(is_replaced)
        };
        self.read("parked error", replace).await
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let declaration = declaration.to_owned();
        self.read("declaration", move |database| database.declare(&declaration)).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        self.read("programs", move |database| at_once(database.memory.programs(after))).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        let data = data.clone();
        self.read("stored data", move |database| at_once(database.memory.holds(&data))).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let prefix = prefix.to_owned();
        self.read("notes", move |database| at_once(database.memory.notes(&prefix))).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        let (name, expected, value) = (name.to_owned(), expected.map(str::to_owned), value.map(str::to_owned));
        let replace = move |database: &Database| {
            at_once(database.memory.replace_note(&name, expected.as_deref(), value.as_deref()))
        };
        self.read("note", replace).await
    }
    async fn purge(&self, _: &Cutoff, _: usize) -> Result<u64, Fault> {
        Err(Fault::internal("no engine purges"))
    }
    async fn archive(&self, _: &ArchiveRange, _: usize) -> Result<Archived, Fault> {
        Err(Fault::internal("no engine archives"))
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        let prefix = prefix.to_owned();
        self.read("checkpoints", move |database| at_once(database.memory.checkpoints_below(&prefix))).await
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        let view = view.to_owned();
        self.read("copy", move |database| at_once(database.memory.serving_copy(&view))).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        let switch = switch.clone();
        self.read("switch", move |database| database.switch(&switch)).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        let (copies, readers) = (copies.map(str::to_owned), readers.map(<[String]>::to_vec));
        let after = after.map(str::to_owned);
        let compare = move |database: &Database| {
            let ([first, second], [of_first, of_second]) = (&copies, &readers);
            at_once(database.memory.compare_copies([first, second], [of_first, of_second], after.as_deref(), limit))
        };
        self.read("comparison", compare).await
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        let (view, readers) = (view.to_owned(), readers.to_vec());
        self.read("dropped copy", move |database| at_once(database.memory.drop_copy(&view, copy, &readers, limit)))
            .await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let (view, keys) = (view.to_owned(), keys.to_vec());
        self.read("views", move |database| at_once(database.memory.views(&view, &keys))).await
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let (stored, after) = (stored.to_owned(), after.map(str::to_owned));
        self.read("view values", move |database| {
            at_once(database.memory.view_values_after(&stored, after.as_deref(), limit))
        })
        .await
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let (view, index_sets) = (view.to_owned(), index_sets.to_vec());
        self.read("views of other index sets", move |database| {
            at_once(database.memory.views_of_other_index_sets(&view, &index_sets, limit))
        })
        .await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let range = Range::of(scan);
        self.read("scan", move |database| at_once(database.memory.scan(&range.scan()))).await
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        let range = Range::of(scan);
        self.read("count of entries", move |database| at_once(database.memory.count_entries(&range.scan()))).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let readers = readers.to_vec();
        self.read("checkpoints", move |database| at_once(database.memory.checkpoints(&readers))).await
    }
    /// As on PostgreSQL: returns the last position drawn, once the transactions that held positions then have ended.
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        let (drawn, mut holders) = self.open().await?;
        while !holders.is_empty() {
            self.database.environment.sleep(2_000).await;
            let (_, still) = self.open().await?;
            holders.retain(|holder| still.contains(holder));
        }
        Ok(drawn)
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let log = move |database: &Database| {
            let server = lock(&database.server);
            let found = server.log.range(after.0 + 1..).take_while(|(at, _)| **at <= upto.0);
            Ok(limit.take(found.map(|(_, entry)| entry.clone())))
        };
        self.read("log", log).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        let entries = self.log(after, upto, ReadLimit::entries(limit)).await?;
        let is_counted = |entry: &&Entry| match counted {
            CountedEntries::Events(names) => names.contains(&&*entry.name),
            CountedEntries::Outgoing(shard) => entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.shard == shard),
        };
        Ok(entries.iter().filter(is_counted).count() as u64)
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let shards = shards.to_vec();
        let read = move |database: &Database| {
            let server = lock(&database.server);
            let one = |(shard, after): &(u16, Position)| {
                let shard = *shard;
                let entries =
                    server.log.range(after.0 + 1..).take_while(|(at, _)| **at <= upto.0).map(|(_, entry)| entry);
                let of_shard =
                    entries.filter(move |entry| entry.outgoing.as_ref().is_some_and(|out| out.shard == shard));
                limit.take(of_shard.map(Entry::without_payload))
            };
            Ok(shards.iter().flat_map(one).collect())
        };
        self.read("outgoing entries", read).await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        if !super::has_keys(reader) {
            // The shard has no messages, so sixteen simulated round trips would be a waste of time.
            return Ok(self.database.lease(reader, &self.process, owner, ttl));
        }
        let (reader, owner, process) = (reader.to_owned(), owner.to_owned(), self.process.clone());
        self.read("lease", move |database| Ok(database.lease(&reader, &process, &owner, ttl))).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        let (reader, owner) = (reader.to_owned(), owner.to_owned());
        self.read("release", move |database| at_once(database.memory.release(&reader, &owner))).await
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        let (kind, after) = (kind.to_owned(), after.map(str::to_owned));
        self.read("rows", move |database| at_once(database.memory.rows_after(&kind, after.as_deref(), limit))).await
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let (kind, after) = (kind.to_owned(), after.map(|(stream, version)| (stream.to_owned(), version)));
        let streams = move |database: &Database| {
            let after = after.as_ref().map(|(stream, version)| (&**stream, *version));
            let mut found = at_once(database.memory.streams_after(&kind, after, limit))?;
            found.iter_mut().for_each(|entry| database.place(entry));
            Ok(found)
        };
        self.read("streams", streams).await
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        let values = values.clone();
        self.read("reservations", move |database| at_once(database.memory.reserve_stored(&values))).await
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let (index, after) = (index.to_owned(), after.map(str::to_owned));
        self.read("unreserved", move |database| at_once(database.memory.unreserved(&index, after.as_deref(), limit)))
            .await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        self.read("due timers", move |database| at_once(database.memory.due_timers(after, limit))).await
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        let (name, TimerPage { state, after, limit, .. }) = (page.name.map(str::to_owned), *page);
        let timers = move |database: &Database| {
            at_once(database.memory.timers(&TimerPage { state, name: name.as_deref(), after, limit }))
        };
        self.read("timers", timers).await
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        self.read("timer counts", move |database| at_once(database.memory.timer_counts(limit))).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let (database, process) = (self.database.clone(), self.process.clone());
        let takes = database.delay();
        let commit = move |at: &Database, response: Box<dyn FnOnce(Result<Position, CommitError>) + Send>| {
            let open = at.begin(&batch);
            at.environment.after(takes, move |_| response(database.end_of(open, batch, &process)));
        };
        self.ask("commit", commit).await?
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(Transaction(self.clone())))
    }
    async fn wait_for_commit(&self, after: Position) {
        // A commit of another process gives no notification, and an app polls for it. Polls before a commit find
        // nothing, so one wait for the next commit stands for all of them.
        if self.database.end() <= after.0 {
            self.database.news.notified().await;
        }
        self.database.environment.sleep(self.database.delay()).await;
    }
}

/// There is no SQL in memory.
struct Transaction(Connection);
#[async_trait]
impl Tx for Transaction {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut self.0
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, CommitError> {
        self.0.commit(batch).await
    }
}

/// A range of an index that a read owns.
struct Range {
    view: String,
    index: String,
    from: (Vec<u8>, String),
    until: Option<(Vec<u8>, String)>,
    reversed: bool,
    limit: usize,
}
impl Range {
    fn of(scan: &Scan<'_>) -> Self {
        let owned = |(entry, key): (&[u8], &str)| (entry.to_vec(), key.to_owned());
        let (view, index) = (scan.view.to_owned(), scan.index.to_owned());
        let (from, until) = (owned(scan.from), scan.until.map(owned));
        Range { view, index, from, until, reversed: scan.reversed, limit: scan.limit }
    }
    fn scan(&self) -> Scan<'_> {
        Scan {
            view: &self.view,
            index: &self.index,
            from: (&self.from.0, &self.from.1),
            until: self.until.as_ref().map(|(entry, key)| (&**entry, &**key)),
            reversed: self.reversed,
            limit: self.limit,
        }
    }
}
