//! The repository: loading, deciding and staging are one call, so that a handler cannot forget a step.
use crate::{
    aggregate::Aggregate,
    aggregate::mapped::Table,
    aggregate::unit_of_work::UnitOfWork,
    aggregate::{Decision, IntoEvents, replay},
    error::{Error, Fault},
    event::{Entry, Publisher, decode_stored, parse_id, stream_of},
    runtime::Runtime,
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
    pub(crate) row: bool,
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
    /// # pub enum DoctorError { #[error("nobody else is on call")] #[kind(precondition)] LastOnCall }
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
    /// a command that relied on it meets a conflict if the aggregate was created meanwhile.
    ///
    /// # Errors
    /// Returns faults as [`find`](Repo::find) does.
    pub async fn read_or_none(&self, id: &A::Id) -> Result<Option<A>, Fault> {
        let found = self.load(id).await?;
        self.unit.read::<A>(&id.to_string(), self.row);
        Ok(found.map(|found| A::clone(&found)))
    }

    /// Stages a new aggregate with this id that its first event creates. The commit checks that the id is free
    /// ([`Error::Exists`]).
    ///
    /// # Errors
    /// Returns a [`Fault`] when the first event does not create an aggregate or creates one with another id, when the
    /// id's text does not parse to the same id, or when this unit of work already loaded or created this id.
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
        self.unit.created(&key, Arc::new(state.clone()), self.row)?;
        if let Some(table) = &self.table {
            self.unit.uses_table(name, &key, table.absent(&id), false);
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
            return Ok(Some(known));
        }
        let response = self.unit.response_key();
        let (found, version, stored, stored_response) = if let Some(table) = &self.table {
            let loaded = self.runtime.storage.row(A::NAME, &key, response.as_deref()).await?;
            let found = if loaded.response.is_none() { self.load_from(&**table, id).await? } else { None };
            (found, loaded.found.version, None, loaded.response)
        } else if self.row {
            let loaded = self.runtime.storage.row(A::NAME, &key, response.as_deref()).await?;
            let state = loaded.found.state.as_deref().map(serde_json::from_slice::<A>).transpose()?;
            (state, loaded.found.version, loaded.found.state, loaded.response)
        } else {
            let loaded = self.runtime.storage.stream(&stream_of(A::NAME, &key), 0, response.as_deref()).await?;
            let version = loaded.found.last().map_or(0, |entry| entry.version);
            (fold::<A>(id, &loaded.found)?, version, None, loaded.response)
        };
        if let Some(response) = stored_response {
            self.unit.set_stored_response(response);
            return Err(Fault::internal("a response is stored under this idempotency key; the bus returns it"));
        }
        let Some(found) = found.map(Arc::new) else {
            self.unit.not_found::<A>(&key, version);
            return Ok(None);
        };
        Ok(Some(self.unit.loaded(&key, found, version, self.row, stored)))
    }

    /// Loads the aggregate from its table. The transaction ends at once, so a handler holds no connection.
    async fn load_from(&self, table: &dyn Table<A>, id: &A::Id) -> Result<Option<A>, Fault> {
        let mut tx = self.runtime.storage.begin().await?;
        let (found, row) = table.load(&mut *tx, id).await?;
        self.unit.uses_table(A::NAME, &id.to_string(), row, false);
        Ok(found)
    }

    fn publishers(&self) -> Arc<[Publisher]> {
        self.runtime.publishers_of(TypeId::of::<A::Event>())
    }
}

fn fold<A: Aggregate>(id: &A::Id, entries: &[Entry]) -> Result<Option<A>, Fault> {
    let mut state: Option<A> = None;
    entries.iter().try_for_each(|entry| apply_entry(id, &mut state, entry))?;
    Ok(state)
}
/// Applies the next event of a stream to the state so far.
pub(super) fn apply_entry<A: Aggregate>(id: &A::Id, state: &mut Option<A>, entry: &Entry) -> Result<(), Fault> {
    let event: A::Event = decode_stored(entry.schema, &entry.payload)
        .map_err(|e| Fault::internal(format!("{} {} cannot be read", entry.stream, entry.version)).because(e))?;
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
