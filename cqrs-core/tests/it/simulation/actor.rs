//! What runs on the stage: the engines, stepped as a running app steps them, and clients that send commands.
use super::{
    broker::Client,
    database::{Connection, Database},
    engine::{engine, keep_stepping},
    machine::{MILLI, SECOND},
    planted::{Bug, Store, Wire},
    process::{Process, Simulated},
    service::{Account, Ledger, Notes, Strikes, Trail, shop::Credit},
    stage::{Order, Stage},
};
use crate::listener::lock;
use cqrs_core::{App, Error, Metadata, Rows, Running, Streams, parking::Retries};
use futures_util::future::{BoxFuture, join_all};
use std::{sync::Arc, time::Duration};

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
    /// Replays what is parked, once it is cured.
    Operator,
}
impl Role {
    /// What it keeps, as the audit calls it.
    pub(crate) fn effect(self) -> Option<&'static str> {
        match self {
            Role::Client(_) | Role::Relay | Role::Operator => None,
            Role::Book => Some("bank.book"),
            Role::Note => Some("bank.note"),
            Role::Mirror => Some("bank.mirror"),
            Role::Tally => Some("tally"),
            Role::Trail => Some("shop.trail"),
        }
    }
    fn modules(self) -> &'static [&'static str] {
        match self {
            Role::Client(_) | Role::Relay => &["it::simulation::service::shop"],
            Role::Book => &["it::simulation::service::book"],
            Role::Note => &["it::simulation::service::note"],
            Role::Mirror => &["it::simulation::service::mirror"],
            Role::Tally => &["it::simulation::service::tally"],
            Role::Trail => &["it::simulation::service::trail"],
            Role::Operator => &["it::simulation::service"],
        }
    }
    /// Whether it belongs to the bank, which hears the shop over the broker.
    pub(crate) fn is_bank(self) -> bool {
        matches!(self, Role::Book | Role::Note | Role::Mirror)
    }
}

/// What an actor does from its start to its end.
pub(crate) fn life(stage: Arc<Stage>, index: usize, process: Arc<Process>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let role = stage.actors[index].role;
        let database = if role.is_bank() { &stage.bank } else { &stage.shop };
        let app = app(&stage, index, &process, database);
        match role {
            Role::Client(client) => return send_all(&stage, &app, client).await,
            Role::Operator => {
                let bank = self::app(&stage, index, &process, &stage.bank);
                return replay_all(&stage, &[app, bank]).await;
            }
            _ => (),
        }
        if role == Role::Relay && stage.embedded {
            // Relays know the groups that have joined by then, as `Running::join` on all and then `start` has it.
            let groups = stage.actors.iter().filter(|it| it.role.is_bank()).count();
            while app.relays().len() < groups {
                stage.machine.sleep(10 * MILLI).await;
            }
            let relays = app.relays().into_iter().map(|it| keep_stepping(&process, database, &app, Box::new(it)));
            return drop(join_all(relays).await);
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
        .world(Arc::new(Simulated { machine: machine.clone(), process: Some(process.clone()) }))
        .provide(Arc::new(Strikes { machine: machine.clone(), rate: stage.strikes, poison: stage.poison.clone() }))
        .lease(Duration::from_micros(stage.lease))
        .retries(Retries { attempts: 3, first: Duration::from_millis(50), longest: Duration::from_secs(30) });
    let app = actor.role.modules().iter().fold(app, |app, module| app.discover(module));
    let app = match stage.rows {
        true => app.aggregate(Rows::<Account>::new()).aggregate(Rows::<Ledger>::new()),
        false => app.aggregate(Streams::<Account>::new()).aggregate(Streams::<Ledger>::new()),
    };
    let app = app.aggregate(Rows::<Notes>::new()).aggregate(Rows::<Trail>::new());
    let app = match stage.bug {
        Bug::None if stage.embedded => app.storage(connection).transport(lock(&stage.in_process).clone()),
        Bug::None => app.storage(connection).transport(client),
        bug => app.storage(Store { connection, bug, plot: stage.plot.clone() }).transport(Wire {
            client,
            bug,
            plot: stage.plot.clone(),
        }),
    };
    app.build().expect("it fits together")
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

/// Looks again and again for what is parked.
async fn replay_all(stage: &Arc<Stage>, apps: &[Running]) {
    let machine = &stage.machine;
    machine.sleep(stage.poison.cured_at).await;
    loop {
        for app in apps {
            for key in app.parked().list().await.unwrap_or_default() {
                let replay = app.parked().replay(&key.reader, &key.key, &Metadata::default().caller("kim")).await;
                machine.note(|| format!("{}: {} {} is replayed: {replay:?}", app.service(), key.reader, key.key));
            }
        }
        machine.sleep(SECOND).await;
    }
}
