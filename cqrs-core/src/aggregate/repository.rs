//! The repository: loading, deciding and staging are one call, so that a handler cannot forget a step.
use crate::{
    aggregate::unit_of_work::UnitOfWork,
    aggregate::{Aggregate, Decision, IntoEvents, StoredAs, mapped::Table, mark, replay, snapshot},
    codec,
    error::{Error, Fault},
    event::{Publisher, StreamEvent, decode_stored, parse_id, stream_of},
    runtime::Runtime,
    storage::{SnapshotAndEvents, StoredResponse, StoredSnapshot},
};
use std::{any::TypeId, fmt, marker::PhantomData, sync::Arc};

/// The repository for aggregates of one kind, inside the unit of work of one command.
///
/// The bus commits all staged changes together after the handler.
///
/// ```no_run
/// # use cqrs_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "counter", event = Counted)]
/// # pub struct Counter { #[id] id: u64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "counted", version = 1)]
/// # pub enum Counted { Started, Up }
/// # impl Evolve<Counted> for Counter {
/// #     fn create(id: u64, event: &Counted) -> Option<Self> { None }
/// #     fn apply(&mut self, event: &Counted) {}
/// # }
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct CountUp { id: u64 }
///
/// #[handler]
/// async fn count_up(command: CountUp, counters: Repo<Counter>) -> HandlerResult<()> {
///     counters.update(&command.id, |_| Ok(Counted::Up)).await?;
///     Ok(())
/// }
/// ```
pub struct Repo<A> {
    pub(crate) stored_as: StoredAs,
    pub(crate) table: Option<Arc<dyn Table<A>>>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) unit: UnitOfWork,
    pub(crate) of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Repo<A> {
    /// Loads the aggregate with this id, if there is one.
    ///
    /// Within one unit of work every call returns the same aggregate, with the staged changes.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or the stored data cannot be decoded.
    pub async fn find(&self, id: &A::Id) -> Result<Option<A>, Fault> {
        Ok(self.load(id).await?.map(|found| A::clone(&found)))
    }

    /// Loads the aggregate with this id.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`] when there is none, and faults as [`find`](Repo::find) does.
    pub async fn get<E>(&self, id: &A::Id) -> Result<A, Error<E>> {
        self.find(id).await?.ok_or_else(|| Error::NotFound { kind: A::NAME, id: id.to_string() })
    }

    /// Loads the aggregate with this id for a decision about another one. The commit checks that it still has the version
    /// that was loaded, although it is not changed.
    ///
    /// A rule over two aggregates needs it. With [`get`](Repo::get), two commands that each read what the other one
    /// changes can both be committed, and the rule is broken (write skew). With `read`, one of them meets a conflict and
    /// is decided again. A command that changes nothing checks nothing.
    ///
    /// ```
    /// # use cqrs_core::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(name = "doctor", event = DoctorEvent)]
    /// # pub struct Doctor { #[id] id: u64, on_call: bool }
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    /// # #[event(name = "doctor", version = 1)]
    /// # pub enum DoctorEvent { Hired, LeftCall }
    /// # impl Evolve<DoctorEvent> for Doctor {
    /// #     fn create(id: u64, _: &DoctorEvent) -> Option<Self> { Some(Doctor { id, on_call: true }) }
    /// #     fn apply(&mut self, _: &DoctorEvent) { self.on_call = false }
    /// # }
    /// # #[derive(Debug, thiserror::Error, DomainError)]
    /// # pub enum DoctorError { #[error("no other doctor is on call")] #[kind(precondition)] LastOnCall }
    /// #[derive(Clone, Serialize, Deserialize, Command)]
    /// struct LeaveCall { id: u64, colleague: u64 }
    ///
    /// /// One of two doctors stays on call.
    /// #[handler]
    /// async fn leave_call(command: LeaveCall, doctors: Repo<Doctor>) -> HandlerResult<(), DoctorError> {
    ///     let colleague = doctors.read(&command.colleague).await?;
    ///     let leave = |_: &Doctor| if colleague.on_call { Ok(DoctorEvent::LeftCall) } else { Err(DoctorError::LastOnCall) };
    ///     doctors.update(&command.id, leave).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NotFound`] when there is none, and faults as [`find`](Repo::find) does.
    pub async fn read<E>(&self, id: &A::Id) -> Result<A, Error<E>> {
        self.read_or_none(id).await?.ok_or_else(|| Error::NotFound { kind: A::NAME, id: id.to_string() })
    }

    /// Loads the aggregate with this id, if there is one, as [`read`](Repo::read) does. The commit checks the absence, too:
    /// a command that relied on it meets a conflict if the aggregate was created meanwhile, also under the id of a deleted
    /// one.
    ///
    /// # Errors
    /// Returns faults as [`find`](Repo::find) does.
    pub async fn read_or_none(&self, id: &A::Id) -> Result<Option<A>, Fault> {
        let found = self.load(id).await?;
        self.unit.read::<A>(&id.to_string(), self.stored_as.row);
        Ok(found.map(|found| A::clone(&found)))
    }

    /// Stages a new aggregate with this id that its first event creates. The commit checks that the id is free
    /// ([`Error::Exists`]). The id of a deleted aggregate is not free, unless the wiring says so
    /// ([`StateStored::reuses_ids`](crate::StateStored::reuses_ids), and the same for
    /// [`EventSourced`](crate::EventSourced::reuses_ids)).
    ///
    /// # Errors
    /// Returns a [`Fault`] when the first event does not create an aggregate or creates one with another id, when the
    /// id's text does not parse to the same id, or when this unit of work already loaded, created or deleted this id.
    pub fn create(&self, id: A::Id, events: impl IntoEvents<A::Event>) -> Result<A, Fault> {
        let (name, key, events) = (A::NAME, id.to_string(), events.into_events());
        if parse_id(&key).ok().as_ref() != Some(&id) {
            return Err(Fault::internal(format!("the id {key} of {name} does not parse to the same id again")));
        }
        let state = replay::<A, A::Event>(&id, &events)
            .ok_or_else(|| Fault::internal(format!("the first event does not create an aggregate {name}")))?;
        if *state.id() != id {
            return Err(Fault::internal(format!("{name} {key} was created with the id {}", state.id())));
        }
        self.unit.created(&key, Arc::new(state.clone()), self.stored_as)?;
        if let Some(table) = &self.table {
            self.unit.uses_table(name, &key, None, table.absent(&id));
        }
        self.unit.stage(&key, Arc::new(state.clone()), events, &self.publishers())?;
        Ok(state)
    }

    /// Loads the aggregate, decides and stages the events. Returns the state after the decision.
    ///
    /// A decision without events stages nothing.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`] when there is no aggregate with this id, the domain error of a decision that
    /// refuses, and faults as [`find`](Repo::find) does.
    pub async fn update<D: Decision<A::Event, E>, E>(
        &self,
        id: &A::Id,
        decide: impl FnOnce(&A) -> D,
    ) -> Result<A, Error<E>> {
        let key = id.to_string();
        let Some(found) = self.load(id).await? else {
            return Err(Error::NotFound { kind: A::NAME, id: key });
        };
        let events = decide(&found).into_result().map_err(Error::Domain)?;
        let mut state = A::clone(&found);
        if !events.is_empty() {
            events.iter().for_each(|event| state.apply(event));
            self.unit.stage(&key, Arc::new(state.clone()), events, &self.publishers())?;
        }
        Ok(state)
    }

    /// Loads the aggregate, decides, stages the last events and ends the aggregate. Returns the state after the last event.
    ///
    /// After the commit, `find` returns `None` for this id, and the unique values are free. The events stay in the log,
    /// followed by an entry that ends the stream; readers learn of the end from the last events. `create` refuses the id,
    /// unless the wiring lets it be used again.
    ///
    /// A decision without events stages nothing and deletes nothing: other readers would not learn of the end.
    ///
    /// ```no_run
    /// # use cqrs_core::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(name = "note", event = Noted)]
    /// # pub struct Note { #[id] id: u64 }
    /// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    /// # #[event(name = "note", version = 1)]
    /// # pub enum Noted { Written, Erased }
    /// # impl Evolve<Noted> for Note {
    /// #     fn create(id: u64, _: &Noted) -> Option<Self> { Some(Note { id }) }
    /// #     fn apply(&mut self, _: &Noted) {}
    /// # }
    /// # #[derive(Clone, Serialize, Deserialize, Command)]
    /// # struct Erase { id: u64 }
    /// #[handler]
    /// async fn erase(command: Erase, notes: Repo<Note>) -> HandlerResult<()> {
    ///     notes.delete(&command.id, |_| Ok(Noted::Erased)).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Fails as [`update`](Repo::update) does.
    pub async fn delete<D: Decision<A::Event, E>, E>(
        &self,
        id: &A::Id,
        decide: impl FnOnce(&A) -> D,
    ) -> Result<A, Error<E>> {
        let mut decided = false;
        let events = |aggregate: &A| {
            let events = decide(aggregate).into_result();
            decided = events.as_ref().is_ok_and(|events| !events.is_empty());
            events
        };
        let last = self.update(id, events).await?;
        if decided {
            self.unit.delete(A::NAME, &id.to_string(), &self.publishers());
        }
        Ok(last)
    }

    async fn load(&self, id: &A::Id) -> Result<Option<Arc<A>>, Fault> {
        let loaded = self.load_once(id).await;
        if loaded.as_ref().is_err_and(Fault::is_transient) {
            self.unit.note_transient();
        }
        loaded
    }
    async fn load_once(&self, id: &A::Id) -> Result<Option<Arc<A>>, Fault> {
        let key = id.to_string();
        if let Some(known) = self.unit.find::<A>(&key) {
            return Ok(known);
        }
        let response = self.unit.response_key();
        let (folded, stored) = if let Some(table) = &self.table {
            let loaded = self.runtime.storage.row(A::NAME, &key, response.as_deref()).await?;
            let (version, response) = (loaded.found.version, loaded.response);
            let state = if response.is_none() { self.load_from(&**table, id).await? } else { None };
            let is_deleted = version > 0 && loaded.found.state.is_none() && state.is_none();
            (LoadedAggregate { state, version, is_deleted, events: 0, response }, None)
        } else if self.stored_as.row {
            let loaded = self.runtime.storage.row(A::NAME, &key, response.as_deref()).await?;
            let state = loaded.found.state.as_deref().map(codec::decode::<A>).transpose()?;
            let (version, response) = (loaded.found.version, loaded.response);
            let is_deleted = version > 0 && state.is_none();
            (LoadedAggregate { state, version, is_deleted, events: 0, response }, loaded.found.state)
        } else {
            (self.load_events(id, &key, response.as_deref()).await?, None)
        };
        let LoadedAggregate { state, version, is_deleted, events, response } = folded;
        if let Some(response) = response {
            self.unit.set_stored_response(response);
            return Err(Fault::internal("a response is stored under this idempotency key; the bus returns it"));
        }
        let Some(found) = state.map(Arc::new) else {
            self.unit.not_found(A::NAME, &key, version, is_deleted);
            return Ok(None);
        };
        Ok(self.unit.loaded(&key, found, version, self.stored_as, stored, events))
    }
    /// Loads the snapshot and folds the events after it, or folds all events. A snapshot that cannot be used costs a second
    /// read.
    async fn load_events(&self, id: &A::Id, key: &str, response: Option<&str>) -> Result<LoadedAggregate<A>, Fault> {
        let storage = &self.runtime.storage;
        if let Some(policy) = self.stored_as.snapshots {
            let loaded = storage.snapshot(A::NAME, key, policy.form, response).await?;
            let SnapshotAndEvents { snapshot, events } = loaded.found;
            let base = match snapshot {
                None => Some((None, 0)),
                Some(StoredSnapshot { version, state: None }) => Some((None, version)),
                Some(StoredSnapshot { version, state: Some(stored) }) => {
                    snapshot::decode::<A>(A::NAME, key, &stored).map(|state| (Some(state), version))
                }
            };
            if let Some((state, version)) = base {
                return LoadedAggregate::from(id, state, version, &events, loaded.response);
            }
        }
        let loaded = storage.stream(&stream_of(A::NAME, key), 0, response).await?;
        LoadedAggregate::from(id, None, 0, &loaded.found, loaded.response)
    }

    /// Loads the aggregate from its table. The transaction ends at once, so a handler holds no connection.
    async fn load_from(&self, table: &dyn Table<A>, id: &A::Id) -> Result<Option<A>, Fault> {
        let mut tx = self.runtime.storage.begin().await?;
        let (found, row) = table.load(&mut *tx, id).await?;
        self.unit.uses_table(A::NAME, &id.to_string(), None, row);
        Ok(found)
    }

    fn publishers(&self) -> Arc<[Publisher]> {
        self.runtime.publishers_of(TypeId::of::<A::Event>())
    }
}

/// An aggregate as it was loaded: from its row, or folded from its events.
struct LoadedAggregate<A> {
    state: Option<A>,
    version: u64,
    /// Set when the stream ends with a deletion. A stream that creates no aggregate has no state either.
    is_deleted: bool,
    /// The number of folded events.
    events: usize,
    response: Option<StoredResponse>,
}
impl<A: Aggregate> LoadedAggregate<A> {
    /// Folds the events after a version into the state at it.
    fn from(
        id: &A::Id,
        mut state: Option<A>,
        version: u64,
        events: &[StreamEvent],
        response: Option<StoredResponse>,
    ) -> Result<Self, Fault> {
        events.iter().try_for_each(|event| apply_event(id, &mut state, event))?;
        // A snapshot without a state is that of a deletion.
        let is_deleted = events.last().map_or(version > 0 && state.is_none(), |last| last.name == mark::DELETED);
        let version = events.last().map_or(version, |last| last.version);
        Ok(LoadedAggregate { state, version, is_deleted, events: events.len(), response })
    }
}

/// Applies the next event of a stream to the state so far.
pub(crate) fn apply_event<A: Aggregate>(id: &A::Id, state: &mut Option<A>, next: &StreamEvent) -> Result<(), Fault> {
    if let Some(mark) = mark::reserved(&next.name) {
        if mark == mark::DELETED {
            *state = None;
        }
        return Ok(());
    }
    let event: A::Event = decode_stored(next.schema, &next.payload).map_err(|error| {
        let stream = stream_of(A::NAME, id);
        Fault::internal(format!("{stream} {} cannot be read", next.version)).because(error)
    })?;
    match state {
        None => *state = A::create(id.clone(), &event),
        Some(state) => state.apply(&event),
    }
    Ok(())
}

impl<A: Aggregate> fmt::Debug for Repo<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repo<{}>", A::NAME)
    }
}
