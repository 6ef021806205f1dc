//! Given-when-then tests of the projections of a view, without an app.
use crate::{
    Timestamp,
    app::App,
    codec,
    consumer::project,
    error::describe,
    event::{AggregateEvent, IntegrationEvent, RawEvent, Source, stream_of},
    metadata::Metadata,
    registry::{Projection, Registered, Role},
    storage::Batch,
    view::{PAGE_LIMIT, Range, View, Views},
};
use futures_util::FutureExt;
use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    fmt::{self, Debug},
    marker::PhantomData,
    sync::Arc,
};
use uuid::Uuid;

/// Starts a test of the projections that update a view: given past events, when another event follows, then the view has
/// these values.
///
/// All projections of the view in the test program run, as they run in a service: the events are encoded and decoded, and
/// ranges of an index are found. Nothing else runs, so such a test needs no app and no runtime.
///
/// ```
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "door", event = DoorEvent)]
/// # struct Door { #[id] id: u64 }
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "door", version = 1)]
/// # enum DoorEvent { Built, Opened, Removed }
/// # impl Evolve<DoorEvent> for Door {
/// #     fn create(id: u64, _: &DoorEvent) -> Option<Self> { Some(Door { id }) }
/// #     fn apply(&mut self, _: &DoorEvent) {}
/// # }
/// use cqrs_core::{Change, Recorded, View, projection, testing::projections_of};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
/// #[view(name = "door-use", key = u64)]
/// #[index(most_used(-opened))]
/// struct DoorUse { opened: u32 }
///
/// #[projection(name = "door-use")]
/// fn door_use(event: &Recorded<DoorEvent>) -> Change<DoorUse> {
///     let id = event.aggregate_id;
///     match event.event {
///         DoorEvent::Built => DoorUse { opened: 0 }.put(id),
///         DoorEvent::Opened => DoorUse::update(id, |door| door.opened += 1),
///         DoorEvent::Removed => DoorUse::remove(id),
///     }
/// }
///
/// projections_of::<DoorUse>()
///     .given(1, DoorEvent::Built)
///     .given(2, DoorEvent::Built)
///     .when(1, DoorEvent::Opened)
///     .then(1, DoorUse { opened: 1 })
///     .then_range(DoorUse::most_used(), [DoorUse { opened: 1 }, DoorUse { opened: 0 }]);
/// projections_of::<DoorUse>().given(1, DoorEvent::Built).when(1, DoorEvent::Removed).then_none(1);
/// projections_of::<DoorUse>().when(1, DoorEvent::Opened).then_unchanged();
/// ```
///
/// # Panics
/// Panics if the program has no projection of the view.
#[track_caller]
pub fn projections_of<V: View>() -> Projections<V> {
    let mut found: BTreeMap<&str, Vec<Projection>> = BTreeMap::new();
    for Registered(registration) in inventory::iter::<Registered> {
        if let Role::Projection(projection) = &registration.role
            && (projection.view_type)() == TypeId::of::<V>()
        {
            found.entry(projection.name).or_default().push(*projection);
        }
    }
    assert!(!found.is_empty(), "this program has no projection of view {}", V::NAME);
    let app = App::builder("projections-under-test").build();
    Projections {
        app: app.unwrap_or_else(|error| panic!("{error}")),
        projections: found.into_values().collect(),
        at: Timestamp::UNIX_EPOCH,
        events: 0,
        versions: HashMap::new(),
        of: PhantomData,
    }
}

/// The projections of a view under test, after the events of the past.
#[must_use = "continue with `when`"]
pub struct Projections<V> {
    app: App,
    /// The functions of each projection.
    projections: Vec<Vec<Projection>>,
    at: Timestamp,
    /// The number of events so far.
    events: u64,
    versions: HashMap<String, u64>,
    of: PhantomData<fn() -> V>,
}
impl<V: View> Projections<V> {
    /// Sets the time of the events that follow. Default: the start of 1970.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.at = time;
        self
    }
    /// Applies an event of the past, of the aggregate with this id.
    ///
    /// # Panics
    /// Panics if no projection of the view handles the event, or if one fails.
    #[track_caller]
    pub fn given<E: AggregateEvent>(mut self, id: E::Id, event: E) -> Self {
        let raw = self.recorded(&id, &event);
        self.apply(&raw, |source| matches!(source, Source::Log(_)));
        self
    }
    /// Applies an integration event of the past.
    ///
    /// # Panics
    /// Panics if no projection of the view handles the event, or if one fails.
    #[track_caller]
    pub fn given_message<E: IntegrationEvent>(mut self, event: &E) -> Self {
        let raw = self.received(event);
        self.apply(&raw, |source| source.topic() == Some(E::TOPIC));
        self
    }
    /// Applies the event under test, of the aggregate with this id.
    ///
    /// # Panics
    /// Panics if no projection of the view handles the event, or if one fails.
    #[track_caller]
    #[must_use = "check the view with `then`, `then_none`, `then_range` or `then_unchanged`"]
    pub fn when<E: AggregateEvent>(mut self, id: E::Id, event: E) -> Projected<V> {
        let raw = self.recorded(&id, &event);
        let changed = self.apply(&raw, |source| matches!(source, Source::Log(_)));
        Projected { after: self, changed }
    }
    /// Applies the integration event under test.
    ///
    /// # Panics
    /// Panics if no projection of the view handles the event, or if one fails.
    #[track_caller]
    #[must_use = "check the view with `then`, `then_none`, `then_range` or `then_unchanged`"]
    pub fn when_message<E: IntegrationEvent>(mut self, event: &E) -> Projected<V> {
        let raw = self.received(event);
        let changed = self.apply(&raw, |source| source.topic() == Some(E::TOPIC));
        Projected { after: self, changed }
    }
    /// Returns the event as the log would have it.
    #[track_caller]
    fn recorded<E: AggregateEvent>(&mut self, id: &E::Id, event: &E) -> RawEvent {
        let stream = stream_of(E::AGGREGATE, id);
        let bytes = codec::encode(event).unwrap_or_else(|error| panic!("the event cannot be stored: {error}"));
        self.raw(stream, event.name(), E::VERSION, None, bytes)
    }
    /// Returns the event as a topic would have it.
    #[track_caller]
    fn received<E: IntegrationEvent>(&mut self, event: &E) -> RawEvent {
        let bytes = event.encode().unwrap_or_else(|error| panic!("the event cannot be encoded: {error}"));
        self.raw(event.key(), E::NAME, 1, Some(E::CONTENT_TYPE.to_owned()), bytes)
    }
    fn raw(
        &mut self,
        stream: String,
        name: &str,
        schema: u32,
        content_type: Option<String>,
        bytes: Vec<u8>,
    ) -> RawEvent {
        self.events += 1;
        let version = self.versions.entry(stream.clone()).or_default();
        *version += 1;
        let (id, version, name) = (Uuid::from_u128(self.events.into()), *version, name.to_owned());
        let metadata = Metadata::default();
        RawEvent { id, stream, version, occurred_at: self.at, metadata, name, schema, content_type, bytes }
    }
    /// Applies an event to the projections that handle it, and returns whether a value has changed.
    #[track_caller]
    fn apply(&mut self, event: &RawEvent, is_source: impl Fn(&Source) -> bool) -> bool {
        let handles = |function: &Projection| is_source(&function.source) && function.source.handles(&event.name);
        let before = self.values();
        let mut is_handled = false;
        for functions in self.projections.iter().filter(|functions| functions.iter().any(handles)) {
            is_handled = true;
            let functions: Vec<_> = functions.iter().filter(|function| handles(function)).copied().collect();
            let projected = project(&self.app.runtime, &functions, vec![event.clone()], Batch::default(), None);
            if let Err(error) = at_once(projected) {
                panic!("{}", describe(&error));
            }
        }
        assert!(is_handled, "no projection of view {} handles the event {}", V::NAME, event.name);
        before != self.values()
    }
    /// Returns all values in their stored form.
    fn values(&self) -> BTreeMap<String, Vec<u8>> {
        let all = at_once(self.app.storage().views_of_other_index_sets(V::NAME, &[], usize::MAX));
        let all = all.unwrap_or_else(|error| panic!("{}", describe(&error)));
        all.into_iter().filter_map(|stored| Some((stored.key, stored.value?))).collect()
    }
}

/// The view after the event under test.
pub struct Projected<V> {
    after: Projections<V>,
    changed: bool,
}
impl<V: View + Debug + PartialEq> Projected<V> {
    /// Checks the value under a key.
    ///
    /// # Panics
    /// Panics if there is another value, or none.
    #[track_caller]
    pub fn then(self, key: V::Key, value: V) -> Self {
        let found = at_once(self.views().find(&key)).unwrap_or_else(|error| panic!("{}", describe(&error)));
        assert_eq!(found, Some(value), "the value of view {} under {key}", V::NAME);
        self
    }
    /// Checks that there is no value under a key.
    ///
    /// # Panics
    /// Panics if there is one.
    #[track_caller]
    pub fn then_none(self, key: V::Key) -> Self {
        let found = at_once(self.views().find(&key)).unwrap_or_else(|error| panic!("{}", describe(&error)));
        assert_eq!(found, None, "the value of view {} under {key}", V::NAME);
        self
    }
    /// Checks the values in a range of an index, in its order. A range has at most a thousand values here.
    ///
    /// # Panics
    /// Panics if there are other values.
    #[track_caller]
    pub fn then_range(self, range: impl Into<Range<V>>, values: impl IntoIterator<Item = V>) -> Self {
        let found = at_once(self.views().page(range, None, PAGE_LIMIT));
        let found = found.unwrap_or_else(|error| panic!("{}", describe(&error)));
        assert_eq!(found.items, values.into_iter().collect::<Vec<_>>(), "the values in the range of view {}", V::NAME);
        self
    }
    /// Checks that the event has changed no value.
    ///
    /// # Panics
    /// Panics if it has changed one.
    #[track_caller]
    pub fn then_unchanged(self) -> Self {
        assert!(!self.changed, "the event has changed view {}", V::NAME);
        self
    }
    fn views(&self) -> Views<V> {
        Views { runtime: Arc::clone(&self.after.app.runtime), sees: None, own_commits: false, of: PhantomData }
    }
}

impl<V: View> fmt::Debug for Projections<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projections<{}> after {} events", V::NAME, self.events)
    }
}
impl<V: View> fmt::Debug for Projected<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projected<{}>", V::NAME)
    }
}

/// Returns the output of a future that waits for nothing, as those of the memory.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory answers at once")
}
