//! Rebuilds the stored rows of state-stored aggregates from their events: a row that cannot be read any more, or one with a
//! field that is computed anew.
use crate::{
    aggregate::{Folding, PAYLOAD, ROW_REBUILT},
    app::App,
    catalogue::Catalogue,
    error::{Fault, describe},
    event::{NewEntry, StreamEvent, stream_of},
    metadata::Metadata,
    registry::AggregateRegistration,
    storage::{Batch, CommitError, ReadLimit, Row, StoredRow, ValueReservation},
};
use serde_json::Value;

/// The largest part of the streams that one read returns.
const PAGE: ReadLimit = ReadLimit { entries: 500, bytes: 4 << 20 };
/// The number of times that a row is compared which commands change at the same time.
const TRIES: usize = 8;
/// The largest number of failures that are reported one by one.
const NAMED: usize = 100;

/// The options of a rebuild of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowRebuild {
    /// Compares only, and changes nothing.
    pub dry_run: bool,
    /// Begins after the aggregate with this id, where an earlier run has ended.
    pub after: Option<String>,
}

/// The result of a rebuild of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuiltRows {
    /// The number of aggregates whose rows were compared.
    pub checked: u64,
    /// The number of rows that were rebuilt, or would be in a dry run.
    pub changed: u64,
    /// The number of aggregates whose rows could not be rebuilt.
    pub failed: u64,
    /// The first hundred of them.
    pub failures: Vec<FailedRow>,
    /// The id of the last aggregate.
    pub last: Option<String>,
}

/// An aggregate whose row could not be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRow {
    /// The stream of the aggregate.
    pub stream: String,
    /// The reason. It never contains the state or an event.
    pub reason: String,
}

/// The error of a rebuild that could not begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowRebuildError {
    /// The app has no aggregate with this name.
    #[error("the service has no aggregate `{0}`; its aggregates are {1}")]
    UnknownAggregate(String, String),
    /// The aggregate is event-sourced, or in a table of one's own.
    #[error(
        "aggregate `{0}` is not state-stored: the snapshots of an event-sourced one are replaced by commands, and the rows of a \
         mapped one belong to its own table"
    )]
    NotStateStored(String),
    /// Another program of the service has started later, whose fields this program would remove, or this one has not started
    /// yet.
    #[error(
        "another program of the service was the last one to start: rebuild the rows with that program, or start this one \
         first"
    )]
    NotNewest,
    /// The database failed. Rows that were rebuilt stay so.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl App {
    /// Rebuilds the rows of the state-stored aggregates with this name from their events, in the order of their ids. A row
    /// that differs from the state that the events give is replaced, and so is one that cannot be read or is absent. Unique
    /// values are reserved anew. `by` names the operator.
    ///
    /// It may run while the service runs. A rebuilt row gets a new version through an entry `cqrs.rebuilt` in the stream,
    /// so a command that has read the former row decides again. It holds a page of events and one aggregate. Rows
    /// without any event are left alone. An interrupted run can be repeated, or continued after its last id. A repeated run
    /// also makes the reservations of rows that were rebuilt before a kill.
    ///
    /// # Errors
    /// Fails with a [`RowRebuildError`] when there are no such rows, when this is not the newest program of the service, or
    /// when the database fails. Aggregates whose row cannot be rebuilt are in the result.
    pub async fn rebuild_rows(
        &self,
        aggregate: &str,
        options: &RowRebuild,
        by: &Metadata,
    ) -> Result<RebuiltRows, RowRebuildError> {
        self.refuse_on_query_side()?;
        let Some(found) = self.aggregates.iter().find(|known| known.name == aggregate) else {
            let known: Vec<_> = self.aggregates.iter().map(|known| format!("`{}`", known.name)).collect();
            return Err(RowRebuildError::UnknownAggregate(aggregate.to_owned(), known.join(", ")));
        };
        if !found.is_state_stored {
            return Err(RowRebuildError::NotStateStored(aggregate.to_owned()));
        }
        if !self.is_newest_started().await? {
            return Err(RowRebuildError::NotNewest);
        }
        let prefix = stream_of(found.name, "");
        let mut place = options.after.as_ref().map(|id| (stream_of(found.name, id), u64::MAX));
        let mut rebuild = Rebuild { app: self, aggregate: *found, options, by, done: RebuiltRows::default() };
        let mut open = None::<Folding>;
        loop {
            let from = place.as_ref().map(|(stream, version)| (&**stream, *version));
            let page = self.storage().streams_after(found.name, from, PAGE).await?;
            let is_last = !PAGE.is_reached_by(&page);
            place = page.last().map(|last| (last.stream.clone(), last.version));
            for entry in page {
                let Some(id) = entry.stream.strip_prefix(&prefix) else { continue };
                if open.as_ref().is_none_or(|open| open.id != id)
                    && let Some(whole) = open.replace(Folding::new(found.untyped, id))
                {
                    rebuild.compare(whole).await?;
                }
                let event = StreamEvent::from(entry);
                open.iter_mut().for_each(|open| open.apply(&event));
            }
            if is_last {
                break;
            }
        }
        if let Some(whole) = open {
            rebuild.compare(whole).await?;
        }
        Ok(rebuild.done)
    }
    /// Returns whether this program, or none, was the last one of the service to start for the first time. It need not have
    /// started in this process.
    pub(super) async fn is_newest_started(&self) -> Result<bool, Fault> {
        let catalogue = Catalogue::of(&self.storage().programs(0).await?);
        let this = catalogue.declared_now(self.declaration());
        let started = catalogue
            .programs
            .iter()
            .filter(|(number, program)| program.service == this.service && !catalogue.withdrawn.contains(number));
        Ok(started.max_by_key(|(number, _)| *number).is_none_or(|(_, newest)| *newest == this))
    }
}

/// The outcome of one comparison of a row.
enum Compared {
    Same,
    Changed,
    Failed(String),
    /// A command has changed the aggregate meanwhile.
    Again,
}

struct Rebuild<'a> {
    app: &'a App,
    aggregate: AggregateRegistration,
    options: &'a RowRebuild,
    by: &'a Metadata,
    done: RebuiltRows,
}
impl Rebuild<'_> {
    async fn compare(&mut self, mut folding: Folding) -> Result<(), Fault> {
        self.done.checked += 1;
        self.done.last = Some(folding.id.clone());
        let mut outcome = Compared::Again;
        for _ in 0..TRIES {
            outcome = self.compare_once(&folding).await?;
            if !matches!(outcome, Compared::Again) {
                break;
            }
            let before = folding.version;
            self.read_on(&mut folding).await?;
            if folding.version == before {
                outcome = Compared::Failed("the row has a later version than the last event of its stream".to_owned());
                break;
            }
        }
        match outcome {
            Compared::Same => {}
            Compared::Changed => self.done.changed += 1,
            Compared::Failed(reason) => self.fail(&folding.id, reason),
            Compared::Again => {
                self.fail(&folding.id, "commands change the aggregate all the time; try again".to_owned())
            }
        }
        Ok(())
    }
    async fn compare_once(&self, folding: &Folding) -> Result<Compared, Fault> {
        let row = self.app.storage().row(self.aggregate.name, &folding.id, None).await?.found;
        if row.version > folding.version {
            return Ok(Compared::Again);
        }
        let state = match state_of(folding) {
            Ok(state) => state,
            Err(reason) => return Ok(Compared::Failed(reason)),
        };
        let is_same = row.version == folding.version && is_same(&row, state.as_deref());
        if is_same && (self.options.dry_run || !folding.is_rebuilt) {
            return Ok(Compared::Same);
        }
        if is_same {
            // The run that rebuilt the row may have been killed before it reserved the values.
            return self.reserve(&folding.id, Compared::Same).await;
        }
        if self.options.dry_run {
            return Ok(Compared::Changed);
        }
        self.replace(folding, &row, state).await
    }
    async fn replace(&self, folding: &Folding, row: &StoredRow, state: Option<Vec<u8>>) -> Result<Compared, Fault> {
        let (environment, kind, id) = (&self.app.runtime.environment, self.aggregate.name, &folding.id);
        let (version, event) = (folding.version + 1, environment.id());
        let mut metadata = self.by.clone();
        metadata.correlation.get_or_insert(event);
        let mark = NewEntry {
            stream: stream_of(kind, id),
            version,
            id: event,
            name: ROW_REBUILT,
            schema: 1,
            payload: PAYLOAD.to_vec(),
            metadata,
            occurred_at: environment.now(),
            outgoing: None,
        };
        let row = Row { kind, id: id.clone(), expected: row.version, version, state };
        match self.app.storage().commit(Batch { rows: vec![row], events: vec![mark], ..Batch::default() }).await {
            Ok(_) => self.reserve(id, Compared::Changed).await,
            Err(CommitError::Conflict { .. }) => Ok(Compared::Again),
            Err(CommitError::Fault(fault)) if fault.is_transient() => Err(fault),
            Err(refused) => Ok(Compared::Failed(describe(&refused))),
        }
    }
    /// Makes the reservations of the aggregate those of its row, also when a command has changed the row meanwhile: that
    /// command reserves only the values that it changes. Returns `reserved` if every value is.
    async fn reserve(&self, id: &str, reserved: Compared) -> Result<Compared, Fault> {
        let mut unreserved = Vec::new();
        for field in self.aggregate.unique {
            let reason = match self.app.reserve_values(self.aggregate, field, id).await? {
                Some(ValueReservation::Reserved) => continue,
                Some(ValueReservation::Shared { holders }) => format!("held by {}", holders.join(", ")),
                Some(ValueReservation::NotReservable) => "too long, or it cannot be read".to_owned(),
                Some(ValueReservation::Changed) | None => "changed all the time by commands".to_owned(),
            };
            unreserved.push(format!("`{field}` ({reason})"));
        }
        Ok(match unreserved.is_empty() {
            true => reserved,
            false => Compared::Failed(format!(
                "the row was rebuilt, and the values of its unique fields are not reserved: {}",
                unreserved.join(", ")
            )),
        })
    }
    /// Applies the events that were appended since the stream was read.
    async fn read_on(&self, folding: &mut Folding) -> Result<(), Fault> {
        let stream = stream_of(self.aggregate.name, &folding.id);
        loop {
            let page = self.app.storage().stream_page(&stream, folding.version, PAGE).await?;
            let is_last = !PAGE.is_reached_by(&page);
            page.into_iter().map(StreamEvent::from).for_each(|event| folding.apply(&event));
            if is_last {
                return Ok(());
            }
        }
    }
    fn fail(&mut self, id: &str, reason: String) {
        self.done.failed += 1;
        if self.done.failures.len() < NAMED {
            self.done.failures.push(FailedRow { stream: stream_of(self.aggregate.name, id), reason });
        }
    }
}

/// Returns the encoded state of a fold, or the reason why it has none.
fn state_of(folding: &Folding) -> Result<Option<Vec<u8>>, String> {
    let fold = folding.fold.as_ref().map_err(|fault| describe(fault))?;
    fold.state().map_err(|fault| describe(&fault))
}

/// Returns whether a row has this state. The order of fields makes no difference.
fn is_same(row: &StoredRow, state: Option<&[u8]>) -> bool {
    match (row.state.as_deref(), state) {
        (None, None) => true,
        (Some(stored), Some(state)) if stored == state => true,
        (Some(stored), Some(state)) => {
            match (serde_json::from_slice::<Value>(stored), serde_json::from_slice::<Value>(state)) {
                (Ok(stored), Ok(state)) => stored == state,
                _ => false,
            }
        }
        _ => false,
    }
}
