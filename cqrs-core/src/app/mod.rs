//! The application: sends requests to their handlers and runs the background jobs.
use crate::{
    app::background::{Job, broker, stopped},
    command::{Dispatch, Handled, bus},
    consumer::{Consumer, Follower, LogFollower, QueryFollower, TopicFollower},
    dependencies::short_name,
    environment::within,
    error::{Error, Fault, Rejection, describe},
    event::{IntegrationEvent, Source},
    metadata::{ConsistencyToken, Metadata},
    personal::SubjectForgotten,
    position::Position,
    registry::{AggregateRegistration, Projection, Registration, Role, Subscriber},
    relay::Relay,
    runtime::Runtime,
    storage::split_copy,
    transport::{Audience, TransportError},
};
mod archive;
mod background;
mod builder;
mod declare;
mod describe;
mod health;
mod identity;
mod indexes;
mod inline;
mod lag;
mod left_messages;
mod new_readers;
mod parked;
mod personal;
mod processes;
mod programs;
mod purge;
mod rebuild;
mod rebuild_rows;
#[cfg(feature = "calendar")]
mod recurring;
mod timers;
mod topics;
mod unique_values;

pub use crate::consumer::AcceptedTopic;
pub use archive::Archive;
pub use background::{Background, Joined};
pub use builder::{AppBuilder, BuildError};
pub use declare::IncompatibleProgram;
pub use describe::Description;
pub use health::{Component, Health, HealthCheck};
pub use identity::ForeignDatabase;
pub use indexes::IndexFiller;
pub use lag::ReaderLag;
pub use left_messages::LeftMessages;
pub use parked::{
    BulkProgress, BulkRedelivery, ParkedCount, ParkedMessages, ParkedSelection, Redelivered, Redelivery, SelectionError,
};
pub use personal::{Erasure, ExportedValue, Forgotten, PersonalError, RewrittenView, SubjectExport};
pub use processes::{ProcessInstance, Processes, ShownInstance};
pub use programs::{DeclaredProgram, Programs, ReleasedKey, Withdrawal, WithdrawalError};
pub use purge::Purge;
pub use rebuild::{CopyUse, Difference, Rebuild, RebuildEnd, RebuildError, RebuildProgress, Rebuilt, ViewCopies};
pub use rebuild_rows::{FailedRow, RebuiltRows, RowRebuild, RowRebuildError};
pub use timers::{TimerJob, Timers};

use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// A built application: it sends requests to their handlers and runs the background jobs.
///
/// Create it with [`App::builder`]. Clones share everything.
#[derive(Clone)]
pub struct App {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) registrations: Arc<[&'static Registration]>,
    pub(crate) aggregates: Arc<[AggregateRegistration]>,
    /// The redeliveries in progress.
    redeliveries: Arc<parked::Redeliveries>,
}

impl App {
    pub(crate) fn new(
        runtime: Runtime,
        registrations: Vec<&'static Registration>,
        aggregates: Vec<AggregateRegistration>,
    ) -> Self {
        App::of(Arc::new(runtime), registrations.into(), aggregates.into())
    }
    fn of(
        runtime: Arc<Runtime>,
        registrations: Arc<[&'static Registration]>,
        aggregates: Arc<[AggregateRegistration]>,
    ) -> Self {
        App { runtime, registrations, aggregates, redeliveries: Arc::default() }
    }
    /// Creates the builder of a service with this name.
    pub fn builder(service: impl Into<String>) -> AppBuilder {
        AppBuilder::new(service)
    }
    /// Returns the service's name.
    pub fn service(&self) -> &str {
        &self.runtime.service
    }
    /// Sends a command or query to its handler. When a command returns `Ok`, its events are committed and durable.
    ///
    /// # Errors
    /// Returns the handler's own [`Error`]. Then nothing has changed, unless it is a fault of the database during the
    /// commit.
    pub fn send<R: Handled>(&self, request: R) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send
    where
        R::Sent: Dispatch<R>,
    {
        R::Sent::send(&self.runtime, request, &self.runtime.no_metadata)
    }
    /// Adds metadata to the next requests: the caller, the cause, the deadline, the idempotency key.
    ///
    /// ```
    /// # use cqrs_core::{App, HandlerResult, Metadata, Query, handler};
    /// # #[derive(Clone, Query)]
    /// # struct WhoAmI;
    /// #[handler]
    /// async fn who_am_i(_: WhoAmI, metadata: Metadata) -> HandlerResult<Option<String>> {
    ///     Ok(metadata.caller)
    /// }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let app = App::builder("me").discover(module_path!()).build().unwrap();
    /// let me = app.with(Metadata::default().caller("kim")).send(WhoAmI).await;
    /// assert_eq!(me.unwrap().as_deref(), Some("kim"));
    /// # });
    /// ```
    pub fn with(&self, metadata: Metadata) -> WithMetadata {
        WithMetadata { runtime: self.runtime.clone(), metadata: Arc::new(metadata.passed_on()) }
    }
    /// Returns the consistency token of `position` in this service's log. A query with the token sees the events up to
    /// there. It has the epoch of the database, once the app has started or migrated.
    pub fn token(&self, position: impl Into<Option<Position>>) -> ConsistencyToken {
        let mut token = ConsistencyToken::default();
        if let Some(position) = position.into() {
            token.raise_in(&self.runtime.service, self.runtime.epoch(), position);
        }
        token
    }
    /// Returns the storage.
    pub fn storage(&self) -> &Arc<dyn crate::storage::Storage> {
        &self.runtime.storage
    }
    /// Migrates the database to this program's schema, reserves the values of fields that this program makes unique, and
    /// declares this program: its aggregates, its views, and the events that its readers handle. New readers with
    /// `from = "now"` get their first position. Then it fills in the indexes that this program has added to stored views,
    /// and sets the timers of `AppBuilder::every`. Other replicas go on meanwhile. An interrupted run continues at the next
    /// start.
    ///
    /// When another program of the service has used the database before, the first call of a new program takes a second.
    /// After it, running programs leave to this one what only this one handles.
    ///
    /// # Errors
    /// Fails when the database cannot be reached, when its schema is newer than this program, or with an
    /// [`IncompatibleProgram`] as the source when the program does not fit the stored data, or with a
    /// [`ForeignDatabase`] when the database belongs to another service, or with a
    /// [`MissingMasterKey`](crate::personal::MissingMasterKey) when the settings lack a master key. It has changed
    /// nothing then, except that values may be reserved for a field which no declared program has as a unique one.
    pub async fn migrate(&self) -> Result<(), Fault> {
        if let Some(side) = &self.runtime.query_side {
            return side.open(&self.runtime).await;
        }
        self.runtime.storage.migrate().await?;
        if let Some(personal) = &self.runtime.personal {
            personal.keys.open().await?;
        }
        self.declare().await?;
        #[cfg(feature = "calendar")]
        self.set_recurring().await?;
        Ok(())
    }

    /// Returns a follower for every projection and subscriber group on the service's own log. The caller runs their
    /// steps, after [`migrate`](App::migrate) or [`join`](App::join): without it, a new reader with `from = "now"` begins
    /// with the first event.
    pub fn log_followers(&self) -> Vec<LogFollower> {
        if self.runtime.query_side.is_some() {
            return Vec::new();
        }
        let views = self.followers().filter(|(source, _)| matches!(source, Source::Log(_)));
        let mut groups: BTreeMap<&'static str, Vec<Subscriber>> = BTreeMap::new();
        for subscriber in self.subscribers().filter(|subscriber| matches!(subscriber.source, Source::Log(_))) {
            groups.entry(subscriber.group).or_default().push(subscriber);
        }
        let groups = groups.into_iter().map(|(group, subscribers)| Follower::Group(group, subscribers.into()));
        let followers = views.map(|(_, follower)| follower).chain(groups);
        followers.map(|follower| LogFollower::new(self.runtime.clone(), follower)).collect()
    }
    /// Returns a follower for every projection of a query side ([`AppBuilder::query_side`]); nothing for another app. The caller runs
    /// their steps, after [`migrate`](App::migrate).
    pub fn query_followers(&self) -> Vec<QueryFollower> {
        if self.runtime.query_side.is_none() {
            return Vec::new();
        }
        let follower = |(_, follower)| match follower {
            Follower::View(_, functions, _) => QueryFollower::new(self.runtime.clone(), functions.to_vec()),
            Follower::Sql(_) | Follower::Group(..) => None,
        };
        self.followers().filter_map(follower).collect()
    }
    /// Removes the views of a query side from its store, so that its projections fill them again from the first event. Reads are
    /// refused as unavailable meanwhile.
    ///
    /// # Errors
    /// Fails with [`Precondition`](crate::ErrorKind::Precondition) when the app is no query side, and when the store fails. Some of the views are removed then; call it again.
    pub async fn clear_query_side(&self) -> Result<(), Fault> {
        match &self.runtime.query_side {
            Some(side) => side.clear(&self.runtime).await,
            None => Err(Fault::no_query_side()),
        }
    }
    /// Refuses an operation that changes the database of the service, if this app is its query side.
    pub(in crate::app) fn refuse_on_query_side(&self) -> Result<(), Fault> {
        if self.runtime.query_side.is_some() { Err(Fault::query_side()) } else { Ok(()) }
    }
    /// Joins the consumer group of every projection on a topic.
    ///
    /// # Errors
    /// Fails when the transport cannot be reached.
    pub async fn topic_followers(&self) -> Result<Vec<TopicFollower>, TransportError> {
        let mut all = Vec::new();
        for (source, follower) in self.followers() {
            let Source::Topic { topic, .. } = source else { continue };
            let group = follower.group(&self.runtime.service);
            let subscription = self.runtime.transport.subscribe(&group, &[topic]).await?;
            all.push(TopicFollower::new(self.runtime.clone(), follower, topic, subscription));
        }
        Ok(all)
    }
    /// Joins the consumer group of every subscriber on a topic.
    ///
    /// # Errors
    /// Fails when the transport cannot be reached.
    pub async fn consumers(&self) -> Result<Vec<Consumer>, TransportError> {
        let mut groups: BTreeMap<&'static str, (BTreeSet<&'static str>, Vec<Subscriber>)> = BTreeMap::new();
        for subscriber in self.subscribers() {
            if let Source::Topic { topic, .. } = subscriber.source {
                let (topics, subscribers) = groups.entry(subscriber.group).or_default();
                topics.insert(topic);
                subscribers.push(subscriber);
            }
        }
        let mut all = Vec::new();
        for (group, (topics, subscribers)) in groups {
            let topics: Vec<_> = topics.into_iter().collect();
            let subscription = self.runtime.transport.subscribe(group, &topics).await?;
            all.push(Consumer::new(self.runtime.clone(), group, topics, subscribers.into(), subscription));
        }
        Ok(all)
    }
    /// Returns a relay for each audience of the topics that this service publishes to. With the in-process transport,
    /// the audiences are the groups that have joined so far.
    pub fn relays(&self) -> Vec<Relay> {
        self.audiences().into_iter().map(|audience| self.relay_to(audience)).collect()
    }
    fn relay_to(&self, audience: Audience) -> Relay {
        Relay::new(self.runtime.clone(), audience, self.published_topics())
    }
    fn publishes(&self) -> bool {
        !self.published_topics().is_empty()
    }
    /// Returns the audiences of the published topics that the transport has now.
    fn audiences(&self) -> Vec<Audience> {
        let topics = self.published_topics();
        if topics.is_empty() { Vec::new() } else { self.runtime.transport.audiences(&topics) }
    }
    fn published_topics(&self) -> Vec<&'static str> {
        let roles = self.registrations.iter().map(|registration| &registration.role);
        let mut topics: BTreeSet<_> = roles
            .filter_map(|role| if let Role::Publisher(publisher) = role { Some(publisher.topic) } else { None })
            .collect();
        if self.runtime.query_side.is_some() {
            return topics.into_iter().collect();
        }
        // Commands to other services are sent like integration events.
        for registration in &*self.registrations {
            topics.extend(registration.needs().remote_topics());
        }
        topics.extend(self.process_definitions().flat_map(|definition| definition.remote_topics()));
        if self.runtime.personal.as_ref().is_some_and(|personal| personal.publishes) {
            topics.insert(<SubjectForgotten as IntegrationEvent>::TOPIC);
        }
        topics.into_iter().collect()
    }
    pub(crate) fn followers(&self) -> impl Iterator<Item = (Source, Follower)> {
        let roles = || self.registrations.iter().map(|registration| &registration.role);
        let mut projections: BTreeMap<&'static str, Vec<Projection>> = BTreeMap::new();
        for role in roles() {
            if let Role::Projection(projection) = role {
                projections.entry(projection.name).or_default().push(*projection);
            }
        }
        // The functions of a projection read one source, which `build` has checked.
        let views = projections.into_iter().filter_map(|(name, functions)| {
            let source = functions.first()?.source;
            Some((source, Follower::View(name, functions.into(), None)))
        });
        let projectors = roles().filter_map(|role| match role {
            Role::Projector(projector) => Some((projector.source, Follower::Sql(*projector))),
            _ => None,
        });
        views.chain(projectors)
    }
    /// Returns the projection or projector with this reader; that of one copy of a view writes to this copy.
    pub(crate) fn follower_of(&self, reader: &str) -> Option<Follower> {
        let (declared, copy) = split_copy(reader);
        let found = self.followers().map(|(_, follower)| follower).find(|follower| follower.reader() == declared)?;
        match (copy, found) {
            (None, follower) => Some(follower),
            (Some(copy), follower) => follower.of_copy(copy),
        }
    }
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = Subscriber> {
        self.registrations.iter().filter_map(|registration| match &registration.role {
            Role::Subscriber(subscriber) => Some(*subscriber),
            _ => None,
        })
    }
    fn subscribed_topics(&self) -> BTreeSet<&'static str> {
        let subscribers = self.subscribers().map(|subscriber| subscriber.source);
        let sources = self.followers().map(|(source, _)| source).chain(subscribers);
        sources.filter_map(|source| if let Source::Topic { topic, .. } = source { Some(topic) } else { None }).collect()
    }

    /// Migrates the database, joins the consumer groups and starts every background job: projections, subscribers and
    /// relays.
    ///
    /// Apps that share one [`InProcess`](crate::transport::InProcess) may start in any order. A group of an app that
    /// starts later receives the integration events from before, within a quarter of a second.
    ///
    /// # Errors
    /// Fails when the database cannot be used, when the broker would refuse the name of a topic, or when the topics that
    /// the app publishes to are not as configured. A broker that is down is not an error: the app serves requests,
    /// outgoing events stay in the outbox, and the jobs that need the broker start when it is back. Nor is a topic that
    /// the app subscribes to and that does not exist yet: its publisher creates it, and until then the health component
    /// `topics` names it.
    pub async fn start(&self) -> Result<Background, Fault> {
        self.migrate().await?;
        match self.join_groups().await {
            Ok(joined) => Ok(joined.start()),
            Err(error) if error.permanent => Err(broker(error)),
            Err(error) => {
                let error = describe(&error);
                tracing::warn!(
                    service = self.service(),
                    error,
                    "the broker is down; outgoing events stay in the outbox until it is back"
                );
                let background = Background::new(self.runtime.clone());
                Ok(background.with(self.own_jobs()).with_broker_jobs_later(self.clone()))
            }
        }
    }
    /// Migrates the database and joins the consumer groups without starting the background jobs, so that relays find
    /// every group.
    ///
    /// # Errors
    /// Fails when the database or the transport cannot be used.
    pub async fn join(&self) -> Result<Joined, Fault> {
        self.migrate().await?;
        self.join_groups().await.map_err(broker)
    }
    async fn join_groups(&self) -> Result<Joined, TransportError> {
        let (subscribed, published) = (self.subscribed_topics(), self.published_topics());
        let all: Vec<_> = subscribed.into_iter().chain(published.iter().copied()).collect();
        if all.is_empty() {
            self.runtime.broker.joined();
            return Ok(Joined { app: self.clone(), consumers: Vec::new(), followers: Vec::new() });
        }
        self.runtime.transport.check_topics(&all)?;
        // A topic that is only subscribed to belongs to its publisher, which creates it with the number of partitions of
        // its choice.
        if !published.is_empty() {
            self.runtime.transport.ensure_topics(&published).await?;
        }
        let joined =
            Joined { consumers: self.consumers().await?, followers: self.topic_followers().await?, app: self.clone() };
        self.runtime.broker.joined();
        Ok(joined)
    }
    /// Returns the jobs that run without a broker.
    fn own_jobs(&self) -> Vec<Box<dyn Job>> {
        if self.runtime.query_side.is_some() {
            return self.query_followers().into_iter().map(|follower| Box::new(follower) as Box<dyn Job>).collect();
        }
        let followers = self.log_followers().into_iter().map(|follower| Box::new(follower) as Box<dyn Job>);
        let others =
            [Box::new(self.purge()) as Box<dyn Job>, Box::new(self.left_messages()), Box::new(self.timer_job())];
        // Without other processes there are no values to fill in after the start.
        let filler = (!self.storage().is_exclusive()).then(|| Box::new(self.index_filler()) as Box<dyn Job>);
        let reserver = self.value_reserver().map(|reserver| Box::new(reserver) as Box<dyn Job>);
        let personal = self.personal_job().map(|job| Box::new(job) as Box<dyn Job>);
        followers.chain(others).chain(filler).chain(reserver).chain(personal).collect()
    }
    /// Ends the live queries of this process; a new one ends after its first answer. [`run`](App::run) and
    /// [`Background::stop`] do the same. Call it before a server of your own stops, because a server that finishes its open
    /// calls waits for the streams. Starting the app again allows live queries again.
    pub fn end_live_queries(&self) {
        self.runtime.stopping.send_replace(true);
    }
    /// Runs the background jobs and `serve` until `shutdown` completes. Then work in progress has [`DRAIN`] to finish.
    ///
    /// `serve` receives a future that completes when serving has to stop.
    ///
    /// # Errors
    /// Fails when the app cannot start, or when serving fails.
    pub async fn run<S, E>(
        &self,
        serve: impl FnOnce(BoxFuture<'static, ()>) -> S,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), crate::BoxError>
    where
        S: Future<Output = Result<(), E>>,
        E: Into<crate::BoxError>,
    {
        let background = self.start().await?;
        let (stop, on_stop) = watch::channel(false);
        let serving = serve(Box::pin(stopped(on_stop)));
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = shutdown => None,
        };
        // A stream that stays open would keep the server from ending.
        self.end_live_queries();
        stop.send_replace(true);
        // Serving and the jobs share one deadline. The jobs keep a fifth of it, so that they can always release what
        // they hold, such as leases.
        let environment = self.runtime.environment.clone();
        let began = environment.uptime();
        let ended = match ended {
            Some(ended) => ended,
            None => within(&*environment, DRAIN - DRAIN / 5, serving).await.unwrap_or(Ok(())),
        };
        background.stop(DRAIN.saturating_sub(environment.uptime().saturating_sub(began))).await;
        ended.map_err(Into::into)
    }
}
/// The longest time that a shutdown waits for work in progress, in total.
pub const DRAIN: Duration = Duration::from_secs(5);

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({})", self.runtime.service)
    }
}

/// The output of a command, and the position of its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// The handler's output.
    pub output: T,
    /// The position of the last event that was committed, or `None` when there was none: a query, or a command without
    /// events.
    pub position: Option<Position>,
}

/// An app with the metadata of a request. Take it from [`App::with`].
#[must_use = "nothing is sent before `send` is called on it"]
#[derive(Debug, Clone)]
pub struct WithMetadata {
    runtime: Arc<Runtime>,
    metadata: Arc<Metadata>,
}
impl WithMetadata {
    /// Returns the dependency that was [provided](AppBuilder::provide) under this type. A process takes its ports from here,
    /// because it runs outside of handlers.
    ///
    /// # Errors
    /// Returns a [`Rejection`] when there is none. It is reported when the process runs, and not by
    /// [`build`](AppBuilder::build).
    pub fn dependency<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, Rejection> {
        self.runtime.provided.get::<T>().cloned().ok_or_else(|| Rejection::missing(short_name::<T>()))
    }
    /// Sends a command or query to its handler.
    ///
    /// # Errors
    /// Fails as [`App::send`] does, and with [`Error::KeyReused`] when the idempotency key was used for another
    /// command.
    pub fn send<R: Handled>(&self, request: R) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send
    where
        R::Sent: Dispatch<R>,
    {
        R::Sent::send(&self.runtime, request, &self.metadata)
    }
    /// Sends a command and returns its output with the position of its last event, for a consistency token
    /// (read-your-writes).
    ///
    /// # Errors
    /// Fails as [`send`](WithMetadata::send) does.
    pub async fn send_committed<R: Handled>(&self, request: R) -> Result<Committed<R::Output>, Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        let (output, position) = bus::send::<R, R::Sent>(&self.runtime, request, &self.metadata).await?;
        Ok(Committed { output, position: (position.0 > 0).then_some(position) })
    }
}
