//! App: what was discovered, what is provided, where it is stored; `build` checks that it fits together.
mod background;
mod describe;
mod health;
mod lag;
mod registry;
mod running;
mod shared;

pub use background::{Background, Joined};
pub use describe::Description;
pub use health::{Health, Part, Watched};
pub use lag::Behind;
pub use registry::{
    ErasedChange, Kind, Raw, Registered, Registration, RunProjection, RunProjector, RunPublisher, RunSubscriber,
    Unhandled,
};
pub(crate) use registry::{Projection, Projector, Publisher, Role, Subscriber};
pub use running::{DRAIN, Running, With};
pub(crate) use shared::Reader;
pub use shared::Shared;

use crate::{
    Aggregate, Event, Metadata, Source,
    context::{Provided, RunsIn},
    log::Keep,
    metrics::Meter,
    middleware::Middleware,
    parking::Retries,
    repo::{Kept, keeping},
    storage::{Memory, Storage},
    transport::{InProcess, Transport},
    world::{World, machine},
};
use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

const LEASE: Duration = Duration::from_secs(10);

/// A service, put together: what its crate's attributes registered, what is provided, where it is stored.
///
/// ```
/// # use cqrs_core::{App, Never, Query, handler};
/// #[derive(Clone, Query)]
/// struct Ping;
///
/// #[handler]
/// async fn ping(_: Ping) -> cqrs_core::Result<&'static str, Never> {
///     Ok("pong")
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = App::new("pings").discover(module_path!()).build().unwrap();
/// assert_eq!(app.send(Ping).await.unwrap(), "pong");
/// # });
/// ```
pub struct App {
    service: String,
    provided: Provided,
    storage: Option<Arc<dyn Storage>>,
    transport: Option<Arc<dyn Transport>>,
    world: Arc<dyn World>,
    lease: Duration,
    retries: Retries,
    keep: Keep,
    middleware: Vec<Arc<dyn Middleware>>,
    /// By module, function and address.
    registrations: BTreeMap<(&'static str, &'static str, usize), &'static Registration>,
    aggregates: Vec<(&'static str, &'static [&'static str], bool)>,
    empty: Vec<&'static str>,
}

impl App {
    /// A service of this name, in memory, with nothing in it. The name is part of position tokens and of every published event's
    /// source.
    pub fn new(service: impl Into<String>) -> Self {
        App {
            service: service.into(),
            provided: Provided::default(),
            storage: None,
            transport: None,
            world: machine(),
            lease: LEASE,
            retries: Retries::default(),
            keep: Keep::default(),
            middleware: Vec::new(),
            registrations: BTreeMap::new(),
            aggregates: Vec::new(),
            empty: Vec::new(),
        }
    }
    /// Takes up every function with an attribute in `module` and below; usually a crate's `module_path!()`, which also makes the
    /// linker keep it.
    pub fn discover(mut self, module: &'static str) -> Self {
        let found = inventory::iter::<Registered>.into_iter().map(|it| it.0).filter(|it| it.is_in(module));
        // Functions inside functions share a module: the address tells those of one name apart.
        let mut found = found.map(|it| ((it.module, it.function, std::ptr::from_ref(it).addr()), it)).peekable();
        if found.peek().is_none() {
            self.empty.push(module);
        }
        self.registrations.extend(found);
        self
    }
    /// Keeps aggregates of one kind: [`Rows`](crate::Rows) or [`Streams`](crate::Streams).
    pub fn aggregate<K: Kept>(mut self, _: K) -> Self {
        self.aggregates.push((K::Aggregate::NAME, <K::Aggregate as Aggregate>::Event::NAMES, K::ROW));
        self.provided.insert(Arc::new(keeping::<K>()));
        self
    }
    /// Provides what handlers take as [`Dep<T>`](crate::Dep).
    pub fn provide<T: ?Sized + Send + Sync + 'static>(mut self, dep: Arc<T>) -> Self {
        self.provided.insert(dep);
        self
    }
    /// Where it is stored; in memory unless said otherwise.
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.storage = Some(Arc::new(storage));
        self
    }
    /// Over what it talks to other services; within the process unless said otherwise.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
    /// A layer around every request; the first is the outermost.
    pub fn layer(mut self, layer: impl Middleware) -> Self {
        self.middleware.push(Arc::new(layer));
        self
    }
    /// Another source of time, ids, chance and tasks: for tests and simulations.
    pub fn world(mut self, world: Arc<dyn World>) -> Self {
        self.world = world;
        self
    }
    /// How often a message is tried before it is parked.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }
    /// How long answers, marks and what others were told are kept.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }
    /// How long a relay may be silent before another process takes its lanes: 10 s unless said otherwise. Shorter is found sooner
    /// dead, and sooner taken for dead.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Checks that everything fits together.
    ///
    /// # Errors
    /// [`BuildError`] lists everything that does not, in the reader's words.
    pub fn build(self) -> Result<Running, BuildError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(BuildError { service: self.service, problems });
        }
        let registrations: Vec<_> = self.registrations.into_values().collect();
        let mut discovered = Vec::new();
        for slot in registrations.iter().map(|it| it.take_slot() as usize) {
            discovered.resize(discovered.len().max(slot / 64 + 1), 0u64);
            discovered[slot / 64] |= 1 << (slot % 64);
        }
        let mut publishers: HashMap<TypeId, Vec<Publisher>> = HashMap::new();
        let mut readers = Vec::new();
        for registration in &registrations {
            match &registration.role {
                Role::Publisher(it) => publishers.entry((it.event)()).or_default().push(*it),
                Role::Projection(it) if matches!(it.source, Source::Log(_)) => {
                    readers.push((it.view, Arc::new(Reader::new(crate::projection::reader(it.name)))));
                }
                _ => (),
            }
        }
        let world = self.world;
        Ok(Running::new(
            Shared {
                meter: Meter::new(&self.service),
                service: self.service,
                provided: self.provided,
                storage: self.storage.unwrap_or_else(|| Arc::new(Memory::with(world.clone()))),
                transport: self.transport.unwrap_or_else(|| Arc::new(InProcess::new())),
                world,
                lease: self.lease,
                retries: self.retries,
                keep: self.keep,
                middleware: self.middleware,
                discovered,
                registrations,
                publishers: publishers.into_iter().map(|(event, all)| (event, all.into())).collect(),
                readers,
                nobody: Arc::new(Metadata::NONE),
                silent: Arc::new([]),
                last: Default::default(),
                broker: Default::default(),
            },
            self.aggregates,
        ))
    }

    fn problems(&self) -> Vec<String> {
        let all = || self.registrations.values();
        let mut problems: Vec<String> =
            self.empty.iter().map(|module| format!("nothing with an attribute stands in `{module}`")).collect();
        let views: Vec<_> =
            all().filter_map(|it| if let Role::Projection(p) = &it.role { Some(p.view) } else { None }).collect();
        for registration in all() {
            let (who, runs_in) = match &registration.role {
                Role::Handler { request, kind: Kind::Command, .. } => (*request, RunsIn::Unit),
                Role::Handler { request, kind: Kind::Query, .. } => (*request, RunsIn::Nothing),
                Role::Subscriber(_) => (registration.function, RunsIn::Message),
                _ => (registration.function, RunsIn::Nothing),
            };
            let unmet = registration.needs().unmet(&self.provided, &views, runs_in);
            problems.extend(unmet.into_iter().map(|need| format!("{who} needs {need}")));
        }
        let names = all().filter_map(|it| match &it.role {
            Role::Projection(p) => Some(p.name),
            Role::Projector(p) => Some(p.name),
            _ => None,
        });
        problems.extend(twice(names).map(|name| format!("two projections are named `{name}`")));
        let heard =
            all().filter_map(|it| if let Role::Subscriber(s) = &it.role { Some((s.group, s.source)) } else { None });
        let heard = heard.flat_map(|(group, source)| match source {
            Source::Log(names) => names.iter().map(|name| (group, *name)).collect(),
            Source::Topic { name, .. } => vec![(group, name)],
        });
        problems.extend(twice(heard).map(|(group, name)| format!("group `{group}` hears `{name}` twice")));
        problems.extend(self.shared_groups());
        problems.extend(
            twice(self.aggregates.iter().map(|it| it.0)).map(|name| format!("aggregate `{name}` is kept twice")),
        );
        problems
    }
    /// A projection on a topic has a group of its own: a subscriber in it would take half of its records.
    fn shared_groups(&self) -> Vec<String> {
        let groups: BTreeSet<_> = self
            .registrations
            .values()
            .filter_map(|it| if let Role::Subscriber(s) = &it.role { Some(s.group) } else { None })
            .collect();
        let on_topic = self.registrations.values().filter_map(|it| match &it.role {
            Role::Projection(p) => Some((p.name, p.source)),
            Role::Projector(p) => Some((p.name, p.source)),
            _ => None,
        });
        let on_topic = on_topic.filter(|(_, source)| matches!(source, Source::Topic { .. }));
        let group = |name: &str| format!("{}.{name}", self.service);
        let shared = on_topic.filter(|(name, _)| groups.contains(&*group(name)));
        shared.map(|(name, _)| format!("group `{}` is also the group of projection `{name}`", group(name))).collect()
    }
}

fn twice<T: Ord + Copy>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    all.filter(move |it| !seen.insert(*it)).collect::<BTreeSet<_>>().into_iter()
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Why an app cannot be built: everything at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The service.
    pub service: String,
    /// Each problem, in a sentence.
    pub problems: Vec<String>,
}
impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be built:", self.service)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}
impl std::error::Error for BuildError {}
