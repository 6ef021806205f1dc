//! A scenario's stage: databases and a topic of its own, and processes to be killed.
mod child;
mod finish;
mod parts;
pub mod standstill;
mod watch;

pub use child::Node;
pub use parts::{Needs, Parts};

use super::{
    account::Posted,
    check::Crash,
    layers::{Fail, Plant, Scoped},
    node::{Config, Role, Temper, Writing},
    taps::{broker::Broker, database},
};
use anyhow::{Context, Result, bail};
use cqrs_core::Contract;
use rustix::process::Signal;
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use test_support::Proxy;

/// How many of a lane's entries a relay has on their way at most, times the lanes: what one disturbance may double.
const WINDOW: u64 = 500 * 16;

/// A scenario's stage.
pub struct Stage {
    /// Where the schedule's chances come from.
    pub chance: fastrand::Rng,
    /// Servers.
    pub parts: Parts,
    /// How nodes reach the writers' database; a proxy may stand in between.
    pub database: String,
    /// How nodes reach the consumers' database.
    pub effects: String,
    /// How nodes reach the broker.
    pub kafka: String,
    /// The writers' database, directly.
    pub source_tap: PgPool,
    /// The consumers' database, directly.
    pub effects_tap: PgPool,
    /// The topic, directly.
    pub broker: Broker,
    /// What new nodes are told.
    pub template: Config,
    /// How long nothing may move before what is left counts as lost.
    pub patience: Duration,
    /// Multiplies how long the fault goes on.
    pub scale: f64,
    /// Whether the database itself notes every cursor that goes back.
    pub watch_cursors: bool,
    /// What was measured, for the report.
    pub facts: BTreeMap<&'static str, Vec<f64>>,
    nodes: BTreeMap<String, Node>,
    networks: Vec<Proxy>,
    folder: TempDir,
    starts: u64,
    allowed: u64,
    crashes: Vec<Crash>,
    left: Vec<String>,
    cursors: BTreeMap<String, i64>,
    went_back: Vec<String>,
}

impl Stage {
    /// Sets it up.
    ///
    /// # Errors
    /// When a database cannot be made.
    pub async fn set(parts: Parts, name: &str, seed: u64, plant: Option<Plant>) -> Result<Stage> {
        let folder = tempfile::Builder::new().prefix("ledger-").tempdir()?;
        let scope = format!("{name}-{:08x}", fastrand::u32(..));
        let database = parts.postgres.create_database(&format!("{name}_log"))?.url().to_owned();
        let effects = parts.postgres.create_database(&format!("{name}_effects"))?.url().to_owned();
        let topic = Scoped::name(Posted::TOPIC, &scope);
        let kafka = parts.bootstrap();
        let template = Config {
            role: Role::Writer,
            database: String::new(),
            kafka: String::new(),
            scope,
            folder: folder.path().to_owned(),
            name: String::new(),
            start: 0,
            seed,
            partitions: 6,
            creates: parts.mock.is_none(),
            lease: 1_000,
            session: if parts.mock.is_some() { 10_000 } else { 3_000 }, // the mock lets a new member wait for 3 s
            connections: 6,
            instance: None,
            skew: 0,
            writing: Writing { tasks: 6, keys: 200, rate: 0, cancels: false },
            temper: Temper::default(),
            fail: None,
            plant,
        };
        if let Some(mock) = &parts.mock {
            mock.create_topic(&topic, template.partitions, mock.replicas())?;
        }
        Ok(Stage {
            chance: fastrand::Rng::with_seed(seed),
            source_tap: database::open(&database)?,
            effects_tap: database::open(&effects)?,
            broker: Broker { bootstrap: kafka.clone(), topic },
            parts,
            database,
            effects,
            kafka,
            template,
            patience: Duration::from_secs(30),
            scale: 1.0,
            watch_cursors: false,
            networks: Vec::new(),
            facts: BTreeMap::new(),
            nodes: BTreeMap::new(),
            folder,
            starts: 0,
            allowed: 0,
            crashes: Vec::new(),
            left: Vec::new(),
            cursors: BTreeMap::new(),
            went_back: Vec::new(),
        })
    }

    /// Starts a node.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, name: &str, role: Role) -> Result<()> {
        self.start_with(name, role, |_| ())
    }
    /// Starts a node that is told something else than others.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(&mut self, name: &str, role: Role, differently: impl FnOnce(&mut Config)) -> Result<()> {
        let database = match role {
            Role::Consumer | Role::Projection => self.effects.clone(),
            Role::Writer | Role::Relay | Role::Reader => self.database.clone(),
        };
        let kafka = self.kafka.clone();
        let mut config = Config { role, database, kafka, name: name.to_owned(), ..self.template.clone() };
        differently(&mut config);
        self.launch(config)
    }
    fn launch(&mut self, config: Config) -> Result<()> {
        self.starts += 1;
        let config = Config { start: self.starts, ..config };
        self.nodes.insert(config.name.clone(), Node::start(config)?);
        Ok(())
    }
    /// Starts a node again, as it was; `fail` says where it dies this time.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn again(&mut self, name: &str, fail: Option<Fail>) -> Result<()> {
        let config = Config { fail, ..self.node(name)?.config.clone() };
        self.launch(config)
    }
    /// A node.
    ///
    /// # Errors
    /// When none has this name.
    pub fn node(&mut self, name: &str) -> Result<&mut Node> {
        self.nodes.get_mut(name).with_context(|| format!("no node {name}"))
    }
    /// `kill -9`. A relay that is killed may have sent what it does not know.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.node(name)?.kill().await?;
        self.died(name).await
    }
    /// Waits until a node dies where it was told to.
    ///
    /// # Errors
    /// When it does not.
    pub async fn dies(&mut self, name: &str) -> Result<()> {
        match self.node(name)?.ended(Duration::from_secs(60)).await? {
            Some(-1) => self.died(name).await,
            Some(code) => bail!("{name} ended with {code} by itself: {}", self.last_words(name)),
            None => bail!("{name} never came to the point where it dies: {}", self.last_words(name)),
        }
    }
    async fn died(&mut self, name: &str) -> Result<()> {
        match self.node(name)?.config.role {
            Role::Relay => self.disturbed(),
            Role::Consumer => self.sample_crash().await?,
            Role::Writer | Role::Projection | Role::Reader => {}
        }
        Ok(())
    }
    /// Something was done that may double what is on its way, once.
    pub fn disturbed(&mut self) {
        self.allowed += WINDOW;
    }
    /// So many duplicates were sent on purpose.
    pub fn doubled(&mut self, count: u64) {
        self.allowed += count;
    }
    /// Stops a node's time.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&mut self, name: &str) -> Result<()> {
        self.node(name)?.signal(Signal::STOP)
    }
    /// Lets it go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&mut self, name: &str) -> Result<()> {
        self.node(name)?.signal(Signal::CONT)?;
        if self.node(name)?.config.role == Role::Relay {
            self.disturbed(); // what it had on its way, it sends
        }
        Ok(())
    }
    /// Asks a node to end, and waits until it has: with everything finished, within ten seconds.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn end(&mut self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        node.ask_to_end().await?;
        let (began, limit) =
            (Instant::now(), Duration::from_secs(if node.config.role == Role::Writer { 60 } else { 10 }));
        match node.ended(limit).await? {
            Some(0) => {}
            Some(code) => {
                let words = self.last_words(name);
                self.left.push(format!("{name} ended with {code}: {words}"));
                return Ok(());
            }
            None => {
                self.node(name)?.kill().await?;
                self.left.push(format!("{name} was still there {limit:?} after it was asked to end"));
                return Ok(());
            }
        }
        let goodbye = self.node(name)?.goodbye();
        if goodbye.as_ref().is_some_and(|it| !it.drained) {
            self.left.push(format!("{name} ended before everything was finished"));
        }
        if self.node(name)?.config.role != Role::Writer {
            self.fact("exit s", began.elapsed().as_secs_f64());
            self.fact("drain s", goodbye.map_or(0.0, |it| it.milliseconds as f64 / 1e3));
        }
        Ok(())
    }
    /// Keeps a network up until the end.
    pub fn hold(&mut self, network: Proxy) {
        self.networks.push(network);
    }
    /// Something that must be did not happen.
    pub fn fails(&mut self, what: &str) {
        self.left.push(what.to_owned());
    }
    /// Notes a figure.
    pub fn fact(&mut self, what: &'static str, value: f64) {
        self.facts.entry(what).or_default().push(value);
    }
    /// How long a part of the fault goes on.
    pub fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.scale)
    }
}
