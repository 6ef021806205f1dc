//! Repo: what a handler does with aggregates of one kind. Load, decide and stage are one call, so none can be forgotten.
use crate::{
    __private::decode_stored,
    Aggregate, Context, Error, Fault, FromContext, IntoEvents, Missing, Needs,
    app::Publisher,
    app::Shared,
    batch::Entry,
    unit::{Unit, stream_of},
};
use std::{any::TypeId, fmt, marker::PhantomData, sync::Arc};

/// Aggregates of one kind, inside one command's unit of work. What is staged is committed by the bus, together.
///
/// ```no_run
/// # use cqrs_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "counter", event = Counted)]
/// # pub struct Counter { #[id] id: u64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "counted", version = 1)]
/// # pub enum Counted { Started { id: u64 }, Up }
/// # impl Evolve<Counted> for Counter {
/// #     fn create(event: &Counted) -> Option<Self> { None }
/// #     fn apply(&mut self, event: &Counted) {}
/// # }
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct CountUp { id: u64 }
///
/// #[handler]
/// async fn count_up(command: CountUp, counters: Repo<Counter>) -> Result<(), Never> {
///     counters.update(&command.id, |_| Ok(Counted::Up)).await?;
///     Ok(())
/// }
/// ```
pub struct Repo<A> {
    row: bool,
    shared: Arc<Shared>,
    unit: Unit,
    of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Repo<A> {
    /// The aggregate of this id, if there is one. Inside one unit it is always the same one, staged changes included.
    ///
    /// # Errors
    /// [`Fault`] when the database fails or what it holds cannot be read.
    pub async fn find(&self, id: &A::Id) -> Result<Option<A>, Fault> {
        Ok(self.load(&id.to_string()).await?.map(|found| A::clone(&found)))
    }

    /// The aggregate of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; faults as in [`find`](Repo::find).
    pub async fn get<E>(&self, id: &A::Id) -> Result<A, Error<E>> {
        self.find(id).await?.ok_or_else(|| Error::NotFound { kind: A::NAME, id: id.to_string() })
    }

    /// Stages a new aggregate, made by its first event. Whether the id was free is checked by the commit
    /// ([`Error::Exists`]).
    ///
    /// # Errors
    /// [`Fault`] when the first event does not create, or the unit created this id before.
    pub fn create(&self, events: impl IntoEvents<A::Event>) -> Result<A, Fault> {
        let events = events.into_events();
        let state = crate::replay::<A, A::Event>(&events)
            .ok_or_else(|| Fault::internal(format!("the first event of a {} does not create one", A::NAME)))?;
        let id = state.id().to_string();
        self.unit.created(&id, Arc::new(state.clone()), self.row)?;
        self.unit.stage(&id, Arc::new(state.clone()), events, &self.publishers())?;
        Ok(state)
    }

    /// Loads, decides and stages. Returns the state as the decision leaves it; a decision without events stages nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, what the decision refuses, faults as in [`find`](Repo::find).
    pub async fn update<D: IntoEvents<A::Event>, E>(
        &self,
        id: &A::Id,
        decide: impl FnOnce(&A) -> Result<D, E>,
    ) -> Result<A, Error<E>> {
        let key = id.to_string();
        let Some(found) = self.load(&key).await? else {
            return Err(Error::NotFound { kind: A::NAME, id: key });
        };
        let events = decide(&found).map_err(Error::Domain)?.into_events();
        let mut state = A::clone(&found);
        if !events.is_empty() {
            events.iter().for_each(|event| state.apply(event));
            self.unit.stage(&key, Arc::new(state.clone()), events, &self.publishers())?;
        }
        Ok(state)
    }

    async fn load(&self, id: &str) -> Result<Option<Arc<A>>, Fault> {
        let loaded = self.load_once(id).await;
        if loaded.as_ref().is_err_and(Fault::is_transient) {
            self.unit.meet_trouble();
        }
        loaded
    }
    async fn load_once(&self, id: &str) -> Result<Option<Arc<A>>, Fault> {
        if let Some(known) = self.unit.find::<A>(id) {
            return Ok(Some(known));
        }
        let answer = self.unit.answer_key();
        let (found, version, answered) = if self.row {
            let loaded = self.shared.storage.row(A::NAME, id, answer.as_deref()).await?;
            let state = loaded.found.state.map(|bytes| serde_json::from_slice::<A>(&bytes)).transpose()?;
            (state, loaded.found.version, loaded.answer)
        } else {
            let loaded = self.shared.storage.stream(&stream_of::<A>(id), 0, answer.as_deref()).await?;
            let version = loaded.found.last().map_or(0, |entry| entry.version);
            (fold::<A>(&loaded.found)?, version, loaded.answer)
        };
        if let Some(answer) = answered {
            self.unit.set_answered(answer);
            return Err(Fault::internal("answered already: the bus gives the first answer"));
        }
        let Some(found) = found.map(Arc::new) else { return Ok(None) };
        Ok(Some(self.unit.loaded(id, found, version, self.row)))
    }

    fn publishers(&self) -> Arc<[Publisher]> {
        self.shared.publishers_of(TypeId::of::<A::Event>())
    }
}

fn fold<A: Aggregate>(entries: &[Entry]) -> Result<Option<A>, Fault> {
    let mut state: Option<A> = None;
    for entry in entries {
        let event: A::Event = decode_stored(entry.schema, &entry.payload)
            .map_err(|e| Fault::internal(format!("{} {} cannot be read", entry.stream, entry.version)).because(e))?;
        match &mut state {
            None => state = A::create(&event),
            Some(state) => state.apply(&event),
        }
    }
    Ok(state)
}

impl<A: Aggregate> FromContext for Repo<A> {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        let keeping = context.shared.provided.get::<Keeping<A>>();
        let keeping = keeping.ok_or_else(|| Missing(format!("aggregate {}", A::NAME)))?;
        let unit = context.unit.cloned();
        let unit =
            unit.ok_or_else(|| Missing::new("a unit of work: only commands and subscribers change aggregates"))?;
        Ok(Repo { row: keeping.row, shared: context.shared.clone(), unit, of: PhantomData })
    }
    fn needs(needs: &mut Needs) {
        needs.aggregate::<Keeping<A>>(A::NAME);
    }
}
impl<A: Aggregate> fmt::Debug for Repo<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repo<{}>", A::NAME)
    }
}

/// How aggregates of one kind are kept, as the wiring chose.
pub(crate) struct Keeping<A> {
    row: bool,
    of: PhantomData<fn() -> A>,
}

/// How aggregates of a kind are kept: [`Rows`] or [`Streams`]. One line of wiring; the aggregate does not know.
pub trait Kept {
    /// Of what.
    type Aggregate: Aggregate;
    /// State rows beside the events, or events only.
    const ROW: bool;
}
pub(crate) fn keeping<K: Kept>() -> Keeping<K::Aggregate> {
    Keeping { row: K::ROW, of: PhantomData }
}

/// State-stored: one row with a version per aggregate, its events in the log. A load is one row.
#[derive(Debug)]
pub struct Rows<A>(PhantomData<fn() -> A>);
/// Event-sourced: the events are the state. A load folds the stream.
#[derive(Debug)]
pub struct Streams<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> Rows<A> {
    /// Keeps `A` as rows.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        Rows(PhantomData)
    }
}
impl<A: Aggregate> Streams<A> {
    /// Keeps `A` as streams.
    #[allow(clippy::new_without_default, reason = "a choice, not a value with a default")]
    pub fn new() -> Self {
        Streams(PhantomData)
    }
}
impl<A: Aggregate> Kept for Rows<A> {
    type Aggregate = A;
    const ROW: bool = true;
}
impl<A: Aggregate> Kept for Streams<A> {
    type Aggregate = A;
    const ROW: bool = false;
}
