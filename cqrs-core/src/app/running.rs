//! A built app: `send` to it, and let its background jobs run until told to stop.
use super::{Role, Shared, Subscriber};
use crate::{
    Error, Fault, Handled, Metadata, Position, PositionToken, Source,
    bus::{self, Dispatch},
    log::{LogFollower, Relay, Step},
    projection::Follower,
    topic::{Consumer, TopicFollower},
    transport::TransportError,
    world::{Task, backoff, within},
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
    pub async fn send<R: Handled>(&self, request: R) -> Result<R::Output, Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        Ok(bus::send(&self.shared, request, &self.shared.nobody).await?.0)
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
    fn published_topics(&self) -> Vec<&'static str> {
        let roles = self.shared.registrations.iter().map(|it| &it.role);
        let topics: BTreeSet<_> =
            roles.filter_map(|role| if let Role::Publisher(it) = role { Some(it.topic) } else { None }).collect();
        topics.into_iter().collect()
    }
    fn followers(&self) -> impl Iterator<Item = (Source, Follower)> {
        self.shared.registrations.iter().filter_map(|it| match &it.role {
            Role::Projection(it) => Some((it.source, Follower::View(*it))),
            Role::Projector(it) => Some((it.source, Follower::Sql(*it))),
            _ => None,
        })
    }
    fn subscribers(&self) -> impl Iterator<Item = Subscriber> {
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
    /// When the database or the transport cannot be used.
    pub async fn start(&self) -> Result<Background, Fault> {
        self.join().await?.start()
    }
    /// The first half of [`start`](Running::start): migrates and joins the groups, so that relays know who listens.
    ///
    /// # Errors
    /// When the database or the transport cannot be used.
    pub async fn join(&self) -> Result<Joined, Fault> {
        self.migrate().await?;
        let broker = |e: TransportError| Fault::unavailable("the broker cannot be used").because(e);
        let topics: Vec<_> = self.heard_topics().into_iter().chain(self.published_topics()).collect();
        if !topics.is_empty() {
            self.shared.transport.ensure_topics(&topics).await.map_err(broker)?;
        }
        let consumers = self.consumers().await.map_err(broker)?;
        let followers = self.topic_followers().await.map_err(broker)?;
        Ok(Joined { app: self.clone(), consumers, followers })
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
        let ended = match ended {
            Some(ended) => ended,
            None => within(&*self.shared.world, DRAIN, serving).await.unwrap_or(Ok(())),
        };
        background.stop(DRAIN).await;
        ended.map_err(Into::into)
    }
}
/// How long a shutdown waits for what is in flight.
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
    pub async fn send<R: Handled>(&self, request: R) -> Result<R::Output, Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        Ok(self.send_at(request).await?.0)
    }
    /// Sends it and also tells where its events lie: what a reader must have seen to see them. 0 when there were none.
    ///
    /// # Errors
    /// As [`send`](With::send).
    pub async fn send_at<R: Handled>(&self, request: R) -> Result<(R::Output, Position), Error<R::Error>>
    where
        R::Sent: Dispatch<R>,
    {
        bus::send(&self.shared, request, &self.metadata).await
    }
}

/// An app that has joined its groups and does not run yet.
#[derive(Debug)]
pub struct Joined {
    app: Running,
    consumers: Vec<Consumer>,
    followers: Vec<TopicFollower>,
}
impl Joined {
    /// Lets the background jobs run.
    ///
    /// # Errors
    /// None today.
    pub fn start(self) -> Result<Background, Fault> {
        let Joined { app, consumers, followers } = self;
        let (stop, _) = watch::channel(false);
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        jobs.extend(consumers.into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs.extend(followers.into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs.extend(app.log_followers().into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs.extend(app.relays().into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        let world = app.shared.world.clone();
        let spawn = |job| world.spawn(Box::pin(keep_stepping(app.shared.clone(), job, stop.subscribe())));
        let tasks = jobs.into_iter().map(spawn).collect();
        Ok(Background { stop, tasks, shared: app.shared })
    }
}

/// The background jobs of a running app. Dropping it stops them at their next await; [`stop`](Background::stop) lets them finish.
#[derive(Debug)]
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: Vec<Task>,
    shared: Arc<Shared>,
}
impl Background {
    /// Lets every job finish what it does, for at most `patience`, then ends what is left. `true` when nothing was left.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let world = self.shared.world.clone();
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(Task::aborter).collect();
        let all = async {
            for task in tasks {
                task.ended().await;
            }
        };
        let done = within(&*world, patience, all).await.is_some();
        aborts.iter().for_each(|abort| abort());
        done
    }
    /// Whether every job is still there; a job only ends when told.
    pub fn is_healthy(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished())
    }
}
impl Drop for Background {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.tasks.iter().for_each(Task::abort);
    }
}

/// A background job: steps, and what to do between and after them.
#[async_trait::async_trait]
trait Job: Send {
    fn name(&self) -> String;
    async fn step(&mut self) -> Result<Step, crate::BoxError>;
    /// Whether the next step is work, to be finished also when told to stop; otherwise it may be a wait, and can be dropped.
    fn works(&self) -> bool {
        false
    }
    async fn finish(&mut self) {}
}
#[async_trait::async_trait]
impl Job for LogFollower {
    fn name(&self) -> String {
        LogFollower::name(self).to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(LogFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        true
    }
}
#[async_trait::async_trait]
impl Job for TopicFollower {
    fn name(&self) -> String {
        TopicFollower::name(self)
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(TopicFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        self.has_received()
    }
}
#[async_trait::async_trait]
impl Job for Relay {
    fn name(&self) -> String {
        format!("relay to `{}`", self.audience().0)
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Relay::step(self).await?)
    }
    async fn finish(&mut self) {
        self.release().await;
    }
}
#[async_trait::async_trait]
impl Job for Consumer {
    fn name(&self) -> String {
        format!("group {}", self.group())
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Consumer::step(self).await?)
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
}

/// Other processes commit too, and tell nobody: look again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Where this process is the only one, a look is only a safety net.
const LOOK_AGAIN_ALONE: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

async fn keep_stepping(shared: Arc<Shared>, mut job: Box<dyn Job>, stop: watch::Receiver<bool>) {
    let (world, storage) = (&*shared.world, &*shared.storage);
    let again = if storage.is_exclusive() { LOOK_AGAIN_ALONE } else { LOOK_AGAIN };
    let (mut failures, name) = (0, job.name());
    loop {
        if *stop.borrow() {
            break;
        }
        let works = job.works();
        let step = tokio::select! {
            biased;
            () = told(stop.clone()), if !works => break,
            step = job.step() => step,
        };
        let pause = async {
            match step {
                Ok(Step::Did(_)) => failures = 0,
                Ok(Step::Idle(upto)) => {
                    failures = 0;
                    let _ = within(world, again, storage.committed(upto)).await;
                }
                Err(error) => {
                    tracing::warn!(
                        job = name,
                        failures,
                        error = &*error as &dyn std::error::Error,
                        "a step failed; again soon"
                    );
                    world.sleep(backoff(world, failures, FIRST_WAIT, LONGEST_WAIT)).await;
                    failures += 1;
                }
            }
        };
        tokio::select! {
            biased;
            () = told(stop.clone()) => break,
            () = pause => (),
        }
    }
    job.finish().await;
}

async fn told(mut stop: watch::Receiver<bool>) {
    // A sender that is gone has nothing more to run for.
    let _ = stop.wait_for(|stop| *stop).await;
}
