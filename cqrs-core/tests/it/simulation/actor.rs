//! The actors of a schedule: the engines, stepped as in a running app, and clients that send commands.
use super::{
    broker::Client,
    database::{Connection, Database},
    engine::{engine, engines, keep_stepping},
    environment::{MILLI, SECOND},
    fixture::{Fixture, Order},
    fleet::{Fleet, Release},
    process::{Process, ProcessEnvironment},
    programs::Program,
    seeded::{Bug, SeededStorage, SeededTransport, WITHDRAWING},
    service::{Account, InjectedFailures, Ledger, Notes, Trail, shop::Credit},
};
use crate::listener::lock;
use cqrs_core::{
    App, Error, EventSourced, Metadata, RetryPolicy, StateStored,
    app::{AppBuilder, RebuildEnd, RebuildError},
};
use futures_util::future::{BoxFuture, join_all};
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends commands.
    Client(usize),
    Relay,
    /// A consumer whose effect is in the batch with its inbox record.
    Book,
    /// A consumer whose effect is a command.
    Note,
    /// A projection of the topic.
    Mirror,
    /// A projection of the service's own log.
    Tally,
    /// A subscriber to the service's own log.
    Trail,
    /// A replica of the shop in a mixed fleet, with all its engines.
    Shop,
    /// A replica of the bank in a mixed fleet, with all its engines.
    Bank,
    /// Redelivers parked messages once the cause of their failure is gone.
    Operator,
    /// Rebuilds the view of the shop's own log in a second copy, and switches.
    Rebuild,
}
impl Role {
    /// Returns the name of its effect in the audit.
    pub(crate) fn effect(self) -> Option<&'static str> {
        match self {
            Role::Client(_) => Some("current"),
            Role::Relay | Role::Operator | Role::Rebuild | Role::Shop | Role::Bank => None,
            Role::Book => Some("bank.book"),
            Role::Note => Some("bank.note"),
            Role::Mirror => Some("bank.mirror"),
            Role::Tally => Some("tally"),
            Role::Trail => Some("shop.trail"),
        }
    }
    pub(crate) fn modules(self) -> &'static [&'static str] {
        match self {
            Role::Client(_) => {
                &["it::simulation::service::shop", "it::simulation::service::aside", "it::simulation::service::current"]
            }
            Role::Relay => &["it::simulation::service::shop", "it::simulation::service::aside"],
            Role::Book => &["it::simulation::service::book"],
            Role::Note => &["it::simulation::service::note"],
            Role::Mirror => &["it::simulation::service::mirror"],
            Role::Tally | Role::Rebuild => &["it::simulation::service::tally"],
            Role::Trail => &["it::simulation::service::trail"],
            Role::Operator => &["it::simulation::service"],
            Role::Shop | Role::Bank => &[],
        }
    }
    /// Returns whether the actor belongs to the bank, which subscribes to the shop's topic.
    pub(crate) fn is_bank(self) -> bool {
        matches!(self, Role::Book | Role::Note | Role::Mirror | Role::Bank)
    }
}

/// Runs an actor from its start to its end.
pub(crate) fn life(fixture: Arc<Fixture>, index: usize, process: Arc<Process>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let role = fixture.actors[index].role;
        let database = if role.is_bank() { &fixture.bank } else { &fixture.shop };
        if let Some(fleet) = &fixture.fleet {
            return replica(&fixture, fleet, index, &process, database).await;
        }
        let app = app(&fixture, index, &process, database);
        match role {
            Role::Client(client) => return send_all(&fixture, &app, client, None).await,
            Role::Operator => {
                let bank = self::app(&fixture, index, &process, &fixture.bank);
                return redeliver_all(&fixture, &[app, bank]).await;
            }
            Role::Rebuild => return rebuild(&fixture, &process, &app).await,
            _ => (),
        }
        if role == Role::Relay && fixture.embedded {
            // A relay serves the groups that have joined before it starts, as in an app that calls `join` and then
            // `start`.
            let groups = fixture.actors.iter().filter(|actor| actor.role.is_bank()).count();
            while app.relays().len() < groups {
                fixture.environment.sleep(10 * MILLI).await;
            }
            let relays = app.relays().into_iter().map(|relay| keep_stepping(&process, database, &app, Box::new(relay)));
            return drop(join_all(relays).await);
        }
        let engine = engine(&app, role, &process).await;
        keep_stepping(&process, database, &app, engine).await;
    })
}

/// Runs a process of a mixed fleet: it declares its program as a start does, and then works.
async fn replica(
    fixture: &Arc<Fixture>,
    fleet: &Fleet,
    index: usize,
    process: &Arc<Process>,
    database: &Arc<Database>,
) {
    let role = fixture.actors[index].role;
    if role == Role::Operator {
        let services = [(false, &fixture.shop), (true, &fixture.bank)];
        let services = services.into_iter().filter(|(bank, _)| !bank || fleet.has_bank());
        let apps: Vec<_> = services
            .map(|(bank, database)| {
                let modules = fleet.modules(bank, Release::Newer);
                let app = builder(fixture, process, database, &modules);
                let app = fleet.program(bank, Release::Newer).with_accounts(app, fixture.state_stored);
                app.build().expect("the app builds")
            })
            .collect();
        return redeliver_all(fixture, &apps).await;
    }
    let (bank, release) = (role.is_bank(), process.release);
    if role == Role::Rebuild {
        while !fleet.is_declared(false, release) {
            fixture.environment.sleep(100 * MILLI).await;
        }
        let app = builder(fixture, process, database, &fleet.modules(false, release));
        let app = fleet.program(false, release).with_accounts(app, fixture.state_stored);
        return rebuild(fixture, process, &app.build().expect("the app builds")).await;
    }
    let program = fleet.program(bank, release);
    let app = builder(fixture, process, database, &fleet.modules(bank, release));
    let app = program.with_accounts(app, fixture.state_stored).build().expect("the app builds");
    while let Err(error) = app.migrate().await {
        fixture.environment.note(|| format!("{} is not declared: {error}", process.name));
        fixture.environment.sleep(100 * MILLI).await;
    }
    fixture.environment.note(|| format!("{} is declared", process.name));
    fleet.declared(bank, release);
    if let Role::Client(client) = role {
        return send_all(fixture, &app, client, Some(program)).await;
    }
    let has_tally = !bank && fleet.readers.contains(&Role::Tally);
    for engine in engines(&app, process, has_tally).await {
        let (process, database, app) = (process.clone(), database.clone(), app.clone());
        let of = process.clone();
        let stepping = async move { keep_stepping(&of, &database, &app, engine).await };
        fixture.spawn(index, &process, Box::pin(stepping));
    }
    if has_tally {
        let (fixture, process) = (fixture.clone(), process.clone());
        let reading = {
            let (fixture, process) = (fixture.clone(), process.clone());
            async move { read_pages(&fixture, index, &process, &app, program).await }
        };
        fixture.spawn(index, &process, Box::pin(reading));
    }
}

/// Reads the pages of every index once everything has arrived.
async fn read_pages(fixture: &Fixture, index: usize, process: &Process, app: &App, program: Program) {
    loop {
        fixture.environment.sleep(SECOND).await;
        if !fixture.is_drained() {
            continue;
        }
        let before = fixture.audit.effects();
        match program.read_pages(app).await {
            // An effect came meanwhile, such as that of a redelivery: the pages may or may not have it.
            Ok(_) if fixture.audit.effects() != before => (),
            Ok(pages) => {
                fixture.audit.pages_read(process, &pages);
                return fixture.has_read_pages(index);
            }
            Err(error) => fixture.environment.note(|| format!("{} cannot read a page: {error}", process.name)),
        }
    }
}

/// Withdraws the newer program of the shop, as an operator does by a process of the former program.
pub(crate) fn withdraw(fixture: &Arc<Fixture>) {
    let process = Process::new(&fixture.environment, WITHDRAWING.to_owned(), 0, Release::Former);
    let task = {
        let (fixture, process) = (fixture.clone(), process.clone());
        async move {
            let Some(fleet) = &fixture.fleet else { return };
            let app = builder(&fixture, &process, &fixture.shop, &fleet.modules(false, Release::Former));
            let app = fleet.program(false, Release::Former).with_accounts(app, fixture.state_stored);
            let programs = app.build().expect("the app builds").programs();
            loop {
                let listed = programs.list().await.unwrap_or_default();
                if let Some(newest) = listed.last() {
                    // The newer program may have ended before it was declared.
                    if newest.is_this {
                        return fleet.has_withdrawn();
                    }
                    let withdrawn = programs.withdraw(newest.number).await;
                    fixture.environment.note(|| format!("the withdrawal of {} ends: {withdrawn:?}", newest.number));
                    if withdrawn.is_ok() {
                        return fleet.has_withdrawn();
                    }
                }
                fixture.environment.sleep(SECOND).await;
            }
        }
    };
    process.spawn(Box::pin(task));
}

fn app(fixture: &Arc<Fixture>, index: usize, process: &Arc<Process>, database: &Arc<Database>) -> App {
    let app = builder(fixture, process, database, fixture.actors[index].role.modules());
    let app = match fixture.state_stored {
        true => app.aggregate(StateStored::<Account>::new()),
        false => app.aggregate(EventSourced::<Account>::new().snapshot_every(2)),
    };
    app.build().expect("the app builds")
}
/// Returns the builder of an app with these modules, in which only the accounts are missing.
fn builder(
    fixture: &Arc<Fixture>,
    process: &Arc<Process>,
    database: &Arc<Database>,
    modules: &[&'static str],
) -> AppBuilder {
    let environment = &fixture.environment;
    let connection = Connection { database: database.clone(), process: process.clone() };
    let client = Client { broker: fixture.broker.clone(), process: process.clone() };
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 3;
    let app = App::builder(database.name)
        .environment(Arc::new(ProcessEnvironment { environment: environment.clone(), process: Some(process.clone()) }))
        .provide(Arc::new(InjectedFailures {
            environment: environment.clone(),
            rate: fixture.failure_rate,
            poison: fixture.poison.clone(),
        }))
        .lease(Duration::from_micros(fixture.lease))
        .retry_policy(retry_policy);
    let app = modules.iter().fold(app, |app, module| app.discover_part(module));
    let app = match fixture.state_stored {
        true => app.aggregate(StateStored::<Ledger>::new()),
        false => app.aggregate(EventSourced::<Ledger>::new()),
    };
    let app = app.aggregate(StateStored::<Notes>::new()).aggregate(StateStored::<Trail>::new());
    match fixture.bug {
        Bug::None if fixture.embedded => app.storage(connection).transport(lock(&fixture.in_process).clone()),
        Bug::None => app.storage(connection).transport(client),
        bug => app
            .storage(SeededStorage { connection, bug, bug_state: fixture.bug_state.clone() })
            .transport(SeededTransport { client, bug, bug_state: fixture.bug_state.clone() }),
    }
}

/// Sends the remaining commands one after the other. A command that was sent before a crash is sent again only with a
/// key.
async fn send_all(fixture: &Arc<Fixture>, app: &App, client: usize, program: Option<Program>) {
    loop {
        let order = lock(&fixture.clients)[client].first().cloned();
        let Some(order) = order else { return };
        if !order.sent {
            fixture.environment.sleep(order.gap).await;
            lock(&fixture.clients)[client][0].sent = true;
        }
        if order.keyed || !order.sent {
            send(fixture, app, &order, program).await;
        }
        lock(&fixture.clients)[client].remove(0);
    }
}

async fn send(fixture: &Arc<Fixture>, app: &App, order: &Order, program: Option<Program>) {
    let Order { key, command, events, .. } = *order;
    let keyed = order.keyed && fixture.bug != Bug::RepeatedWithoutKey;
    let metadata = if keyed { Metadata::default().key(command.to_string()) } else { Metadata::default() };
    let mut known = !order.sent;
    loop {
        let app = app.with(metadata.clone());
        let sent = match program {
            None => app.send(Credit { id: key.into(), command, events }).await,
            Some(program) => program.credit(app, key.into(), command, events).await,
        };
        fixture.environment.note(|| format!("command {command} on {key}: {sent:?}"));
        match sent {
            Ok(command) => return fixture.audit.succeeded(key, command),
            Err(Error::OutcomeUnknown(_)) => known = false,
            // With a key, the failed look-up of the response hides the outcome.
            Err(Error::Fault(_)) if order.keyed => known = false,
            Err(_) if known && !order.keyed => return fixture.audit.failed(key, command),
            Err(_) => (),
        }
        if !order.keyed {
            return;
        }
        fixture.environment.sleep(20 * MILLI).await;
    }
}

/// The number of times that a process rebuilds the view.
const REBUILDS: usize = 2;

/// Rebuilds the view, and drops the former copy.
async fn rebuild(fixture: &Fixture, process: &Process, app: &App) {
    let environment = &fixture.environment;
    let mut done = 0;
    while done < REBUILDS && !process.is_stopping() {
        let rebuilt = app.rebuild("tally").run().await;
        environment.note(|| format!("{}: the rebuild ends: {rebuilt:?}", process.name));
        let is_kept = matches!(rebuilt, Err(RebuildError::CopyInUse(..)));
        if is_kept || rebuilt.is_ok_and(|rebuilt| rebuilt.end == RebuildEnd::Switched) {
            let dropped = app.drop_other_copy("tally").await;
            environment.note(|| format!("{}: the former copy is dropped: {dropped:?}", process.name));
            done += 1;
        }
        environment.sleep(environment.one_of(&[100 * MILLI, SECOND])).await;
    }
}

/// Redelivers parked messages every second.
async fn redeliver_all(fixture: &Arc<Fixture>, apps: &[App]) {
    let environment = &fixture.environment;
    environment.sleep(fixture.poison.cured_at).await;
    loop {
        for app in apps {
            for key in app.parked().list(&Default::default()).await.unwrap_or_default() {
                let result = app.parked().redeliver(&key.reader, &key.key, &Metadata::default().caller("kim")).await;
                environment
                    .note(|| format!("{}: {} {} is redelivered: {result:?}", app.service(), key.reader, key.key));
            }
        }
        environment.sleep(SECOND).await;
    }
}
