//! The builder of an app: collects its registrations and dependencies, and checks that they are complete.
#[cfg(feature = "calendar")]
use crate::app::recurring::Recurring;
use crate::{
    aggregate::{Aggregate, Persistence, UntypedReader, persisted, reserved},
    app::{App, Erasure, personal::ErasureParts, processes},
    codec,
    consumer::Inline,
    context::RunsIn,
    dependencies::Provided,
    environment::{Environment, system},
    error::BoxError,
    event::{Event, FirstEvent, Publisher, SEPARATOR, Source},
    limit::{Limit, Limits, Parts},
    message::RequestKind,
    metadata::Metadata,
    middleware::Middleware,
    personal::{KeyPlace, KeyedHashes, PersonalData, PersonalIndexes, SealedStorage, SubjectKeys},
    policy::{ByteBudget, Retention, RetryPolicy},
    registry::{
        AggregateRegistration, Projection, Projector, Registered, Registration, Role, Subscriber, group_reader, reader,
    },
    runtime::{CopiedProjection, InlineProjections, PersonalRuntime, QuerySide, ReaderProgress, Runtime, ViewChanges},
    storage::{COPY_SEPARATOR, Memory, Storage, ViewStore},
    telemetry::metrics::Meter,
    transport::{Decoder, Decoders, ForeignMessage, InProcess, Received, TopicStates, Transport},
};
use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

const LEASE: Duration = Duration::from_secs(10);

/// The largest number of connections with which live queries read their answers again, so that commands have the others.
const LIVE_READS: usize = 4;

/// A builder of an [`App`]: collects the discovered functions, the dependencies, the storage and the transport.
///
/// ```
/// # use cqrs_core::{App, HandlerResult, Query, handler};
/// #[derive(Clone, Query)]
/// struct Ping;
///
/// #[handler]
/// async fn ping(_: Ping) -> HandlerResult<&'static str> {
///     Ok("pong")
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = App::builder("pings").discover(module_path!()).build().unwrap();
/// assert_eq!(app.send(Ping).await.unwrap(), "pong");
/// # });
/// ```
#[must_use = "an app exists only after `build`"]
pub struct AppBuilder {
    service: String,
    provided: Provided,
    storage: Option<Arc<dyn Storage>>,
    view_store: Option<Arc<dyn ViewStore>>,
    transport: Option<Arc<dyn Transport>>,
    decoders: Vec<(String, Decoder)>,
    environment: Arc<dyn Environment>,
    lease: Duration,
    retry_policy: RetryPolicy,
    retention: Retention,
    byte_budget: ByteBudget,
    personal: Option<PersonalData>,
    middleware: Vec<Arc<dyn Middleware>>,
    /// Keyed by module, function and address.
    registrations: BTreeMap<(&'static str, &'static str, usize), &'static Registration>,
    aggregates: Vec<AggregateRegistration>,
    limits: Vec<Limit>,
    #[cfg(feature = "calendar")]
    recurring: Vec<Recurring>,
    empty: Vec<&'static str>,
    /// The modules whose crates must have no function that is left out.
    whole: Vec<&'static str>,
}

impl AppBuilder {
    /// Creates a builder for a service of this name, with storage and transport in memory. The name is part of
    /// consistency tokens and of the source of every published event.
    pub fn new(service: impl Into<String>) -> Self {
        AppBuilder {
            service: service.into(),
            provided: Provided::default(),
            storage: None,
            view_store: None,
            transport: None,
            decoders: Vec::new(),
            environment: system(),
            lease: LEASE,
            retry_policy: RetryPolicy::default(),
            retention: Retention::default(),
            byte_budget: ByteBudget::default(),
            personal: None,
            middleware: Vec::new(),
            registrations: BTreeMap::new(),
            aggregates: Vec::new(),
            limits: Vec::new(),
            #[cfg(feature = "calendar")]
            recurring: Vec::new(),
            empty: Vec::new(),
            whole: Vec::new(),
        }
    }
    /// Registers every function with a cqrs attribute in `module` and its submodules.
    ///
    /// Pass the crate's `module_path!()`, which also makes the linker keep the crate. [`build`](AppBuilder::build)
    /// reports each function of the same crate that no call has discovered. If it is left out on purpose, call
    /// [`discover_part`](AppBuilder::discover_part) instead.
    pub fn discover(mut self, module: &'static str) -> Self {
        self.whole.push(module);
        self.discover_part(module)
    }
    /// Registers every function with a cqrs attribute in `module` and its submodules, and allows that the crate has
    /// others: those of another app, or of another test.
    ///
    /// ```
    /// # use cqrs_core::App;
    /// mod orders {
    ///     # use cqrs_core::{HandlerResult, Query, handler};
    ///     # #[derive(Clone, Query)] pub struct CountOrders;
    ///     # #[handler] async fn count_orders(_: CountOrders) -> HandlerResult<u64> { Ok(0) }
    ///     pub const MODULE: &str = module_path!();
    /// }
    /// mod invoices {
    ///     # use cqrs_core::{HandlerResult, Query, handler};
    ///     # #[derive(Clone, Query)] pub struct CountInvoices;
    ///     # #[handler] async fn count_invoices(_: CountInvoices) -> HandlerResult<u64> { Ok(0) }
    ///     pub const MODULE: &str = module_path!();
    /// }
    /// let orders = App::builder("orders").discover_part(orders::MODULE).build().unwrap();
    /// let invoices = App::builder("invoices").discover_part(invoices::MODULE).build().unwrap();
    /// # drop((orders, invoices));
    /// ```
    pub fn discover_part(mut self, module: &'static str) -> Self {
        let found = registered().filter(|registration| registration.is_in(module));
        // Functions inside functions share a module, so the address distinguishes those with the same name.
        let key = |entry: &'static Registration| (entry.module, entry.function, std::ptr::from_ref(entry).addr());
        let mut found = found.map(|registration| (key(registration), registration)).peekable();
        if found.peek().is_none() {
            self.empty.push(module);
        }
        self.registrations.extend(found);
        self
    }
    /// Registers an aggregate with its persistence: [`StateStored`](crate::StateStored),
    /// [`EventSourced`](crate::EventSourced) or [`Mapped`](crate::Mapped).
    pub fn aggregate<K: Persistence>(mut self, persistence: K) -> Self {
        let snapshot_every = persistence.options().snapshot_every;
        let persisted = persisted(persistence);
        self.aggregates.push(AggregateRegistration {
            name: K::Aggregate::NAME,
            events: <K::Aggregate as Aggregate>::Event::NAMES,
            version: <K::Aggregate as Aggregate>::Event::VERSION,
            is_state_stored: K::ROW && persisted.table.is_none(),
            is_mapped: persisted.table.is_some(),
            snapshot_every,
            unique: K::Aggregate::UNIQUE,
            personal_unique: K::Aggregate::PERSONAL_UNIQUE,
            has_personal_state: !K::Aggregate::PERSONAL.is_empty(),
            has_personal_events: !<K::Aggregate as Aggregate>::Event::PERSONAL.is_empty(),
            untyped: UntypedReader::of::<K::Aggregate>(),
            event_form: || {
                let form = <K::Aggregate as Aggregate>::Event::stored_form();
                form.checked::<<K::Aggregate as Aggregate>::Event>()
            },
            state_form: || K::Aggregate::stored_form().checked::<K::Aggregate>(),
        });
        self.provided.insert(Arc::new(persisted));
        self
    }
    /// Provides a dependency, which handlers take as [`Dep<T>`](crate::Dep).
    pub fn provide<T: ?Sized + Send + Sync + 'static>(mut self, dep: Arc<T>) -> Self {
        self.provided.insert(dep);
        self
    }
    /// Sets the storage. Default: in memory.
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.storage = Some(Arc::new(storage));
        self
    }
    /// Makes this app the query side of the service: it serves queries from the views in this store and refuses commands.
    ///
    /// Its projections read the log in the service's database ([`storage`](AppBuilder::storage)), which the query side does not
    /// change. Several processes may share a store. Queries are answered while the database is down, and commands are refused
    /// with [`ErrorKind::Precondition`](crate::ErrorKind::Precondition). It has no subscribers, no projectors and no views that a
    /// projection on a topic fills.
    ///
    /// A read with a consistency token waits as on the service itself. A view that is being filled, or that its store has lost, is
    /// unavailable until it has reached the end that the log had.
    ///
    /// ```
    /// use cqrs_core::{App, storage::Memory};
    ///
    /// let database = Memory::new();
    /// let service = || App::builder("shop").storage(database.clone());
    /// let commands = service().build().unwrap();
    /// let queries = service().query_side(Memory::new()).build().unwrap();
    /// ```
    pub fn query_side(mut self, store: impl ViewStore) -> Self {
        self.view_store = Some(Arc::new(store));
        self
    }
    /// Sets the transport between services. Default: in process.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
    /// Sets the decoder of a topic whose records another producer writes, in a form of its own.
    ///
    /// The decoder returns the message of a record, or `None` for a record that this app skips. A record for which it
    /// returns an error is parked unchanged, and a redelivery decodes it again. The decoder is called several times for
    /// one record, so it has to be fast and to return the same each time. The app does not create the topic.
    ///
    /// ```
    /// use cqrs_core::{App, BoxError, IntegrationEvent, Recorded, subscriber, transport::ForeignMessage};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    /// #[integration_event(name = "legacy.order.placed", topic = "legacy.orders", key = order)]
    /// struct LegacyOrder { order: String }
    ///
    /// #[subscriber(group = "shipping.legacy-orders")]
    /// async fn ship(order: Recorded<LegacyOrder>) -> Result<(), BoxError> {
    ///     println!("{} was placed at {}", order.order, order.occurred_at);
    ///     Ok(())
    /// }
    ///
    /// let app = App::builder("shipping").discover(module_path!()).foreign_topic("legacy.orders", |record| {
    ///     let order: LegacyOrder = serde_json::from_slice(record.body.as_deref().unwrap_or_default())?;
    ///     Ok(Some(ForeignMessage::new(&order)?))
    /// });
    /// assert!(app.build().is_ok());
    /// ```
    pub fn foreign_topic(
        mut self,
        topic: impl Into<String>,
        decoder: impl Fn(&Received) -> Result<Option<ForeignMessage>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.decoders.push((topic.into(), Box::new(decoder)));
        self
    }
    /// Adds a layer around every request. The first layer is the outermost.
    pub fn layer(mut self, layer: impl Middleware) -> Self {
        self.middleware.push(Arc::new(layer));
        self
    }
    /// Sets the source of time, ids, random numbers and tasks, for tests and simulations. Default: the system.
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }
    /// Sets the number of attempts before a message is parked, and the waits between them.
    pub fn retry_policy(mut self, retry_policy: RetryPolicy) -> Self {
        self.retry_policy = retry_policy;
        self
    }
    /// Sets the retention of stored responses, inbox records and outgoing messages.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }
    /// Declares the limit of a resource or of a consumer group, which holds over all replicas. It replaces the number
    /// that the attributes of functions give (`limit = "llm", 8`).
    ///
    /// ```
    /// use cqrs_core::{App, Limit};
    /// use std::time::Duration;
    ///
    /// let mail = Limit::new("mail").concurrency(4).rate(100, Duration::from_secs(60));
    /// assert!(App::builder("shop").limit(mail).build().is_ok());
    /// ```
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }
    /// Sets how many bytes of the log and of outgoing messages this process holds at once.
    pub fn byte_budget(mut self, byte_budget: ByteBudget) -> Self {
        self.byte_budget = byte_budget;
        self
    }
    /// Encrypts the values of fields with `#[personal]` with a key of their subject, so that a subject can be forgotten
    /// ([`App::forget`]). Default: no personal data, at no cost.
    ///
    /// Handlers and subscribers can take `Dep<Erasure>` ([`Erasure`](crate::app::Erasure)) and `Dep<KeyedHashes>`
    /// ([`KeyedHashes`](crate::personal::KeyedHashes)).
    pub fn personal_data(mut self, personal: PersonalData) -> Self {
        self.provided.insert(Arc::new(Erasure::default()));
        self.provided.insert(Arc::new(KeyedHashes::default()));
        self.personal = Some(personal);
        self
    }
    /// Sets the lease of the relay and of the subscribers to the service's own log: the time after which another process
    /// takes over from a silent one. Default: 10 s.
    ///
    /// A shorter lease fails over sooner, and more often by mistake.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Adds a command that is sent by the calendar.
    #[cfg(feature = "calendar")]
    pub(super) fn with_recurring(mut self, recurring: Recurring) -> Self {
        self.recurring.push(recurring);
        self
    }

    /// Builds the app.
    ///
    /// # Errors
    /// Fails with a [`BuildError`] that lists every problem: missing dependencies, duplicate names, modules without
    /// functions, functions that were not discovered.
    pub fn build(self) -> Result<App, BuildError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(BuildError { service: self.service, problems });
        }
        let limits = self.all_limits();
        let mut registrations: Vec<_> = self.registrations.into_values().collect();
        let mut discovered = Vec::new();
        for slot in registrations.iter().map(|registration| registration.take_slot() as usize) {
            discovered.resize(discovered.len().max(slot / 64 + 1), 0u64);
            discovered[slot / 64] |= 1 << (slot % 64);
        }
        let query_side = self.view_store.map(|store| {
            let projections = query_side_registrations(&mut registrations);
            QuerySide::new(store, &self.service, &projections)
        });
        let mut publishers: HashMap<TypeId, Vec<Publisher>> = HashMap::new();
        let view_changes = view_changes(&registrations);
        let mut readers = Vec::new();
        let mut projections: BTreeMap<&str, (&'static str, Vec<Source>)> = BTreeMap::new();
        let mut inline: BTreeMap<&'static str, Vec<Projection>> = BTreeMap::new();
        for registration in &registrations {
            match &registration.role {
                Role::Publisher(publisher) => publishers.entry((publisher.event)()).or_default().push(*publisher),
                Role::Projection(projection @ Projection { name, view, source: source @ Source::Log(_), .. }) => {
                    // The query side writes nothing to the database of the commands, so its projections follow the log.
                    if projection.is_inline && query_side.is_none() {
                        inline.entry(*name).or_default().push(*projection);
                    }
                    projections.entry(*name).or_insert_with(|| (*view, Vec::new())).1.push(*source);
                }
                Role::Projector(Projector { name, source: Source::Log(_), .. }) => {
                    readers.push(Arc::new(ReaderProgress::new(reader(name))));
                }
                Role::Subscriber(Subscriber { group, source: Source::Log(_), .. }) => {
                    let name = group_reader(group);
                    if readers.iter().all(|reader| reader.name != name) {
                        readers.push(Arc::new(ReaderProgress::new(name)));
                    }
                }
                _ => (),
            }
        }
        let projection = |(name, view): (&str, (&'static str, Vec<Source>))| {
            let changes = view_changes[view.0].clone();
            Arc::new(ReaderProgress::of_view(reader(name), view, changes).inline(inline.contains_key(name)))
        };
        readers.extend(projections.into_iter().map(projection));
        let (environment, topics) = (self.environment, Arc::<TopicStates>::default());
        let storage = self.storage.unwrap_or_else(|| Arc::new(Memory::with(environment.clone())));
        let indexes = self
            .aggregates
            .iter()
            .flat_map(|aggregate| aggregate.personal_unique.iter().map(|field| format!("{}.{field}", aggregate.name)));
        let indexes = PersonalIndexes(indexes.collect());
        let personal = self.personal.and_then(|personal| {
            let (keys, is_own_storage) = match personal.keys {
                KeyPlace::Shared(keys) => (keys, false),
                KeyPlace::OwnStorage => (storage.key_store()?, true),
            };
            let keys = Arc::new(SubjectKeys::new(keys, personal.masters, environment.clone()));
            codec::use_marks();
            if let Some(hashes) = self.provided.get::<KeyedHashes>() {
                hashes.bind(keys.clone());
            }
            Some(PersonalRuntime { keys, raw: storage.clone(), is_own_storage, publishes: personal.publishes })
        });
        let storage = match &personal {
            Some(personal) => Arc::new(SealedStorage::new(storage, personal.keys.clone(), indexes)) as Arc<dyn Storage>,
            None => storage,
        };
        let erasure = self.provided.get::<Erasure>().cloned();
        let meter = Meter::new(&self.service);
        let parts = Parts {
            storage: storage.clone(),
            environment: environment.clone(),
            meter: meter.clone(),
            lease: self.lease,
        };
        let app = App::new(
            Runtime {
                meter,
                service: self.service,
                provided: self.provided,
                storage,
                transport: self.transport.unwrap_or_else(|| Arc::new(InProcess::new())),
                decoders: Decoders::new(self.decoders, topics.clone()),
                topics,
                environment,
                lease: self.lease,
                retry_policy: self.retry_policy,
                retention: self.retention,
                byte_budget: self.byte_budget,
                running_relays: Default::default(),
                middleware: self.middleware,
                discovered,
                publishers: publishers.into_iter().map(|(event, all)| (event, all.into())).collect(),
                inline: (!inline.is_empty())
                    .then(|| Arc::new(Inline(inline.into_iter().collect())) as Arc<dyn InlineProjections>),
                readers,
                no_metadata: Arc::new(Metadata::NONE),
                no_publishers: Arc::new([]),
                broker: Default::default(),
                jobs: Default::default(),
                breakers: Default::default(),
                limits: Limits::new(limits, parts),
                recent_log: Default::default(),
                event_versions: self
                    .aggregates
                    .iter()
                    .flat_map(|aggregate| aggregate.events.iter().map(|name| (*name, aggregate.version)))
                    .collect(),
                newer_programs: Default::default(),
                reserving: Default::default(),
                copies: Default::default(),
                turns: Default::default(),
                alone: Default::default(),
                epoch: Default::default(),
                view_changes,
                #[cfg(feature = "calendar")]
                recurring: self.recurring.into_iter().filter_map(Recurring::named).collect(),
                #[cfg(not(feature = "calendar"))]
                recurring: Vec::new(),
                timers_set: Default::default(),
                stopping: Default::default(),
                live_reads: Semaphore::new(LIVE_READS),
                query_side,
                personal,
            },
            registrations,
            self.aggregates,
        );
        if let Some(erasure) = erasure {
            erasure.bind(ErasureParts {
                runtime: Arc::downgrade(&app.runtime),
                registrations: app.registrations.clone(),
                aggregates: app.aggregates.clone(),
            });
        }
        Ok(app)
    }

    fn problems(&self) -> Vec<String> {
        let all = || self.registrations.values();
        let empty = |module: &&str| format!("module `{module}` has no function with a cqrs attribute");
        let mut problems: Vec<String> = self.empty.iter().map(empty).collect();
        problems.extend(self.left_out());
        let reserving = self.aggregates.iter().filter(|aggregate| aggregate.is_mapped && !aggregate.unique.is_empty());
        problems.extend(reserving.map(|aggregate| {
            let (name, fields) = (aggregate.name, aggregate.unique.join(", "));
            format!(
                "aggregate `{name}` is in a table of its own, where other software reserves no values: replace `#[unique]` on \
                 {fields} by a unique index of the table"
            )
        }));
        let views: Vec<_> =
            all().filter_map(|entry| if let Role::Projection(p) = &entry.role { Some(p.view) } else { None }).collect();
        for registration in all() {
            let (name, runs_in) = match &registration.role {
                Role::Handler { request, kind: RequestKind::Command, .. } => (*request, RunsIn::UnitOfWork),
                Role::Handler { request, kind: RequestKind::Query, .. } => (*request, RunsIn::Nothing),
                Role::Subscriber(_) => (registration.function, RunsIn::Message),
                _ => (registration.function, RunsIn::Nothing),
            };
            let unmet = registration.needs().unmet(&self.provided, &views, runs_in);
            problems.extend(unmet.into_iter().map(|need| format!("{name} needs {need}")));
        }
        problems.extend(self.unfit_projections());
        problems.extend(processes::problems(&self.registrations.values().copied().collect::<Vec<_>>()));
        #[cfg(feature = "calendar")]
        problems.extend(self.recurring.iter().filter_map(|recurring| {
            recurring.problem(|handler| all().any(|registration| std::ptr::eq(*registration, handler)))
        }));
        problems.extend(self.shared_names());
        let sources = all().filter_map(|entry| match &entry.role {
            Role::Subscriber(subscriber) => Some((subscriber.group, subscriber.source)),
            _ => None,
        });
        let handled = sources.flat_map(|(group, source)| match source {
            Source::Log(names) => names.iter().map(|name| (group, *name)).collect(),
            Source::Topic { name, .. } => vec![(group, name)],
        });
        let handled = duplicates(handled);
        problems.extend(handled.map(|(group, name)| format!("group `{group}` has two subscribers for `{name}`")));
        problems.extend(self.different_first_events());
        problems.extend(self.shared_groups());
        problems.extend(self.unfit_limits());
        problems.extend(self.unused_decoders());
        problems.extend(self.unkept_personal_data());
        let never = self.aggregates.iter().filter(|aggregate| aggregate.snapshot_every == Some(0));
        let never = never.map(|aggregate| {
            format!("aggregate `{}` has a snapshot every 0 events: give a number of at least 1", aggregate.name)
        });
        problems.extend(never);
        problems.extend(
            duplicates(self.aggregates.iter().map(|aggregate| aggregate.name))
                .map(|name| format!("aggregate `{name}` is registered twice")),
        );
        problems
    }
    /// Finds personal fields whose values would be stored readable.
    fn unkept_personal_data(&self) -> Vec<String> {
        let roles = || self.registrations.values().map(|registration| &registration.role);
        let views = roles().filter_map(|role| match role {
            Role::Projection(projection) if projection.is_personal => Some(format!("view `{}`", projection.view)),
            _ => None,
        });
        let views: BTreeSet<_> = views.collect();
        let mut problems = Vec::new();
        if self.view_store.is_some() {
            problems.extend(views.iter().map(|view| {
                format!(
                    "{view} has personal fields, which the store of a query side cannot encrypt: serve it from the \
                     service"
                )
            }));
        }
        let mapped = self.aggregates.iter().filter(|aggregate| aggregate.is_mapped && aggregate.has_personal_state);
        problems.extend(mapped.map(|aggregate| {
            format!(
                "aggregate `{}` is in a table of its own, whose personal fields the framework cannot encrypt: remove \
                 `#[personal]` from its state",
                aggregate.name
            )
        }));
        if self.personal.is_none() {
            let messages = roles().filter_map(|role| match role {
                Role::Publisher(publisher) if publisher.is_personal => {
                    Some(format!("integration event `{}`", publisher.contract))
                }
                _ => None,
            });
            let aggregates = self.aggregates.iter().filter(|of| of.has_personal_state || of.has_personal_events);
            let commands = roles().filter_map(|role| match role {
                Role::Handler { request, is_personal: true, .. } => Some(format!("command `{request}`")),
                _ => None,
            });
            let all = views.into_iter().chain(messages).chain(commands).chain(self.personal_processes());
            let needed = self.registrations.values().map(|registration| registration.needs());
            let remote = needed.flat_map(|needs| needs.personal_commands().collect::<Vec<_>>());
            let all = all.chain(remote.map(|name| format!("remote command `{name}`")));
            let all: BTreeSet<_> = all.chain(aggregates.map(|of| format!("aggregate `{}`", of.name))).collect();
            problems.extend(all.into_iter().map(|what| {
                format!("{what} has personal fields, and there are no keys for them: call `.personal_data(...)`")
            }));
        } else if let (Some(PersonalData { keys: KeyPlace::OwnStorage, .. }), Some(storage)) =
            (&self.personal, &self.storage)
            && storage.key_store().is_none()
        {
            problems
                .push("the storage has no place for the keys of subjects: call `PersonalData::with_keys`".to_owned());
        }
        problems
    }
    /// Returns the processes whose states, or whose commands to other services, have personal fields.
    fn personal_processes(&self) -> impl Iterator<Item = String> {
        let roles = self.registrations.values().map(|registration| &registration.role);
        let functions = roles.filter_map(|role| match role {
            Role::Subscriber(subscriber) => subscriber.process,
            _ => None,
        });
        functions.map(|function| (function.definition)()).filter_map(|process| {
            let is_personal = process.is_personal || process.remote_steps.iter().any(|step| step.is_personal);
            is_personal.then(|| format!("process `{}`", process.name))
        })
    }
    /// Finds the functions that were not discovered although another part of their crate was.
    fn left_out(&self) -> impl Iterator<Item = String> {
        let discovered: BTreeSet<_> = self.registrations.values().map(|entry| std::ptr::from_ref(*entry)).collect();
        let left_out: BTreeSet<_> = registered()
            .filter(|entry| self.whole.iter().any(|module| entry.is_in_crate_of(module)))
            .filter(|entry| !discovered.contains(&std::ptr::from_ref(*entry)))
            .map(|entry| (entry.location.file(), entry.location.line(), entry.module, entry.function))
            .collect();
        left_out.into_iter().map(|(file, line, module, function)| {
            format!(
                "`{module}::{function}` ({file}:{line}) is not discovered: call `.discover(...)` with the \
                 `module_path!()` of the crate's root, or `.discover_part(...)` to leave out others on purpose"
            )
        })
    }
    /// Finds names under which data of two types would be stored, and names of aggregates that a stream cannot hold.
    fn shared_names(&self) -> Vec<String> {
        let roles = || self.registrations.values().map(|entry| &entry.role);
        let commands = roles().filter_map(|role| match role {
            Role::Handler { request, kind: RequestKind::Command, .. } => Some(*request),
            _ => None,
        });
        let commands = duplicates(commands).map(|name| {
            format!(
                "two commands are named `{name}` and would share their idempotency keys: rename one of the types, or \
                 write `#[command(name = \"...\")]`"
            )
        });
        let views = roles().filter_map(|role| match role {
            Role::Projection(projection) => Some((projection.view, (projection.view_type)())),
            _ => None,
        });
        let views: BTreeSet<_> = views.collect();
        let names: BTreeSet<_> =
            views.iter().map(|(name, _)| *name).filter(|name| name.contains(COPY_SEPARATOR)).collect();
        let copies = names.into_iter().map(|name| format!("the name of view `{name}` contains `{COPY_SEPARATOR}`"));
        let views = duplicates(views.into_iter().map(|(name, _)| name));
        let views = views.map(|name| format!("two views have the stored name `{name}`")).chain(copies);
        // Registering an aggregate twice is a problem of its own.
        let aggregates: BTreeMap<_, _> =
            self.aggregates.iter().map(|aggregate| (aggregate.name, aggregate.events)).collect();
        let events = duplicates(aggregates.values().flat_map(|events| events.iter().copied()));
        let events = events.map(|name| format!("two aggregates have an event with the stored name `{name}`"));
        let unfit = aggregates.keys().filter(|name| name.is_empty() || name.contains(SEPARATOR));
        let unfit = unfit.map(|name| format!("the name of aggregate `{name}` is empty or contains `{SEPARATOR}`"));
        let marks = aggregates
            .iter()
            .filter_map(|(name, events)| Some((name, events.iter().find_map(|event| reserved(event))?)));
        let marks = marks.map(|(name, mark)| {
            format!("aggregate `{name}` has an event named `{mark}`, which the framework writes itself")
        });
        commands.chain(views).chain(events).chain(unfit).chain(marks).collect()
    }
    /// Finds foreign topics with two decoders, and those that no function handles: their name may be misspelt.
    fn unused_decoders(&self) -> Vec<String> {
        let sources = self.registrations.values().filter_map(|entry| match &entry.role {
            Role::Subscriber(subscriber) => Some(subscriber.source),
            Role::Projection(projection) => Some(projection.source),
            Role::Projector(projector) => Some(projector.source),
            Role::Handler { .. } | Role::Publisher(_) => None,
        });
        let topics =
            sources.filter_map(|source| if let Source::Topic { topic, .. } = source { Some(topic) } else { None });
        let topics: BTreeSet<&str> = topics.collect();
        let foreign = || self.decoders.iter().map(|(topic, _)| topic.as_str());
        let unused = foreign().filter(|topic| !topics.contains(topic)).collect::<BTreeSet<_>>().into_iter();
        let unused = unused.map(|topic| format!("no subscriber or projection handles the foreign topic `{topic}`"));
        unused.chain(duplicates(foreign()).map(|topic| format!("topic `{topic}` has two decoders"))).collect()
    }
    /// Finds functions with one projection name that cannot be one projection: they change different views, read different
    /// sources, begin at different events, or handle the same event.
    fn unfit_projections(&self) -> Vec<String> {
        let roles = || self.registrations.values().map(|registration| &registration.role);
        let projectors = roles().filter_map(|role| if let Role::Projector(p) = role { Some(p.name) } else { None });
        let mut functions: BTreeMap<&str, Vec<Projection>> = BTreeMap::new();
        for role in roles() {
            if let Role::Projection(projection) = role {
                functions.entry(projection.name).or_default().push(*projection);
            }
        }
        let names: Vec<_> = functions.keys().copied().chain(projectors).collect();
        let mut problems: Vec<_> =
            duplicates(names.into_iter()).map(|name| format!("two projections are named `{name}`")).collect();
        let mut inline = Vec::new();
        for (name, functions) in functions {
            let differ = |differ: fn(&Projection, &Projection) -> bool| {
                functions.windows(2).any(|pair| differ(&pair[0], &pair[1]))
            };
            let events = functions.iter().flat_map(|function| function.source.names()).copied();
            if differ(|a, b| a.view != b.view) {
                problems.push(format!("two projections are named `{name}`, of different views"));
            } else if differ(|a, b| a.source.topic() != b.source.topic()) {
                problems.push(format!(
                    "the functions of projection `{name}` read different sources, each of which has a checkpoint of its \
                     own: give those on a topic another name"
                ));
            } else if differ(|a, b| a.from != b.from) {
                problems.push(format!(
                    "the functions of projection `{name}` share one checkpoint: write the same `from` in each, or give \
                     one of them another name"
                ));
            }
            if differ(|a, b| a.is_inline != b.is_inline) {
                problems.push(format!(
                    "the functions of projection `{name}` share one view and one order: write `inline` in each, or in none"
                ));
            }
            if let Some(Projection { view, is_inline: true, .. }) = functions.first() {
                inline.push(*view);
            }
            let twice = duplicates(events);
            problems
                .extend(twice.map(|event| format!("two functions of projection `{name}` handle the event `{event}`")));
        }
        let inline = duplicates(inline.into_iter());
        problems.extend(inline.map(|view| {
            format!("view `{view}` has two inline projections: give their functions one name, so that they are one projection")
        }));
        problems
    }
    /// Returns the limits that the app or the attributes of its functions declare.
    fn all_limits(&self) -> Vec<Limit> {
        let mut limits = self.limits.clone();
        for used in self.registrations.values().filter_map(|registration| registration.limit) {
            if let Some(permits) = used.concurrency
                && limits.iter().all(|limit| limit.name() != used.name)
            {
                limits.push(Limit::new(used.name).concurrency(permits));
            }
        }
        limits
    }
    /// Finds limits that are used and not declared, declared twice or in two ways, or that mean nothing.
    fn unfit_limits(&self) -> Vec<String> {
        let limits = self.all_limits();
        let mut problems: Vec<_> = limits.iter().filter_map(Limit::problem).collect();
        let twice = duplicates(limits.iter().map(Limit::name));
        problems.extend(twice.map(|name| format!("the limit `{name}` is declared twice")));
        let groups: BTreeSet<_> = self
            .registrations
            .values()
            .filter_map(|entry| if let Role::Subscriber(s) = &entry.role { Some(s.group) } else { None })
            .collect();
        let unused = limits.iter().filter_map(Limit::group).filter(|group| !groups.contains(*group));
        problems.extend(unused.map(|group| format!("no subscriber is in the group `{group}`, which has a limit")));
        let mut numbers: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for registration in self.registrations.values() {
            let Some(used) = registration.limit else { continue };
            numbers.entry(used.name).or_default().extend(used.concurrency);
            if limits.iter().all(|limit| limit.name() != used.name) {
                let (function, name) = (registration.function, used.name);
                problems.push(format!(
                    "`{function}` uses the limit `{name}`, which is not declared: call \
                     `.limit(Limit::new(\"{name}\").concurrency(...))`"
                ));
            }
        }
        let is_declared = |name: &str| self.limits.iter().any(|limit| limit.name() == name);
        let differ = numbers.into_iter().filter(|(name, numbers)| numbers.len() > 1 && !is_declared(name));
        problems.extend(differ.map(|(name, numbers)| {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            format!("the functions that use the limit `{name}` give it different numbers: {}", numbers.join(", "))
        }));
        problems
    }
    /// Finds groups whose subscribers to the own log disagree about the first event. They share one checkpoint.
    fn different_first_events(&self) -> Vec<String> {
        let mut groups: BTreeMap<&str, Vec<FirstEvent>> = BTreeMap::new();
        for registration in self.registrations.values() {
            if let Role::Subscriber(Subscriber { group, source: Source::Log(_), from, .. }) = &registration.role {
                groups.entry(group).or_default().push(*from);
            }
        }
        let differ = |from: &[FirstEvent]| from.windows(2).any(|pair| pair[0] != pair[1]);
        let different = groups.into_iter().filter(|(_, from)| differ(from));
        let problem = |group| {
            format!(
                "the subscribers of group `{group}` to the own log share one checkpoint: write the same `from` in each, \
                 or give one of them another group"
            )
        };
        different.map(|(group, _)| problem(group)).collect()
    }
    /// Finds subscriber groups that are also the group of a projection on a topic. A subscriber in that group would
    /// take some of the projection's records.
    fn shared_groups(&self) -> Vec<String> {
        let groups: BTreeSet<_> = self
            .registrations
            .values()
            .filter_map(|entry| if let Role::Subscriber(s) = &entry.role { Some(s.group) } else { None })
            .collect();
        let on_topic = self.registrations.values().filter_map(|entry| match &entry.role {
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

/// Removes what a query side does not run, and returns the projections that it runs. A view that a projection on a topic fills, alone
/// or beside others, is left out: a topic does not have all events.
fn query_side_registrations(registrations: &mut Vec<&'static Registration>) -> Vec<CopiedProjection> {
    let roles = registrations.iter().map(|registration| &registration.role);
    let on_topic = roles.filter_map(|role| match role {
        Role::Projection(Projection { view, source: Source::Topic { .. }, .. }) => Some(*view),
        _ => None,
    });
    let on_topic: BTreeSet<_> = on_topic.collect();
    registrations.retain(|registration| match &registration.role {
        Role::Handler { .. } => true,
        Role::Projection(projection) => !on_topic.contains(projection.view),
        Role::Subscriber(_) | Role::Projector(_) | Role::Publisher(_) => false,
    });
    let roles = registrations.iter().map(|registration| &registration.role);
    let copied = |role: &Role| match role {
        Role::Projection(projection) => Some(CopiedProjection {
            view: projection.view,
            reader: reader(projection.name),
            indexes: projection.indexes.to_vec(),
            // A stored form can always be written as JSON.
            stored_form: serde_json::to_string(&(projection.stored_form)()).unwrap_or_default(),
            events: projection.source.names_on_log(),
            from: projection.from,
        }),
        _ => None,
    };
    roles.filter_map(copied).collect()
}

/// Returns every registration of the process.
fn registered() -> impl Iterator<Item = &'static Registration> {
    inventory::iter::<Registered>.into_iter().map(|registered| registered.0)
}
/// Returns the signs of changes of each view that a projection updates.
fn view_changes(registrations: &[&Registration]) -> HashMap<&'static str, Arc<ViewChanges>> {
    let mut is_of_topic = BTreeMap::new();
    for registration in registrations {
        if let Role::Projection(Projection { view, source, .. }) = &registration.role {
            *is_of_topic.entry(*view).or_default() |= matches!(source, Source::Topic { .. });
        }
    }
    is_of_topic.into_iter().map(|(view, is_of_topic)| (view, Arc::new(ViewChanges::new(is_of_topic)))).collect()
}
fn duplicates<T: Ord + Copy>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    all.filter(move |item| !seen.insert(*item)).collect::<BTreeSet<_>>().into_iter()
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The error of [`AppBuilder::build`], with every problem at once.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildError {
    /// The service's name.
    pub service: String,
    /// The problems, each a sentence with its solution where there is only one.
    pub problems: Vec<String>,
}
/// Prints as [`Display`](fmt::Display) does, one problem a line, because `unwrap` in a test and `main` print this form.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be built:", self.service)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}
impl std::error::Error for BuildError {}
