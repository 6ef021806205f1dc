//! Reserves the values of a field that has become unique, for aggregates that a program without the unique field stores.
//!
//! The stored aggregates are read once, in the order of their ids. From then on the log says which ones were changed, by
//! any program. Both places are stored in a note, so an interrupted run continues where it was.
mod unreserved;

use crate::{
    aggregate::{Folding, UniqueValues},
    app::App,
    app::background::Job,
    catalogue::{Declaration, NAMED, UniqueFields},
    error::{Fault, describe},
    event::{StreamEvent, stream_of},
    job::Step,
    position::Position,
    registry::AggregateRegistration,
    storage::{ReadLimit, StoredValues, ValueOwner, ValueReservation, check_value},
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use unreserved::Unreserved;

/// The largest number of aggregates in one commit.
const AGGREGATES: usize = 100;
/// The number of aggregates that are loaded at the same time. Commands need connections too.
const LOADS: usize = 4;
/// The largest part of the log that one read returns.
const PAGE: ReadLimit = ReadLimit { entries: 500, bytes: 4 << 20 };
/// The largest part of the streams that one read returns.
const STREAMS: ReadLimit = ReadLimit { entries: AGGREGATES, bytes: 4 << 20 };
/// The number of aggregates after which the start logs its progress.
const LOGGED: usize = 10_000;
/// The number of times that an aggregate is read which other programs change at the same time.
const RELOADS: usize = 4;
/// The number of positions without a changed aggregate after which the progress is stored.
const STORED_AFTER: u64 = 10_000;
/// The interval at which a program looks for aggregates that other programs have changed.
const INTERVAL: Duration = Duration::from_secs(1);
/// The number of steps of the job after which it tries again to reserve values that another aggregate held.
const RETRIED_AFTER: u32 = 5;

/// A unique field of an aggregate of this program, whose stored values may not be reserved: another program of the service
/// stores it without a reservation, or a row was rebuilt.
#[derive(Debug, Clone)]
struct LateField {
    aggregate: AggregateRegistration,
    field: &'static str,
    /// The names of the events of this aggregate in any program.
    events: BTreeSet<String>,
}
impl LateField {
    /// Returns the name of the unique index, as commands use it.
    fn index(&self) -> String {
        format!("{}.{}", self.aggregate.name, self.field)
    }
    fn note(&self) -> String {
        format!("unique/{}", self.index())
    }
    /// Returns an aggregate with its values of this field, or without them if they cannot be read or reserved.
    fn owner(&self, id: String, version: u64, values: Result<UniqueValues, Fault>) -> ValueOwner {
        let values = values.and_then(|values| {
            let own = values.into_iter().filter(|(field, _)| *field == self.field);
            let own = own.map(|(_, value)| check_value(&self.index(), &value).map(|()| value));
            own.collect::<Result<BTreeSet<_>, _>>()
        });
        let values = values.map(|values| values.into_iter().collect());
        ValueOwner { id, version, values: values.ok() }
    }
    /// Returns the aggregate whose stream was folded, with its values of this field.
    fn folded(&self, whole: Folding) -> ValueOwner {
        self.owner(whole.id, whole.version, whole.fold.and_then(|fold| fold.values()))
    }
    /// Returns the id of the aggregate with this stream, if it is one of this kind.
    fn id_of<'s>(&self, stream: &'s str) -> Option<&'s str> {
        stream.strip_prefix(&stream_of(self.aggregate.name, ""))
    }
}

/// The progress of one field, as it is stored in a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The position in the log after which changed aggregates are still to be looked at.
    checkpoint: u64,
    /// The id of the last stored aggregate that was looked at.
    scanned: Option<String>,
    /// Set when all stored aggregates were looked at.
    is_complete: bool,
}

impl App {
    /// Reserves the values of each field that this program makes unique, before the program is declared. Returns a problem
    /// for each field whose stored values are not unique. Then the reservations stay: no program asks for them.
    pub(super) async fn make_unique(&self, earlier: &[Declaration]) -> Result<Vec<String>, Fault> {
        let mut known = UniqueFields::default();
        earlier.iter().for_each(|earlier| known.take_in(&earlier.aggregates));
        let mut problems = Vec::new();
        for (aggregate, field) in self.unique_fields().filter(|(aggregate, field)| known.is_new(aggregate.name, field))
        {
            let field = LateField { aggregate, field, events: events_of(&aggregate, known.events(aggregate.name)) };
            let unreserved = self.reserve_all(&field).await?;
            if !unreserved.is_empty() {
                problems.push(format!(
                    "field `{}` of aggregate `{}` is unique in this program, and stored aggregates do not have a value of their own: \
                     {unreserved}; change the values by the former program, so that each has its own, and start this \
                     program again",
                    field.field, aggregate.name
                ));
            }
        }
        for aggregate in &*self.aggregates {
            for field in known.removed(aggregate.name, aggregate.unique) {
                let (aggregate, field) = (aggregate.name, &*field);
                tracing::info!(aggregate, field, "a field is not unique any more; its reserved values stay stored");
            }
        }
        Ok(problems)
    }
    /// Reserves the values that programs without a unique field have stored, after this program was declared. Values that
    /// are not unique are reported and refuse nothing: they were stored after the field became unique.
    pub(super) async fn reserve_stored_values(&self) -> Result<(), Fault> {
        for field in self.late_fields() {
            self.reserve_all(&field).await?;
            self.report_unreserved(&field).await?;
        }
        Ok(())
    }
    /// Returns the job that reserves the values which other programs go on storing, if this program has unique fields.
    pub(super) fn value_reserver(&self) -> Option<ValueReserver> {
        self.unique_fields().next()?;
        let owner = self.runtime.environment.id().to_string();
        Some(ValueReserver { app: self.clone(), owner, fields: HashMap::new(), steps: 0 })
    }

    fn unique_fields(&self) -> impl Iterator<Item = (AggregateRegistration, &'static str)> {
        self.aggregates.iter().flat_map(|aggregate| aggregate.unique.iter().map(|field| (*aggregate, *field)))
    }
    fn late_fields(&self) -> Vec<LateField> {
        let programs = &self.runtime.newer_programs;
        let late = self.unique_fields().filter(|(aggregate, field)| programs.was_not_unique(aggregate.name, field));
        let late = late.map(|(aggregate, field)| LateField {
            aggregate,
            field,
            events: events_of(&aggregate, programs.events_of(aggregate.name)),
        });
        late.collect()
    }

    /// Reserves the values of all stored aggregates, and returns those whose values are not reserved.
    async fn reserve_all(&self, field: &LateField) -> Result<Unreserved, Fault> {
        let (index, reserving) = (field.index(), &self.runtime.reserving);
        self.scan(field).await?;
        self.follow(field, &mut Position(0)).await?;
        reserving.set_progress(&index, None);
        let (mut unreserved, mut after) = (Unreserved::default(), None::<String>);
        loop {
            let streams = self.storage().unreserved(&index, after.as_deref(), AGGREGATES).await?;
            let is_last = streams.len() < AGGREGATES;
            after = streams.last().cloned().or(after);
            let ids = streams.iter().filter_map(|stream| field.id_of(stream)).map(str::to_owned).collect();
            match unreserved.names_more() {
                true => {
                    for (id, reservation) in self.reserve_again(field, ids).await? {
                        unreserved.add(field, id, &reservation);
                    }
                }
                // More are only counted, since there can be many.
                false => unreserved.add_unnamed(ids.len()),
            }
            if is_last {
                return Ok(unreserved);
            }
        }
    }

    async fn progress(&self, field: &LateField) -> Result<Option<(String, Progress)>, Fault> {
        let note = field.note();
        let found = self.storage().notes(&note).await?.into_iter().find(|(name, _)| *name == note);
        found
            .map(|(_, text)| serde_json::from_str(&text).map(|progress| (text, progress)))
            .transpose()
            .map_err(Fault::from)
    }
    /// Stores the progress, unless another process has stored its own meanwhile. Then that one counts.
    async fn store_progress(&self, field: &LateField, before: Option<&str>, after: &Progress) -> Result<bool, Fault> {
        let after = serde_json::to_string(after)?;
        self.storage().replace_note(&field.note(), before, Some(&after)).await
    }

    /// Reserves the values of the stored aggregates, in the order of their ids.
    async fn scan(&self, field: &LateField) -> Result<(), Fault> {
        let (index, mut done) = (field.index(), 0);
        loop {
            let Some((text, progress)) = self.progress(field).await? else {
                // Aggregates that are changed after this position are found in the log.
                let checkpoint = self.storage().high_water_mark().await?.0;
                let begun = Progress { checkpoint, scanned: None, is_complete: false };
                self.store_progress(field, None, &begun).await?;
                continue;
            };
            if progress.is_complete {
                break;
            }
            let after = progress.scanned.as_deref();
            let (owners, is_complete) = match field.aggregate.is_state_stored {
                true => self.next_rows(field, after).await?,
                false => self.next_streams(field, after).await?,
            };
            let scanned = owners.last().map(|owner| owner.id.clone()).or_else(|| progress.scanned.clone());
            let aggregates = owners.len();
            let reserved = self.reserve(field, owners).await?;
            let reserved = reserved.iter().filter(|(_, reserved)| *reserved == ValueReservation::Reserved).count();
            self.runtime.meter.reserved(&index, reserved);
            self.store_progress(field, Some(&text), &Progress { scanned, is_complete, ..progress }).await?;
            if done == 0 {
                tracing::info!(field = index, "reserving the stored values of a field that has become unique");
            } else if done / LOGGED < (done + aggregates) / LOGGED {
                tracing::info!(field = index, aggregates = done + aggregates, "still reserving the values of a field");
            }
            done += aggregates;
            self.runtime.reserving.set_progress(&index, Some(done));
        }
        if done > 0 {
            tracing::info!(field = index, aggregates = done, "the stored values of a field are reserved");
        }
        Ok(())
    }
    /// Returns the next rows with their values, and whether they are the last ones.
    async fn next_rows(&self, field: &LateField, after: Option<&str>) -> Result<(Vec<ValueOwner>, bool), Fault> {
        let rows = self.storage().rows_after(field.aggregate.name, after, AGGREGATES).await?;
        let is_last = rows.len() < AGGREGATES;
        let of_state = field.aggregate.untyped.of_state;
        let owner = |(id, row): (String, crate::storage::StoredRow)| {
            let values = row.state.as_deref().map_or_else(|| Ok(Vec::new()), of_state);
            field.owner(id, row.version, values)
        };
        Ok((rows.into_iter().map(owner).collect(), is_last))
    }
    /// Returns the next aggregates that are streams with their values, and whether they are the last ones. It holds one
    /// page of events and one aggregate, and it reads a stream that is larger than a page to its end.
    async fn next_streams(&self, field: &LateField, after: Option<&str>) -> Result<(Vec<ValueOwner>, bool), Fault> {
        let kind = field.aggregate.name;
        let mut place = after.map(|id| (stream_of(kind, id), u64::MAX));
        let (mut owners, mut open) = (Vec::new(), None::<Folding>);
        loop {
            let from = place.as_ref().map(|(stream, version)| (&**stream, *version));
            let page = self.storage().streams_after(kind, from, STREAMS).await?;
            let is_last = !STREAMS.is_reached_by(&page);
            place = page.last().map(|last| (last.stream.clone(), last.version));
            for entry in page {
                let Some(id) = field.id_of(&entry.stream) else { continue };
                if open.as_ref().is_none_or(|open| open.id != id) {
                    let next = Folding::new(field.aggregate.untyped, id);
                    owners.extend(open.replace(next).map(|whole| field.folded(whole)));
                }
                let event = StreamEvent::from(entry);
                open.iter_mut().for_each(|open| open.apply(&event));
            }
            if is_last {
                owners.extend(open.take().map(|whole| field.folded(whole)));
                return Ok((owners, true));
            }
            // The last aggregate may go on in the next page, and is read again with it.
            if !owners.is_empty() {
                return Ok((owners, false));
            }
        }
    }

    /// Reserves the values of the aggregates that were changed since the stored position, up to now.
    ///
    /// `seen` is the position up to which this process has read the log, which the note can be behind.
    async fn follow(&self, field: &LateField, seen: &mut Position) -> Result<usize, Fault> {
        let storage = self.storage();
        let names: Vec<_> = field.events.iter().map(String::as_str).collect();
        let (upto, mut done) = (storage.high_water_mark().await?, 0);
        while *seen < upto {
            let Some((text, progress)) = self.progress(field).await? else {
                // Someone has removed the note, so the next run reads all aggregates again.
                *seen = Position(0);
                break;
            };
            let from = Position(progress.checkpoint.max(seen.0));
            if from >= upto {
                *seen = from;
                break;
            }
            let page = storage.log_of(&names, from, upto, PAGE).await?;
            let end = page.last().filter(|_| PAGE.is_reached_by(&page)).map_or(upto, |last| last.position);
            let ids = page.iter().filter_map(|entry| field.id_of(&entry.stream)).map(str::to_owned);
            let ids: BTreeSet<_> = ids.collect();
            done += ids.len();
            let is_worth_storing = !ids.is_empty() || end.0 - progress.checkpoint >= STORED_AFTER;
            self.reserve_again(field, ids.into_iter().collect()).await?;
            *seen = end;
            if is_worth_storing {
                self.store_progress(field, Some(&text), &Progress { checkpoint: end.0, ..progress }).await?;
            }
        }
        Ok(done)
    }
    /// Reads aggregates and reserves their values. One that is changed meanwhile is read again; one that is changed all the
    /// time is left to the next look at the log.
    async fn reserve_again(
        &self,
        field: &LateField,
        ids: Vec<String>,
    ) -> Result<Vec<(String, ValueReservation)>, Fault> {
        let (mut done, mut left) = (Vec::new(), ids);
        for _ in 0..RELOADS {
            let (mut owners, mut ids) = (Vec::with_capacity(left.len()), std::mem::take(&mut left).into_iter());
            while ids.len() > 0 {
                let some: Vec<_> = ids.by_ref().take(LOADS).map(|id| self.load_values(field, id)).collect();
                owners.extend(try_join_all(some).await?);
            }
            for (id, reservation) in self.reserve(field, owners).await? {
                match reservation {
                    ValueReservation::Changed => left.push(id),
                    _ => done.push((id, reservation)),
                }
            }
            if left.is_empty() {
                break;
            }
        }
        Ok(done)
    }
    /// Makes the reservations of one stored aggregate in a unique field of this program those of its values. Returns `None`
    /// if it is changed all the time.
    pub(super) async fn reserve_values(
        &self,
        aggregate: AggregateRegistration,
        field: &'static str,
        id: &str,
    ) -> Result<Option<ValueReservation>, Fault> {
        let field = LateField { aggregate, field, events: BTreeSet::new() };
        let reserved = self.reserve_again(&field, vec![id.to_owned()]).await?;
        Ok(reserved.into_iter().next().map(|(_, reservation)| reservation))
    }
    async fn load_values(&self, field: &LateField, id: String) -> Result<ValueOwner, Fault> {
        let (storage, reader) = (self.storage(), field.aggregate.untyped);
        if field.aggregate.is_state_stored {
            let row = storage.row(field.aggregate.name, &id, None).await?.found;
            let values = row.state.as_deref().map_or_else(|| Ok(Vec::new()), reader.of_state);
            return Ok(field.owner(id, row.version, values));
        }
        let events = storage.stream(&stream_of(field.aggregate.name, &id), 0, None).await?.found;
        let mut folding = Folding::new(reader, &id);
        events.iter().for_each(|event| folding.apply(event));
        Ok(field.folded(folding))
    }
    async fn reserve(
        &self,
        field: &LateField,
        owners: Vec<ValueOwner>,
    ) -> Result<Vec<(String, ValueReservation)>, Fault> {
        let (mut owners, mut results) = (owners.into_iter().peekable(), Vec::new());
        while owners.peek().is_some() {
            let values = StoredValues {
                index: field.index(),
                kind: field.aggregate.name.to_owned(),
                is_state_stored: field.aggregate.is_state_stored,
                owners: owners.by_ref().take(AGGREGATES).collect(),
            };
            let reserved = self.storage().reserve_stored(&values).await?;
            results.extend(values.owners.into_iter().map(|owner| owner.id).zip(reserved));
        }
        Ok(results)
    }
    /// Reports the aggregates whose values are not reserved, in the health and once in the log.
    async fn report_unreserved(&self, field: &LateField) -> Result<(), Fault> {
        let index = field.index();
        let streams = self.storage().unreserved(&index, None, NAMED + 1).await?;
        let ids: Vec<_> = streams.iter().filter_map(|stream| field.id_of(stream)).map(str::to_owned).collect();
        let (aggregates, is_any) = (crate::catalogue::named(&ids), !ids.is_empty());
        if self.runtime.reserving.set_unreserved(&index, ids) {
            match is_any {
                true => tracing::warn!(
                    field = index,
                    aggregates,
                    "a program in which the field is not unique has stored values that cannot be reserved"
                ),
                false => tracing::info!(field = index, "the values of every aggregate are reserved"),
            }
        }
        Ok(())
    }
}

/// Adds the events of this program to those of the others.
fn events_of(aggregate: &AggregateRegistration, mut others: BTreeSet<String>) -> BTreeSet<String> {
    others.extend(aggregate.events.iter().map(|event| (*event).to_owned()));
    others
}

/// The job that reserves the values of aggregates which programs without the unique field go on storing. One replica at a
/// time does so. Every program does so for its own fields, also after a rollback.
#[derive(Debug)]
pub(super) struct ValueReserver {
    app: App,
    /// The holder of this job's leases.
    owner: String,
    /// The state of each field by its index.
    fields: HashMap<String, Followed>,
    steps: u32,
}
#[derive(Debug, Default)]
struct Followed {
    seen: Position,
    /// The stream after which values that another aggregate held are tried again.
    tried: Option<String>,
}
impl ValueReserver {
    async fn follow(&mut self, field: &LateField) -> Result<usize, Fault> {
        let (app, index, is_due) = (&self.app, field.index(), self.steps.is_multiple_of(RETRIED_AFTER));
        let storage = app.storage();
        if !storage.is_exclusive() && storage.lease(&field.note(), &self.owner, app.runtime.lease).await?.is_none() {
            if is_due {
                app.report_unreserved(field).await?;
            }
            return Ok(0);
        }
        let followed = self.fields.entry(index.clone()).or_default();
        if followed.seen == Position(0) {
            app.scan(field).await?;
            app.runtime.reserving.set_progress(&index, None);
        }
        let done = app.follow(field, &mut followed.seen).await?;
        if done > 0 || is_due {
            let streams = storage.unreserved(&index, followed.tried.as_deref(), AGGREGATES).await?;
            followed.tried = streams.last().filter(|_| streams.len() == AGGREGATES).cloned();
            let ids: Vec<_> = streams.iter().filter_map(|stream| field.id_of(stream)).map(str::to_owned).collect();
            app.reserve_again(field, ids).await?;
            app.report_unreserved(field).await?;
        }
        Ok(done)
    }
}
#[async_trait::async_trait]
impl Job for ValueReserver {
    fn name(&self) -> String {
        "unique values".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        let app = self.app.clone();
        app.runtime.newer_programs.refresh(&**app.storage(), &*app.runtime.environment).await?;
        let mut done = 0;
        for field in app.late_fields() {
            done += self.follow(&field).await.inspect_err(|fault| {
                tracing::debug!(field = field.index(), error = describe(fault), "values of a field were not reserved");
            })?;
        }
        self.steps = self.steps.wrapping_add(1);
        // A commit of this process reserves its own values.
        Ok(if done > 0 { Step::Did(done) } else { Step::Paused(INTERVAL) })
    }
    async fn finish(&mut self) {
        for field in self.app.late_fields() {
            // A lease that is not released expires.
            let _ = self.app.storage().release(&field.note(), &self.owner).await;
        }
    }
}
