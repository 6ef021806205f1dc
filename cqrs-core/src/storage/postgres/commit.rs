//! Writes a batch: splits it into parts, binds their parameters and runs one statement.
use super::statement::{BatchPart, Shape};
use super::{Inner, errors};
use crate::{
    Timestamp,
    environment::backoff,
    error::{Fault, VersionConflict},
    event::{NewEntry, SEPARATOR, murmur2, stream_of},
    metadata::Metadata,
    position::Position,
    storage::parked::encode_headers,
    storage::{
        Batch, CheckpointMove, CommitError, DueTime, InboxRecord, NewTimer, Park, ReadVersion, Reservation, Row,
        Snapshot, StoredResponse, TimerChange, TimerWrite, ViewWrite, check, stored_as,
    },
};
use sqlx::{
    Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Row as _, SqlSafeStr, SqlStr, Type, postgres::PgArguments,
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

/// The number of times a batch is run again after a deadlock. Batches lock in one order, so deadlocks are rare.
const RUNS: u32 = 8;

/// The version of an aggregate's row, and that of its last event with its metadata. The last event is never archived.
const WINNER: &str = "select coalesce(s.version, 0), coalesce(l.version, 0), l.metadata from (select) one \
    left join cqrs.state s on s.kind = $1 and s.id = $2 left join lateral (select version, metadata::text as metadata \
    from cqrs.log where stream = $3 order by version desc limit 1) l on true";

/// A batch, split into the parts of its statement.
pub(super) struct Split<'a> {
    pub(super) handled: Vec<&'a InboxRecord>,
    pub(super) moved: Vec<&'a CheckpointMove>,
    pub(super) begun: Vec<&'a CheckpointMove>,
    pub(super) unparked: Vec<&'a u64>,
    pub(super) parked: Vec<&'a Park>,
    pub(super) timers: Vec<&'a TimerWrite>,
    pub(super) read: Vec<Locked<'a>>,
    pub(super) saved: Vec<&'a Row>,
    pub(super) created: Vec<&'a Row>,
    pub(super) heads: Vec<Head<'a>>,
    pub(super) snapshots: Vec<&'a Snapshot>,
    pub(super) released: Vec<&'a Reservation>,
    pub(super) taken: Vec<&'a Reservation>,
    pub(super) replaced: Vec<&'a ViewWrite>,
    pub(super) added: Vec<&'a ViewWrite>,
    pub(super) listed: Vec<Listed<'a>>,
    pub(super) logged: Vec<&'a NewEntry>,
    pub(super) response: Vec<&'a StoredResponse>,
}

/// The number of advisory locks for batches with reads. Each aggregate has one of them by its hash, so that a large batch
/// takes a limited number.
const SLOTS: u32 = 1024;

/// The lock of an aggregate that a batch with reads reads or writes, and the read itself.
pub(super) struct Locked<'a> {
    slot: i32,
    is_written: bool,
    stream: String,
    pub(super) read: Option<&'a ReadVersion>,
}
impl<'a> Locked<'a> {
    fn of(stream: String, read: Option<&'a ReadVersion>) -> Self {
        let slot = (murmur2(stream.as_bytes()) % SLOTS) as i32;
        Locked { slot, is_written: read.is_none(), stream, read }
    }
}

/// Returns the locks of a batch with reads in the order in which all batches take them: by slot, the exclusive one first,
/// since a lock that is raised from shared to exclusive could meet another one that is.
fn locked(batch: &Batch) -> Vec<Locked<'_>> {
    if batch.reads.is_empty() {
        return Vec::new();
    }
    let rows = batch.rows.iter().map(|row| stream_of(row.kind, &row.id));
    let written = rows.chain(batch.events.iter().map(|event| event.stream.clone())).map(|of| Locked::of(of, None));
    let mut locked: Vec<_> = written.collect();
    locked.sort_by_key(|lock| lock.slot);
    locked.dedup_by_key(|lock| lock.slot);
    locked.extend(batch.reads.iter().map(|read| Locked::of(stream_of(read.kind, &read.id), Some(read))));
    locked.sort_by_key(|lock| (lock.slot, !lock.is_written));
    locked
}

/// The first new version of a stream. The version before it must exist, and it must not exist itself.
pub(super) struct Head<'a> {
    pub(super) stream: &'a str,
    pub(super) version: u64,
}

/// An index entry of a view.
pub(super) struct Listed<'a> {
    view: &'a str,
    index: &'a str,
    entry: &'a [u8],
    key: &'a str,
}

impl<'a> Split<'a> {
    fn of(batch: &'a Batch) -> Self {
        let (begun, moved) = batch.checkpoint_moves.iter().partition(|step| step.may_begin());
        let (created, saved) = batch.rows.iter().partition(|row| row.expected == 0);
        let (taken, released) = batch.reservations.iter().partition(|reservation| reservation.taken);
        let (added, replaced) = batch.views.iter().partition(|view| view.expected == 0);
        let listed = batch.views.iter().filter(|view| view.value.is_some()).flat_map(|view| {
            let listed = |(index, entry)| Listed { view: stored_as(view.view), index, entry, key: &view.key };
            view.entries.iter().map(move |(index, entry)| listed((*index, entry.as_slice())))
        });
        Split {
            handled: batch.inbox_records.iter().collect(),
            moved,
            begun,
            unparked: batch.unparks.iter().collect(),
            parked: batch.parks.iter().collect(),
            timers: batch.timers.iter().collect(),
            read: locked(batch),
            saved,
            created,
            heads: heads(batch),
            snapshots: batch.snapshots.iter().collect(),
            released,
            taken,
            replaced,
            added,
            listed: listed.collect(),
            logged: batch.events.iter().collect(),
            response: batch.response.iter().collect(),
        }
    }

    fn bind(&self) -> Result<Bound, Fault> {
        let mut to = Bound::default();
        to.part(BatchPart::Response, &self.response)?
            .column(|response| response.key.as_str())?
            .column(|response| response.fingerprint)?
            .column(|response| response.body.as_slice())?;
        to.part(BatchPart::Handled, &self.handled)?
            .column(|record| record.group.as_str())?
            .column(|record| record.message)?;
        to.part(BatchPart::Moved, &self.moved)?
            .column(|step| step.reader.as_str())?
            .column(|step| int(step.from))?
            .column(|step| int(step.to))?
            .column(|step| step.epoch.map(int))?;
        to.part(BatchPart::Begun, &self.begun)?
            .column(|step| step.reader.as_str())?
            .column(|step| int(step.to))?
            .column(|step| step.epoch.map(int))?;
        to.part(BatchPart::Unparked, &self.unparked)?.column(|number| int(**number))?;
        let headers = self.parked.iter().map(|park| headers(park)).collect::<Result<Vec<_>, Fault>>()?;
        let parked: Vec<_> = self.parked.iter().zip(&headers).collect();
        to.part(BatchPart::Parked, &parked)?
            .column(|(park, _)| park.reader.as_str())?
            .column(|(park, _)| park.key.as_str())?
            .column(|(park, _)| park.behind)?
            .column(|(park, _)| park.message)?
            .column(|(park, _)| int(park.at))?
            .column(|(park, _)| park.record.as_ref().map(|record| record.partition.topic.as_str()))?
            .column(|(park, _)| park.record.as_ref().map(|record| record.partition.part.as_str()))?
            .column(|(park, _)| park.record.as_ref().and_then(|record| record.key.as_deref()))?
            .column(|(_, headers)| headers.as_deref())?
            .column(|(park, _)| park.record.as_ref().and_then(|record| record.body.as_deref()))?
            .column(|(park, _)| park.record.as_ref().and_then(|record| record.timestamp))?
            .column(|(park, _)| park.error.as_str())?
            .column(|(park, _)| park.attempts as i32)?;
        let timers = self.timers.iter().map(|write| TimerColumns::of(write)).collect::<Result<Vec<_>, Fault>>()?;
        to.part(BatchPart::Timers, &timers)?
            .column(|timer| timer.write.name.as_str())?
            .column(|timer| timer.write.fired.map(|fired| fired.id))?
            .column(|timer| timer.write.fired.map(|fired| fired.due))?
            .column(|timer| timer.kind)?
            .column(|timer| timer.new.map(|new| new.id))?
            .column(|timer| timer.due)?
            .column(|timer| timer.wait)?
            .column(|timer| timer.new.map(|new| new.key.as_str()))?
            .column(|timer| timer.new.map(|new| new.command.as_str()))?
            .column(|timer| timer.new.map(|new| new.body.as_slice()))?
            .column(|timer| timer.metadata.as_deref())?
            .column(|timer| timer.new.and_then(|new| new.calendar.as_deref()))?
            .column(|timer| timer.new.map(|new| new.set_by.as_str()))?
            .column(|timer| timer.error)?;
        to.part(BatchPart::Read, &self.read)?
            .column(|lock| lock.slot)?
            .column(|lock| lock.is_written)?
            .column(|lock| lock.read.filter(|read| read.is_row).map(|read| read.kind))?
            .column(|lock| lock.read.map(|read| read.id.as_str()))?
            .column(|lock| lock.stream.as_str())?
            .column(|lock| lock.read.map(|read| int(read.version)))?;
        to.part(BatchPart::Saved, &self.saved)?
            .column(|row| row.kind)?
            .column(|row| row.id.as_str())?
            .column(|row| int(row.expected))?
            .column(|row| int(row.version))?
            .column(|row| row.state.as_deref())?;
        to.part(BatchPart::Created, &self.created)?
            .column(|row| row.kind)?
            .column(|row| row.id.as_str())?
            .column(|row| int(row.version))?
            .column(|row| row.state.as_deref())?;
        to.part(BatchPart::Heads, &self.heads)?.column(|head| head.stream)?.column(|head| int(head.version))?;
        to.part(BatchPart::Snapshots, &self.snapshots)?
            .column(|snapshot| snapshot.kind)?
            .column(|snapshot| snapshot.id.as_str())?
            .column(|snapshot| int(snapshot.version))?
            .column(|snapshot| snapshot.event)?
            .column(|snapshot| snapshot.form)?
            .column(|snapshot| snapshot.state.as_deref())?;
        to.part(BatchPart::Replaced, &self.replaced)?
            .column(|view| stored_as(view.view))?
            .column(|view| view.key.as_str())?
            .column(|view| int(view.expected))?
            .column(|view| view.value.as_deref())?
            .column(|view| view.index_set)?;
        to.part(BatchPart::Added, &self.added)?
            .column(|view| stored_as(view.view))?
            .column(|view| view.key.as_str())?
            .column(|view| view.value.as_deref())?
            .column(|view| view.index_set)?;
        for (part, reservations) in [(BatchPart::Released, &self.released), (BatchPart::Taken, &self.taken)] {
            to.part(part, reservations)?
                .column(|reservation| reservation.index.as_str())?
                .column(|reservation| reservation.value.as_str())?
                .column(|reservation| reservation.owner.as_str())?;
        }
        to.part(BatchPart::Entries, &self.listed)?
            .column(|listed| listed.view)?
            .column(|listed| listed.index)?
            .column(|listed| listed.entry)?
            .column(|listed| listed.key)?;
        let metadata = self.logged.iter().map(|event| Ok((event.id, serde_json::to_string(&event.metadata)?)));
        let metadata = metadata.collect::<Result<HashMap<Uuid, String>, Fault>>()?;
        to.part(BatchPart::Logged, &self.logged)?
            .column(|event| event.stream.as_str())?
            .column(|event| int(event.version))?
            .column(|event| event.id)?
            .column(|event| event.name)?
            .column(|event| event.schema as i32)?
            .column(|event| event.payload.as_slice())?
            .column(|event| metadata[&event.id].as_str())?
            .column(|event| event.occurred_at)?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.topic.as_str()))?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.key.as_str()))?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.shard as i16))?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.name.as_str()))?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.content_type.as_str()))?
            .column(|event| event.outgoing.as_ref().map(|outgoing| outgoing.body.as_slice()))?;
        Ok(to)
    }
}

/// Returns the heads of the streams that no row in the batch guards. Where there is a row, its version guards the
/// stream, and retention may have removed the entry before.
///
/// The versions of a stream follow each other within a batch. One that does not is treated like a first one, and
/// refused.
fn heads(batch: &Batch) -> Vec<Head<'_>> {
    let rows: HashSet<String> = batch.rows.iter().map(|row| stream_of(row.kind, &row.id)).collect();
    let mut last = HashMap::new();
    let events = batch.events.iter().filter(|event| !rows.contains(&event.stream));
    events
        .filter_map(|event| {
            let before = last.insert(event.stream.as_str(), event.version);
            let follows = before.is_some_and(|before| before + 1 == event.version);
            (!follows).then_some(Head { stream: &event.stream, version: event.version })
        })
        .collect()
}

/// The parameters of a batch, and the shape of its statement.
#[derive(Default)]
struct Bound {
    shape: Shape,
    arguments: PgArguments,
}
impl Bound {
    fn part<'b, 'a, E>(&'b mut self, part: BatchPart, elements: &'a [E]) -> Result<Columns<'b, 'a, E>, Fault> {
        self.shape.set(part, elements.len());
        Ok(Columns { elements, arguments: &mut self.arguments })
    }
}

/// The parameters of one part, added column by column in the order of its [`Sql`](super::parts::Sql).
struct Columns<'b, 'a, E> {
    elements: &'a [E],
    arguments: &'b mut PgArguments,
}
impl<'a, E> Columns<'_, 'a, E> {
    fn column<T>(self, value: impl Fn(&'a E) -> T) -> Result<Self, Fault>
    where
        T: Encode<'a, Postgres> + Type<Postgres>,
        Vec<T>: Encode<'a, Postgres> + Type<Postgres>,
    {
        let added = match self.elements {
            [] => Ok(()),
            [one] => self.arguments.add(value(one)),
            many => self.arguments.add(many.iter().map(value).collect::<Vec<T>>()),
        };
        added.map_err(|error| Fault::internal("a batch cannot be encoded").because(error)).map(|()| self)
    }
}

/// The write of a timer, in the columns of its part.
struct TimerColumns<'a> {
    write: &'a TimerWrite,
    kind: i16,
    new: Option<&'a NewTimer>,
    due: Option<Timestamp>,
    wait: Option<i64>,
    metadata: Option<String>,
    error: Option<&'a str>,
}
impl<'a> TimerColumns<'a> {
    fn of(write: &'a TimerWrite) -> Result<Self, Fault> {
        let empty = TimerColumns { write, kind: 1, new: None, due: None, wait: None, metadata: None, error: None };
        Ok(match &write.change {
            TimerChange::Remove => empty,
            TimerChange::Update { due, error } => {
                TimerColumns { kind: 2, due: Some(*due), error: error.as_deref(), ..empty }
            }
            TimerChange::Set(new) => {
                let (due, wait) = match new.due {
                    DueTime::At(at) => (Some(at), None),
                    DueTime::After(wait) => (None, Some(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))),
                };
                let metadata = Some(serde_json::to_string(&new.metadata)?);
                TimerColumns { kind: 0, new: Some(new), due, wait, metadata, ..empty }
            }
        })
    }
}

/// Encodes the headers of a parked record as text.
fn headers(park: &Park) -> Result<Option<String>, Fault> {
    park.record.as_ref().map(|record| encode_headers(&record.headers)).transpose()
}

/// Converts a number for PostgreSQL. The framework's numbers stay far below 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Inner {
    /// Commits a batch on its own, with one statement in one round trip.
    pub(super) async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if batch.is_empty() {
            return Ok(Position(0));
        }
        check(&batch)?;
        batch.sort();
        let split = Split::of(&batch);
        let mut run = 0;
        loop {
            let mut connection = self.connection().await.map_err(errors::fault)?;
            match self.run(&mut connection, &split, false).await? {
                Ok(position) => {
                    self.announce(position);
                    return Ok(position);
                }
                Err(error) if errors::is_deadlock(&error) && run < RUNS => {
                    drop(connection);
                    let pause = backoff(&*self.environment, run, Duration::from_millis(2), Duration::from_millis(100));
                    self.environment.sleep(pause).await;
                    run += 1;
                }
                Err(error) => {
                    connection.close_if_lost(&error);
                    return Err(match self.refused(error, &split) {
                        refused @ CommitError::Conflict { .. } => self.with_winner(&mut connection, refused).await,
                        refused => refused,
                    });
                }
            }
        }
    }

    /// Runs a batch inside an open transaction. The statements before it cannot be run again here, so a deadlock is
    /// reported as a conflict, and the caller may begin a new transaction.
    pub(super) async fn apply(&self, connection: &mut PgConnection, mut batch: Batch) -> Result<Position, CommitError> {
        if batch.is_empty() {
            return Ok(Position(0));
        }
        check(&batch)?;
        batch.sort();
        let split = Split::of(&batch);
        self.run(connection, &split, true).await?.map_err(|error| match errors::is_deadlock(&error) {
            true => CommitError::Conflict { what: "a transaction".into(), exists: false, versions: None },
            false => self.refused(error, &split),
        })
    }

    async fn run(
        &self,
        to: &mut PgConnection,
        split: &Split<'_>,
        is_inside: bool,
    ) -> Result<Result<Position, sqlx::Error>, Fault> {
        let Bound { shape, arguments } = split.bind()?;
        let text = AssertSqlSafe(self.texts.get(shape, self.high_water_mark.mode)).into_sql_str();
        let rows = match is_inside {
            true => self.query_inside(to, text, arguments).await,
            false => self.query(to, text, arguments).await,
        };
        let row = rows.and_then(|(rows, _)| rows.into_iter().next().ok_or(sqlx::Error::RowNotFound));
        // A batch without events has no position.
        Ok(row.and_then(|row| row.try_get::<Option<i64>, _>(0)).map(|at| Position(at.unwrap_or(0) as u64)))
    }

    /// Looks up the found version and the winner of a conflict. If that fails, the conflict has no versions.
    pub(super) async fn with_winner(&self, on: &mut PgConnection, refused: CommitError) -> CommitError {
        let CommitError::Conflict { what, exists, versions: Some(VersionConflict { expected, .. }) } = refused else {
            return refused;
        };
        let (kind, id) = what.split_once(SEPARATOR).unwrap_or((&what, ""));
        let mut with = PgArguments::default();
        let added = [kind, id, &what].into_iter().try_for_each(|text| with.add(text));
        let rows = match added {
            Ok(()) => self.query(on, SqlStr::from_static(WINNER), with).await,
            Err(error) => Err(sqlx::Error::Encode(error)),
        };
        let versions = rows.ok().and_then(|(rows, _)| {
            let row = rows.into_iter().next()?;
            let (stored, last) = (row.try_get::<i64, _>(0).ok()? as u64, row.try_get::<i64, _>(1).ok()? as u64);
            let metadata = row.try_get::<Option<String>, _>(2).ok()?.filter(|_| last >= stored);
            let winner = metadata.and_then(|metadata| serde_json::from_str::<Metadata>(&metadata).ok()?.correlation);
            Some(VersionConflict { expected, found: stored.max(last), winner })
        });
        CommitError::Conflict { what, exists, versions }
    }

    fn refused(&self, error: sqlx::Error, split: &Split<'_>) -> CommitError {
        self.notice(&error);
        errors::refusal(error, split)
    }
}
