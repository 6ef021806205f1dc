//! What runs on the stage: the engines, stepped as a running app steps them, and clients that send commands.
use super::{
    broker::Client,
    database::{Connection, Database},
    machine::{MILLI, SECOND},
    planted::{Bug, Store, Wire},
    process::{Process, Simulated},
    service::{Account, Ledger, Notes, Strikes, Trail, shop::Credit},
    stage::{Order, Stage},
};
use crate::listener::lock;
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Error, Metadata, Rows, Running, Streams,
    log::{LogFollower, Relay, Step},
    topic::{Consumer, TopicFollower},
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends commands.
    Client(usize),
    Relay,
    /// A consumer whose effect is its batch.
    Book,
    /// A consumer whose effect is a command.
    Note,
    /// A projection of the topic.
    Mirror,
    /// A projection of the own log.
    Tally,
    /// A subscriber of the own log.
    Trail,
}
impl Role {
    /// What it keeps, as the audit calls it.
    pub(crate) fn effect(self) -> Option<&'static str> {
        match self {
            Role::Client(_) | Role::Relay => None,
            Role::Book => Some("bank.book"),
            Role::Note => Some("bank.note"),
            Role::Mirror => Some("bank.mirror"),
            Role::Tally => Some("tally"),
            Role::Trail => Some("shop.trail"),
        }
    }
    fn module(self) -> &'static str {
        match self {
            Role::Client(_) | Role::Relay => "it::simulation::service::shop",
            Role::Book => "it::simulation::service::book",
            Role::Note => "it::simulation::service::note",
            Role::Mirror => "it::simulation::service::mirror",
            Role::Tally => "it::simulation::service::tally",
            Role::Trail => "it::simulation::service::trail",
        }
    }
    fn is_bank(self) -> bool {
        matches!(self, Role::Book | Role::Note | Role::Mirror)
    }
}

/// What an actor does from its start to its end.
pub(crate) fn life(stage: Arc<Stage>, index: usize, process: Arc<Process>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let role = stage.actors[index].role;
        let database = if role.is_bank() { &stage.bank } else { &stage.shop };
        let app = app(&stage, index, &process, database);
        if let Role::Client(client) = role {
            return send_all(&stage, &app, client).await;
        }
        let engine = engine(&app, role, &process).await;
        keep_stepping(&process, database, &app, engine).await;
    })
}

fn app(stage: &Arc<Stage>, index: usize, process: &Arc<Process>, database: &Arc<Database>) -> Running {
    let (machine, actor) = (&stage.machine, &stage.actors[index]);
    let connection = Connection { database: database.clone(), process: process.clone() };
    let client = Client { broker: stage.broker.clone(), process: process.clone() };
    let app = App::new(database.name)
        .discover(actor.role.module())
        .world(Arc::new(Simulated { machine: machine.clone(), skew: actor.skew }))
        .provide(Arc::new(Strikes { machine: machine.clone(), rate: stage.strikes }));
    let app = match stage.rows {
        true => app.aggregate(Rows::<Account>::new()).aggregate(Rows::<Ledger>::new()),
        false => app.aggregate(Streams::<Account>::new()).aggregate(Streams::<Ledger>::new()),
    };
    let app = app.aggregate(Rows::<Notes>::new()).aggregate(Rows::<Trail>::new());
    let app = match stage.bug {
        Bug::None => app.storage(connection).transport(client),
        bug => app
            .storage(Store { connection, bug, plot: stage.plot.clone() })
            .transport(Wire { client, bug, plot: stage.plot.clone() }),
    };
    app.build().expect("it fits together")
}

/// One of the framework's engines.
#[async_trait]
trait Engine: Send {
    async fn step(&mut self) -> Result<Step, BoxError>;
    /// Whether a step is finished also when told to stop.
    fn works(&self) -> bool {
        false
    }
    async fn finish(&mut self) {}
}
#[async_trait]
impl Engine for Relay {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(Relay::step(self).await?)
    }
    async fn finish(&mut self) {
        self.release().await;
    }
}
#[async_trait]
impl Engine for Consumer {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(Consumer::step(self).await?)
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
}
#[async_trait]
impl Engine for TopicFollower {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(TopicFollower::step(self).await?)
    }
}
#[async_trait]
impl Engine for LogFollower {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(LogFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        true
    }
}

async fn engine(app: &Running, role: Role, process: &Process) -> Box<dyn Engine> {
    loop {
        let joined: Option<Box<dyn Engine>> = match role {
            Role::Relay => app.relays().pop().map(|it| Box::new(it) as _),
            Role::Tally | Role::Trail => app.log_followers().pop().map(|it| Box::new(it) as _),
            Role::Mirror => app.topic_followers().await.ok().and_then(|mut all| all.pop()).map(|it| Box::new(it) as _),
            _ => app.consumers().await.ok().and_then(|mut all| all.pop()).map(|it| Box::new(it) as _),
        };
        if let Some(engine) = joined {
            return engine;
        }
        process.machine.sleep(100 * MILLI).await;
    }
}

/// As a running app does it; that it looks again after a while is left out where nothing can have changed.
async fn keep_stepping(process: &Process, database: &Database, app: &Running, mut engine: Box<dyn Engine>) {
    let machine = &process.machine;
    let mut failures = 0;
    while !process.is_stopping() {
        let works = engine.works();
        let step = tokio::select! {
            biased;
            () = process.stopped(), if !works => break,
            step = engine.step() => step,
        };
        let pause = async {
            match step {
                Ok(Step::Did(_)) => failures = 0,
                Ok(Step::Idle(upto)) => {
                    failures = 0;
                    tokio::select! {
                        biased;
                        () = app.storage().committed(upto) => (),
                        () = machine.sleep(3 * SECOND) => (),
                    }
                }
                Err(error) => {
                    machine.note(|| format!("{}: {}: {error}", database.name, process.name));
                    machine.sleep((50 * MILLI << failures).min(5 * SECOND)).await;
                    failures = (failures + 1).min(7);
                }
            }
        };
        tokio::select! {
            biased;
            () = process.stopped() => break,
            () = pause => (),
        }
    }
    engine.finish().await;
}

/// Sends what is left, one after the other. What was begun by a life before goes on only where it has a key.
async fn send_all(stage: &Arc<Stage>, app: &Running, client: usize) {
    loop {
        let order = lock(&stage.clients)[client].first().cloned();
        let Some(order) = order else { return };
        if !order.begun {
            stage.machine.sleep(order.gap).await;
            lock(&stage.clients)[client][0].begun = true;
        }
        if order.keyed || !order.begun {
            send(stage, app, &order).await;
        }
        lock(&stage.clients)[client].remove(0);
    }
}

async fn send(stage: &Arc<Stage>, app: &Running, order: &Order) {
    let Order { key, command, events, .. } = *order;
    let keyed = order.keyed && stage.bug != Bug::RepeatedWithoutKey;
    let metadata = if keyed { Metadata::default().key(command.to_string()) } else { Metadata::default() };
    let mut known = !order.begun;
    loop {
        let sent = app.with(metadata.clone()).send(Credit { id: key.into(), command, events }).await;
        stage.machine.note(|| format!("command {command} on {key}: {sent:?}"));
        match sent {
            Ok(command) => return stage.audit.answered(key, command),
            Err(Error::Fault(_)) => known = false,
            Err(_) if known && !order.keyed => return stage.audit.failed(key, command),
            Err(_) => (),
        }
        if !order.keyed {
            return;
        }
        stage.machine.sleep(20 * MILLI).await;
    }
}
