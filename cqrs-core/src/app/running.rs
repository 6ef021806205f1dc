//! A built app: `send` to it, and let its background jobs run until told to stop.
use super::{
    Role, Shared, Subscriber,
    background::{Background, Job, Joined, broker, told},
};
use crate::{
    Error, Fault, Handled, Metadata, Position, PositionToken, Source,
    bus::{self, Dispatch},
    log::{LogFollower, Relay},
    projection::Follower,
    topic::{Consumer, TopicFollower},
    transport::TransportError,
    world::within,
};
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// A built app. Clones are the same app.
#[derive(Clone)]
pub struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) aggregates: Arc<[(&'static str, &'static [&'static str], bool)]>,
}

impl Running {
    pub(crate) fn new(shared: Shared, aggregates: Vec<(&'static str, &'static [&'static str], bool)>) -> Self {
        Running { shared: Arc::new(shared), aggregates: aggregates.into() }
    }
    /// The service's name.
    pub fn service(&self) -> &str {
        &self.shared.service
    }
    /// Sends a command or query to its handler. The answer to a command means: committed, and durable.
    ///
    /// # Errors
    /// The handler's own [`Error`]: then nothing has changed, unless it is a fault of the database during the commit.
    pub fn send<R: Handled>(&self, request: R) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send
    where
        R::Sent: Dispatch<R>,
    {
        R::Sent::send(&self.shared, request, &self.shared.nobody)
    }
    /// The same, with who asks, why, until when.
    ///
    /// ```
    /// # use cqrs_core::{App, Metadata, Never, Query, handler};
    /// # #[derive(Clone, Query)]
    /// # struct WhoAmI;
    /// #[handler]
    /// async fn who_am_i(_: WhoAmI, metadata: Metadata) -> cqrs_core::Result<Option<String>, Never> {
    ///     Ok(metadata.caller)
    /// }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let app = App::new("me").discover(module_path!()).build().unwrap();
    /// let me = app.with(Metadata::default().caller("kim")).send(WhoAmI).await;
    /// assert_eq!(me.unwrap().as_deref(), Some("kim"));
    /// # });
    /// ```
    pub fn with(&self, metadata: Metadata) -> With {
        With { shared: self.shared.clone(), metadata: Arc::new(metadata) }
    }
    /// The position token that makes a reader see what is at `position` of this service.
    pub fn token(&self, position: Position) -> PositionToken {
        let mut token = PositionToken::default();
        token.raise(&self.shared.service, position);
        token
    }
    /// Where it is stored.
    pub fn storage(&self) -> &Arc<dyn crate::storage::Storage> {
        &self.shared.storage
    }
    /// Brings the database up to this program's schema.
    ///
    /// # Errors
    /// When it cannot be reached, or is newer than this program.
    pub async fn migrate(&self) -> Result<(), Fault> {
        self.shared.storage.migrate().await
    }

    /// Every follower of the own log, to be stepped by hand.
    pub fn log_followers(&self) -> Vec<LogFollower> {
        let views = self.followers().filter(|(source, _)| matches!(source, Source::Log(_))).map(|(_, it)| it);
        let mut groups: BTreeMap<&'static str, Vec<Subscriber>> = BTreeMap::new();
        for subscriber in self.subscribers().filter(|it| matches!(it.source, Source::Log(_))) {
            groups.entry(subscriber.group).or_default().push(subscriber);
        }
        let groups = groups.into_iter().map(|(group, subscribers)| Follower::Group(group, subscribers.into()));
        views.chain(groups).map(|it| LogFollower::new(self.shared.clone(), it)).collect()
    }
    /// Joins the group of every projection on a topic.
    ///
    /// # Errors
    /// When the transport cannot be reached.
    pub async fn topic_followers(&self) -> Result<Vec<TopicFollower>, TransportError> {
        let mut all = Vec::new();
        for (source, follower) in self.followers() {
            let Source::Topic { topic, .. } = source else { continue };
            let group = follower.group(&self.shared.service);
            let subscription = self.shared.transport.subscribe(&group, &[topic]).await?;
            all.push(TopicFollower::new(self.shared.clone(), follower, subscription));
        }
        Ok(all)
    }
    /// Joins the group of every subscriber on a topic.
    ///
    /// # Errors
    /// When the transport cannot be reached.
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
            let subscription = self.shared.transport.subscribe(group, &topics).await?;
            all.push(Consumer::new(self.shared.clone(), group, subscribers.into(), subscription));
        }
        Ok(all)
    }
    /// A relay to everyone who hears what this service publishes. In process: to the groups that have joined by now.
    pub fn relays(&self) -> Vec<Relay> {
        let topics = self.published_topics();
        let audiences = if topics.is_empty() { Vec::new() } else { self.shared.transport.audiences(&topics) };
        audiences.into_iter().map(|audience| Relay::new(self.shared.clone(), audience)).collect()
    }
    pub(super) fn published_topics(&self) -> Vec<&'static str> {
        let roles = self.shared.registrations.iter().map(|it| &it.role);
        let topics: BTreeSet<_> =
            roles.filter_map(|role| if let Role::Publisher(it) = role { Some(it.topic) } else { None }).collect();
        topics.into_iter().collect()
    }
    pub(crate) fn followers(&self) -> impl Iterator<Item = (Source, Follower)> {
        self.shared.registrations.iter().filter_map(|it| match &it.role {
            Role::Projection(it) => Some((it.source, Follower::View(*it))),
            Role::Projector(it) => Some((it.source, Follower::Sql(*it))),
            _ => None,
        })
    }
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = Subscriber> {
        self.shared.registrations.iter().filter_map(|it| match &it.role {
            Role::Subscriber(it) => Some(*it),
            _ => None,
        })
    }
    fn heard_topics(&self) -> BTreeSet<&'static str> {
        let sources = self.followers().map(|(source, _)| source).chain(self.subscribers().map(|it| it.source));
        sources.filter_map(|it| if let Source::Topic { topic, .. } = it { Some(topic) } else { None }).collect()
    }

    /// Migrates, joins its groups and lets every background job run: projections, subscribers, relay. Apps that share one
    /// [`InProcess`](crate::transport::InProcess) call [`join`](Running::join) on all of them first, then `start`.
    ///
    /// # Errors
    /// When the database cannot be used, or the broker's topics are not as configured. A broker that is down is no error: requests
    /// are served, the log keeps what is to be told, and the jobs that need the broker join when it is back.
    pub async fn start(&self) -> Result<Background, Fault> {
        self.migrate().await?;
        match self.join_groups().await {
            Ok(joined) => Ok(joined.start()),
            Err(error) if error.permanent => Err(broker(error)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    service = self.service(),
                    error,
                    "the broker is down: what is to be told waits in the log"
                );
                let background = Background::new(self.shared.clone());
                Ok(background.with(self.own_jobs()).with_later(self.clone()))
            }
        }
    }
    /// The first half of [`start`](Running::start): migrates and joins the groups, so that relays know who listens.
    ///
    /// # Errors
    /// When the database or the transport cannot be used.
    pub async fn join(&self) -> Result<Joined, Fault> {
        self.migrate().await?;
        self.join_groups().await.map_err(broker)
    }
    pub(super) async fn join_groups(&self) -> Result<Joined, TransportError> {
        let topics: Vec<_> = self.heard_topics().into_iter().chain(self.published_topics()).collect();
        if !topics.is_empty() {
            self.shared.transport.ensure_topics(&topics).await?;
        }
        let joined =
            Joined { consumers: self.consumers().await?, followers: self.topic_followers().await?, app: self.clone() };
        self.shared.broker.joined();
        Ok(joined)
    }
    /// What runs without a broker.
    pub(super) fn own_jobs(&self) -> Vec<Box<dyn Job>> {
        let followers = self.log_followers().into_iter().map(|it| Box::new(it) as Box<dyn Job>);
        followers.chain([Box::new(self.retention()) as Box<dyn Job>]).collect()
    }
    /// Runs until `shutdown`: background jobs beside `serve`, which is given a future that ends when serving should. Then what is
    /// in flight is finished, within [`DRAIN`].
    ///
    /// # Errors
    /// When it cannot start, or when serving fails.
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
        let (stop, stopped) = watch::channel(false);
        let serving = serve(Box::pin(told(stopped)));
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = shutdown => None,
        };
        stop.send_replace(true);
        // One deadline for both; whatever serving takes, the jobs have a moment to give back what they hold.
        let world = self.shared.world.clone();
        let began = world.uptime();
        let ended = match ended {
            Some(ended) => ended,
            None => within(&*world, DRAIN - DRAIN / 5, serving).await.unwrap_or(Ok(())),
        };
        background.stop(DRAIN.saturating_sub(world.uptime().saturating_sub(began))).await;
        ended.map_err(Into::into)
    }
}
/// How long a shutdown waits for what is in flight, all of it together.
pub const DRAIN: Duration = Duration::from_secs(5);

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.shared.service)
    }
}

/// An app, and who asks.
#[derive(Debug, Clone)]
pub struct With {
    shared: Arc<Shared>,
    metadata: Arc<Metadata>,
}
impl With {
    /// Sends a command or query.
    ///
    /// # Errors
    /// As [`Running::send`]; also [`Error::KeyReused`].
    pub fn send<R: Handled>(&self, request: R) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send
    where
        R::Sent: Dispatch<R>,
    {
        R::Sent::send(&self.shared, request, &self.metadata)
    }
    /// Sends it and also tells where its events lie: what a reader must have seen to see them. 0 when there were none.
    ///
    /// # Errors
    /// As [`send`](With::send).
    pub async fn send_at<R: Handled>(&self, request: R) -> Result<(R::Output, Position), Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        bus::send::<R, R::Sent>(&self.shared, request, &self.metadata).await
    }
}
