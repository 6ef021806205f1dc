//! Writes a batch: takes it apart, binds what it has, runs one statement.
use super::{
    Inner,
    statement::{Part, Shape},
    trouble,
};
use crate::{
    Fault,
    batch::{Answer, Batch, Claim, Mark, Move, NewEntry, Park, Position, Rejected, Row, ViewWrite},
    storage::{check, parked::encode_headers},
    world::backoff,
};
use sqlx::{Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Row as _, Type, postgres::PgArguments};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

/// How often a batch is run again after a deadlock. Since batches lock in one order, once is rare.
const RUNS: u32 = 8;

/// A batch, part by part.
pub(super) struct Split<'a> {
    pub(super) seen: Vec<&'a Mark>,
    pub(super) moved: Vec<&'a Move>,
    pub(super) begun: Vec<&'a Move>,
    pub(super) unparked: Vec<&'a u64>,
    pub(super) parked: Vec<&'a Park>,
    pub(super) saved: Vec<&'a Row>,
    pub(super) created: Vec<&'a Row>,
    pub(super) heads: Vec<Head<'a>>,
    pub(super) given: Vec<&'a Claim>,
    pub(super) taken: Vec<&'a Claim>,
    pub(super) replaced: Vec<&'a ViewWrite>,
    pub(super) added: Vec<&'a ViewWrite>,
    pub(super) listed: Vec<Listed<'a>>,
    pub(super) logged: Vec<&'a NewEntry>,
    pub(super) answered: Vec<&'a Answer>,
}

/// The first new version of a stream: the one before must be there, and it must not.
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
        let (begun, moved) = batch.moves.iter().partition(|it| it.from == 0 && it.epoch.is_none());
        let (created, saved) = batch.rows.iter().partition(|it| it.expected == 0);
        let (taken, given) = batch.claims.iter().partition(|it| it.taken);
        let (added, replaced) = batch.views.iter().partition(|it| it.expected == 0);
        let listed = batch.views.iter().filter(|view| view.value.is_some()).flat_map(|view| {
            let listed = |(index, entry)| Listed { view: view.view, index, entry, key: &view.key };
            view.entries.iter().map(move |(index, entry)| listed((*index, entry.as_slice())))
        });
        Split {
            seen: batch.marks.iter().collect(),
            moved,
            begun,
            unparked: batch.unparks.iter().collect(),
            parked: batch.parks.iter().collect(),
            saved,
            created,
            heads: heads(batch),
            given,
            taken,
            replaced,
            added,
            listed: listed.collect(),
            logged: batch.events.iter().collect(),
            answered: batch.answer.iter().collect(),
        }
    }

    fn bind(&self) -> Result<Bound, Fault> {
        let mut to = Bound::default();
        to.part(Part::Known, &self.answered)?
            .column(|it| it.key.as_str())?
            .column(|it| it.fingerprint)?
            .column(|it| it.body.as_slice())?;
        to.part(Part::Seen, &self.seen)?.column(|it| it.group.as_str())?.column(|it| it.message)?;
        to.part(Part::Moved, &self.moved)?
            .column(|it| it.reader.as_str())?
            .column(|it| int(it.from))?
            .column(|it| int(it.to))?
            .column(|it| it.epoch.map(int))?;
        to.part(Part::Begun, &self.begun)?.column(|it| it.reader.as_str())?.column(|it| int(it.to))?;
        to.part(Part::Unparked, &self.unparked)?.column(|it| int(**it))?;
        let headers = self.parked.iter().map(|it| headers(it)).collect::<Result<Vec<_>, Fault>>()?;
        let parked: Vec<_> = self.parked.iter().zip(&headers).collect();
        to.part(Part::Parked, &parked)?
            .column(|(it, _)| it.reader.as_str())?
            .column(|(it, _)| it.key.as_str())?
            .column(|(it, _)| it.behind)?
            .column(|(it, _)| it.message)?
            .column(|(it, _)| int(it.at))?
            .column(|(it, _)| it.record.as_ref().map(|it| it.partition.topic.as_str()))?
            .column(|(it, _)| it.record.as_ref().map(|it| it.partition.part.as_str()))?
            .column(|(it, _)| it.record.as_ref().and_then(|it| it.key.as_deref()))?
            .column(|(_, headers)| headers.as_deref())?
            .column(|(it, _)| it.record.as_ref().and_then(|it| it.body.as_deref()))?
            .column(|(it, _)| it.error.as_str())?
            .column(|(it, _)| it.attempts as i32)?;
        to.part(Part::Saved, &self.saved)?
            .column(|it| it.kind)?
            .column(|it| it.id.as_str())?
            .column(|it| int(it.expected))?
            .column(|it| int(it.version))?
            .column(|it| it.state.as_deref())?;
        to.part(Part::Created, &self.created)?
            .column(|it| it.kind)?
            .column(|it| it.id.as_str())?
            .column(|it| int(it.version))?
            .column(|it| it.state.as_deref())?;
        to.part(Part::Heads, &self.heads)?.column(|it| it.stream)?.column(|it| int(it.version))?;
        to.part(Part::Replaced, &self.replaced)?
            .column(|it| it.view)?
            .column(|it| it.key.as_str())?
            .column(|it| int(it.expected))?
            .column(|it| it.value.as_deref())?;
        to.part(Part::Added, &self.added)?
            .column(|it| it.view)?
            .column(|it| it.key.as_str())?
            .column(|it| it.value.as_deref())?;
        for (part, claims) in [(Part::Given, &self.given), (Part::Taken, &self.taken)] {
            to.part(part, claims)?
                .column(|it| it.index.as_str())?
                .column(|it| it.value.as_str())?
                .column(|it| it.owner.as_str())?;
        }
        to.part(Part::Entries, &self.listed)?
            .column(|it| it.view)?
            .column(|it| it.index)?
            .column(|it| it.entry)?
            .column(|it| it.key)?;
        let metadata = self.logged.iter().map(|it| Ok((it.id, serde_json::to_string(&it.metadata)?)));
        let metadata = metadata.collect::<Result<HashMap<Uuid, String>, Fault>>()?;
        to.part(Part::Logged, &self.logged)?
            .column(|it| it.stream.as_str())?
            .column(|it| int(it.version))?
            .column(|it| it.id)?
            .column(|it| it.name)?
            .column(|it| it.schema as i32)?
            .column(|it| it.payload.as_slice())?
            .column(|it| metadata[&it.id].as_str())?
            .column(|it| it.at)?
            .column(|it| it.told.as_ref().map(|told| told.topic.as_str()))?
            .column(|it| it.told.as_ref().map(|told| told.key.as_str()))?
            .column(|it| it.told.as_ref().map(|told| told.lane as i16))?
            .column(|it| it.told.as_ref().map(|told| told.name.as_str()))?
            .column(|it| it.told.as_ref().map(|told| told.body.as_slice()))?;
        Ok(to)
    }
}

/// Streams that no row guards: with a row, the row's version does, and retention may have taken the entry before. Within a
/// batch versions follow each other; one that does not is looked at like a first one, and refused.
fn heads(batch: &Batch) -> Vec<Head<'_>> {
    let rows: HashSet<String> = batch.rows.iter().map(|it| format!("{}-{}", it.kind, it.id)).collect();
    let mut last = HashMap::new();
    let events = batch.events.iter().filter(|it| !rows.contains(&it.stream));
    events
        .filter_map(|it| {
            let before = last.insert(it.stream.as_str(), it.version);
            let follows = before.is_some_and(|before| before + 1 == it.version);
            (!follows).then_some(Head { stream: &it.stream, version: it.version })
        })
        .collect()
}

/// Parameters, and the shape of the statement they are for.
#[derive(Default)]
struct Bound {
    shape: Shape,
    arguments: PgArguments,
}
impl Bound {
    fn part<'b, 'a, E>(&'b mut self, part: Part, elements: &'a [E]) -> Result<Columns<'b, 'a, E>, Fault> {
        self.shape.set(part, elements.len());
        Ok(Columns { elements, arguments: &mut self.arguments })
    }
}

/// One part's parameters, column by column in the order of its [`Sql`](super::parts::Sql).
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

/// A parked record's headers as text.
fn headers(park: &Park) -> Result<Option<String>, Fault> {
    park.record.as_ref().map(|it| encode_headers(&it.headers)).transpose()
}

/// Counts of this framework stay far below 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Inner {
    /// Commits a batch by itself: one statement, one round trip.
    pub(super) async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        if batch.is_empty() {
            return Ok(Position(0));
        }
        check(&batch)?;
        batch.sort();
        let split = Split::of(&batch);
        let mut run = 0;
        loop {
            let mut connection = self.pool.acquire().await.map_err(trouble::fault)?;
            match self.run(&mut connection, &split).await? {
                Ok(position) => {
                    self.tell(position);
                    return Ok(position);
                }
                Err(error) if trouble::is_deadlock(&error) && run < RUNS => {
                    drop(connection);
                    let pause = backoff(&*self.world, run, Duration::from_millis(2), Duration::from_millis(100));
                    self.world.sleep(pause).await;
                    run += 1;
                }
                Err(error) => return Err(self.refused(error, &split)),
            }
        }
    }

    /// Runs a batch inside a transaction that goes on. What was done before cannot be run again here, so a deadlock is a
    /// conflict: whoever began it may begin again.
    pub(super) async fn stage(&self, connection: &mut PgConnection, mut batch: Batch) -> Result<Position, Rejected> {
        if batch.is_empty() {
            return Ok(Position(0));
        }
        check(&batch)?;
        batch.sort();
        let split = Split::of(&batch);
        self.run(connection, &split).await?.map_err(|error| match trouble::is_deadlock(&error) {
            true => Rejected::Conflict { what: "a transaction".into(), exists: false },
            false => self.refused(error, &split),
        })
    }

    async fn run(&self, to: &mut PgConnection, split: &Split<'_>) -> Result<Result<Position, sqlx::Error>, Fault> {
        let Bound { shape, arguments } = split.bind()?;
        let text = self.texts.get(shape, self.horizon.mode);
        self.count();
        let row = sqlx::query_with(AssertSqlSafe(text), arguments).fetch_one(to).await;
        // No position without events.
        Ok(row.and_then(|row| row.try_get::<Option<i64>, _>(0)).map(|at| Position(at.unwrap_or(0) as u64)))
    }

    fn refused(&self, error: sqlx::Error, split: &Split<'_>) -> Rejected {
        self.notice(&error);
        trouble::refusal(error, split)
    }
}
