//! Process managers: a flow over several aggregates, with deadlines and compensation. Time is virtual.
use crate::{listener::lock, trials::trial_on_one_thread};
use async_trait::async_trait;
use both::Both;
use cqrs_core::{
    App, AppBuilder, EventSourced, Fault, Metadata, Position, Reaction, Timestamp,
    environment::{Environment, SystemEnvironment},
    event::NewEntry,
    job::Step,
    process::Status,
    storage::{
        Batch, CommitError, LEFT_TO_NEWER_PROGRAM, Memory, ParkedPage, ReadLimit, Row, Storage, TimerPage, TimerState,
    },
    testing::{StorageLayer, TestApp, VirtualTime, process_of},
};
use flow::Fulfilment;
use libtest_mimic::Trial;
use orders::{
    Order, OrderEvent, PlaceGoods, RejectGoods, ReleaseGoods, RemindBuyer, ReserveGoods, Script, ShipGoods, Shipment,
    ShipmentEvent, Stock, StockEvent,
};
use patient::Patient;
use std::{sync::Arc, time::Duration};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_on_one_thread("processes: given events, a process sends commands and is in a state", decided),
        trial_on_one_thread("processes: a deadline passes, and the steps are undone in reverse order", timed_out),
        trial_on_one_thread("processes: a deadline whose reaction stays in the state begins anew", patient_one),
        trial_on_one_thread("processes: an event for no instance has its declared meaning", unexpected),
        trial_on_one_thread("processes: a flow over several aggregates runs to its end", fulfilled),
        trial_on_one_thread("processes: a flow runs with background jobs, and its deadline ends it", in_background),
        trial_on_one_thread("processes: a command that fails does not hold up the deadline", stuck),
        trial_on_one_thread("processes: an unexpected event is parked, and nothing else", parked),
        trial_on_one_thread("processes: an instance of a newer program is left to it", newer),
        trial_on_one_thread("processes: an instance of an older program goes on", older),
        trial_on_one_thread("processes: seeded: a reaction without its state is caught", seeded_state),
        trial_on_one_thread("processes: seeded: a reaction without its commands is caught", seeded_commands),
        trial_on_one_thread("processes: an operator lists, retries and cancels instances", operators_acts),
        trial_on_one_thread("processes: a step without a handler is found when the app is built", built),
        trial_on_one_thread("processes: the picture shows what runs", pictured),
    ]
}

/// The aggregates and commands of the flow.
pub(crate) mod orders {
    use crate::listener::lock;
    use cqrs_core::{
        Aggregate, Command, Dep, Event, Evolve, Fault, HandlerResult, Infallible, IntoEvents, Repo, handler,
    };
    use serde::{Deserialize, Serialize};
    use std::sync::Mutex;

    pub(crate) const MODULE: &str = module_path!();

    macro_rules! aggregate {
        ($aggregate:ident, $name:literal, $event:ident { $($variant:ident),* }) => {
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
            #[event(name = $name, version = 1)]
            pub(crate) enum $event { $($variant),* }
            #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = $name, event = $event)]
            pub(crate) struct $aggregate {
                #[id]
                id: String,
            }
            impl Evolve<$event> for $aggregate {
                fn create(id: String, _: &$event) -> Option<Self> {
                    Some($aggregate { id })
                }
                fn apply(&mut self, _: &$event) {}
            }
        };
    }
    aggregate!(Order, "order-of-flow", OrderEvent { Placed, Rejected, Reminded });
    aggregate!(Stock, "stock-of-flow", StockEvent { Reserved, SoldOut, Released });
    aggregate!(Shipment, "shipment-of-flow", ShipmentEvent { Shipped });

    /// The behavior that the test asks of the handlers.
    #[derive(Default)]
    pub(crate) struct Script {
        /// The orders whose goods are neither reserved nor sold out.
        pub(crate) silent: Mutex<Vec<String>>,
        /// The orders whose shipment fails.
        pub(crate) failing: Mutex<Vec<String>>,
    }

    async fn append<A: Aggregate<Id = String>>(
        all: &Repo<A>,
        id: &str,
        events: impl IntoEvents<A::Event>,
    ) -> HandlerResult<(), Infallible> {
        match all.find(&id.to_owned()).await? {
            Some(_) => drop(all.update(&id.to_owned(), |_| Ok::<_, Infallible>(events)).await?),
            None => drop(all.create(id.to_owned(), events)?),
        }
        Ok(())
    }
    macro_rules! command {
        ($command:ident, $function:ident, $aggregate:ident, $event:expr) => {
            #[derive(Debug, Clone, Serialize, Deserialize, Command)]
            pub(crate) struct $command {
                pub(crate) order: String,
            }
            #[handler]
            async fn $function(command: $command, all: Repo<$aggregate>) -> HandlerResult<(), Infallible> {
                append(&all, &command.order, $event).await
            }
        };
    }
    command!(PlaceGoods, place, Order, OrderEvent::Placed);
    command!(RejectGoods, reject, Order, OrderEvent::Rejected);
    command!(RemindBuyer, remind, Order, OrderEvent::Reminded);
    command!(ReleaseGoods, release, Stock, StockEvent::Released);

    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct ReserveGoods {
        pub(crate) order: String,
    }
    #[handler]
    async fn reserve(command: ReserveGoods, all: Repo<Stock>, script: Dep<Script>) -> HandlerResult<(), Infallible> {
        let is_silent = lock(&script.silent).contains(&command.order);
        match (is_silent, command.order.starts_with("rare")) {
            (true, _) => Ok(()),
            (false, true) => append(&all, &command.order, StockEvent::SoldOut).await,
            (false, false) => append(&all, &command.order, StockEvent::Reserved).await,
        }
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct ShipGoods {
        pub(crate) order: String,
    }
    #[handler]
    async fn ship(command: ShipGoods, all: Repo<Shipment>, script: Dep<Script>) -> HandlerResult<(), Infallible> {
        if lock(&script.failing).contains(&command.order) {
            return Err(Fault::internal("the van is broken").into());
        }
        append(&all, &command.order, ShipmentEvent::Shipped).await
    }
}

/// The process.
pub(crate) mod flow {
    use super::orders::{
        OrderEvent, RejectGoods, ReleaseGoods, RemindBuyer, ReserveGoods, ShipGoods, ShipmentEvent, StockEvent,
    };
    use cqrs_core::{Process, Reaction, Recorded, process};
    use serde::{Deserialize, Serialize};
    use std::time::Duration;

    pub(crate) const MODULE: &str = module_path!();

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
    #[process(name = "flow.fulfilment", version = 1)]
    #[step(ReserveGoods, undone_by = ReleaseGoods)]
    #[step(ShipGoods, irreversible)]
    #[step(RejectGoods, irreversible)]
    #[step(RemindBuyer, irreversible)]
    pub(crate) enum Fulfilment {
        #[deadline(secs = 5, then = timed_out)]
        Reserving { order: String },
        #[deadline(secs = 86_400, then = timed_out)]
        Shipping { order: String },
    }
    impl Fulfilment {
        fn order(self) -> String {
            match self {
                Fulfilment::Reserving { order } | Fulfilment::Shipping { order } => order,
            }
        }
    }

    #[process(key = aggregate_id, unexpected = "starts", then = "Reserving", from = "beginning")]
    fn placed(event: &Recorded<OrderEvent>) -> Reaction<Fulfilment> {
        let order = event.aggregate_id.clone();
        match event.event {
            OrderEvent::Placed => Reaction::to(Fulfilment::Reserving { order: order.clone() })
                .step(ReserveGoods { order: order.clone() }, ReleaseGoods { order: order.clone() })
                .later("remind", Duration::from_secs(3_600), RemindBuyer { order }),
            OrderEvent::Rejected | OrderEvent::Reminded => Reaction::none(),
        }
    }
    #[process(
        key = aggregate_id, when = "Reserving", unexpected = "ignored", then = "Shipping | end", from = "beginning"
    )]
    fn stock(event: &Recorded<StockEvent>, state: Fulfilment) -> Reaction<Fulfilment> {
        let order = state.order();
        match event.event {
            StockEvent::Reserved => {
                Reaction::to(Fulfilment::Shipping { order: order.clone() }).send(ShipGoods { order })
            }
            StockEvent::SoldOut => Reaction::end().send(RejectGoods { order }),
            StockEvent::Released => Reaction::none(),
        }
    }
    #[process(key = aggregate_id, when = "Shipping", unexpected = "error", then = "end", from = "beginning")]
    fn shipped(_: &Recorded<ShipmentEvent>, _: Fulfilment) -> Reaction<Fulfilment> {
        Reaction::end()
    }
    fn timed_out(state: Fulfilment) -> Reaction<Fulfilment> {
        Reaction::end().compensate().send(RejectGoods { order: state.order() })
    }
}

/// A process of two steps that both have to be undone. No app runs it.
mod both {
    use super::orders::{OrderEvent, RejectGoods, ReleaseGoods, ReserveGoods, ShipGoods};
    use cqrs_core::{Process, Reaction, Recorded, process};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
    #[process(name = "flow.both", version = 1)]
    #[step(ReserveGoods, undone_by = ReleaseGoods)]
    #[step(ShipGoods, undone_by = RejectGoods)]
    pub(super) enum Both {
        #[deadline(secs = 60, then = undone)]
        Begun,
        #[waits_for_ever]
        GivenUp,
    }
    #[process(key = aggregate_id, unexpected = "starts", then = "Begun", from = "beginning")]
    fn begun(event: &Recorded<OrderEvent>) -> Reaction<Both> {
        let order = event.aggregate_id.clone();
        Reaction::to(Both::Begun)
            .step(ReserveGoods { order: order.clone() }, ReleaseGoods { order: order.clone() })
            .step(ShipGoods { order: order.clone() }, RejectGoods { order })
    }
    fn undone(_: Both) -> Reaction<Both> {
        Reaction::to(Both::GivenUp).compensate()
    }
}

/// A process that sends a reminder every minute, until the goods are shipped.
mod patient {
    use super::orders::{OrderEvent, RemindBuyer, ShipmentEvent};
    use cqrs_core::{Process, Reaction, Recorded, process};
    use serde::{Deserialize, Serialize};
    use std::time::Duration;

    pub(super) const MODULE: &str = module_path!();

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
    #[process(name = "flow.patient", version = 1)]
    #[step(RemindBuyer, irreversible)]
    pub(super) enum Patient {
        #[deadline(secs = 60, then = reminds)]
        Waiting { order: String },
    }
    #[process(key = aggregate_id, unexpected = "starts", then = "Waiting", from = "beginning")]
    fn waits(event: &Recorded<OrderEvent>) -> Reaction<Patient> {
        match event.event {
            OrderEvent::Placed => {
                let order = event.aggregate_id.clone();
                let reminder = RemindBuyer { order: order.clone() };
                Reaction::to(Patient::Waiting { order }).later("last", Duration::from_secs(3_600), reminder)
            }
            OrderEvent::Rejected | OrderEvent::Reminded => Reaction::none(),
        }
    }
    #[process(key = aggregate_id, when = "Waiting", unexpected = "ignored", then = "end", from = "beginning")]
    fn arrived(_: &Recorded<ShipmentEvent>, _: Patient) -> Reaction<Patient> {
        Reaction::end().cancel("last")
    }
    fn reminds(state: Patient) -> Reaction<Patient> {
        let Patient::Waiting { order } = state;
        Reaction::none().send(RemindBuyer { order })
    }
}

const NAME: &str = "flow.fulfilment";
const SECOND: Duration = Duration::from_secs(1);

fn order(id: &str) -> String {
    id.to_owned()
}
fn reserving(id: &str) -> Fulfilment {
    Fulfilment::Reserving { order: order(id) }
}
fn shipping(id: &str) -> Fulfilment {
    Fulfilment::Shipping { order: order(id) }
}

async fn decided() {
    process_of::<Fulfilment>()
        .when(order("kim"), OrderEvent::Placed)
        .then_sends(ReserveGoods { order: order("kim") })
        .then_sends_nothing()
        .then_is("kim", reserving("kim"));
    process_of::<Fulfilment>()
        .given(order("kim"), OrderEvent::Placed)
        .when(order("kim"), StockEvent::Reserved)
        .then_sends(ShipGoods { order: order("kim") })
        .then_is("kim", shipping("kim"))
        .and()
        .when_time_passes(SECOND * 3_600)
        .then_sends(RemindBuyer { order: order("kim") })
        .then_sends_nothing()
        .and()
        .when(order("kim"), ShipmentEvent::Shipped)
        .then_sends_nothing()
        .then_has_ended("kim");
    process_of::<Fulfilment>()
        .given(order("rare"), OrderEvent::Placed)
        .when(order("rare"), StockEvent::SoldOut)
        .then_sends(RejectGoods { order: order("rare") })
        .then_has_ended("rare");
}

async fn timed_out() {
    process_of::<Fulfilment>()
        .given(order("kim"), OrderEvent::Placed)
        .when_time_passes(SECOND * 4)
        .then_sends_nothing()
        .then_is("kim", reserving("kim"))
        .and()
        .when_time_passes(SECOND)
        .then_sends(ReleaseGoods { order: order("kim") })
        .then_sends(RejectGoods { order: order("kim") })
        .then_sends_nothing()
        .then_has_ended("kim")
        .and()
        .when_time_passes(SECOND * 7_200)
        .then_sends_nothing();
    process_of::<Both>()
        .given(order("kim"), OrderEvent::Placed)
        .when_time_passes(SECOND * 60)
        .then_sends(RejectGoods { order: order("kim") })
        .then_sends(ReleaseGoods { order: order("kim") })
        .then_sends_nothing()
        .then_is("kim", Both::GivenUp)
        .and()
        .when_time_passes(SECOND * 1_000_000)
        .then_sends_nothing();
    // Entering another state begins another deadline.
    process_of::<Fulfilment>()
        .given(order("kim"), OrderEvent::Placed)
        .given_time(SECOND * 4)
        .given(order("kim"), StockEvent::Reserved)
        .when_time_passes(SECOND * 3_000)
        .then_sends_nothing()
        .then_is("kim", shipping("kim"));
}

async fn patient_one() {
    let waiting = || Patient::Waiting { order: order("kim") };
    let reminder = || RemindBuyer { order: order("kim") };
    process_of::<Patient>()
        .given(order("kim"), OrderEvent::Placed)
        .when_time_passes(SECOND * 150)
        .then_sends(reminder())
        .then_sends(reminder())
        .then_sends_nothing()
        .then_is("kim", waiting())
        .and()
        .given(order("kim"), ShipmentEvent::Shipped)
        .when_time_passes(SECOND * 10_000)
        .then_sends_nothing()
        .then_has_ended("kim");
    // The same in a service.
    let fixture = Fixture::new();
    let app = App::builder("shop").discover_part(orders::MODULE).discover_part(patient::MODULE);
    let app = app.aggregate(EventSourced::<Order>::new()).aggregate(EventSourced::<Stock>::new());
    let app = app.aggregate(EventSourced::<Shipment>::new()).provide(fixture.script.clone());
    let app = app.environment(Arc::new(fixture.time.clone())).storage(fixture.memory.clone());
    let app = app.build().expect("the app builds");
    app.migrate().await.expect("the app declares itself");
    placed(&app, "kim").await;
    for minutes in 1..=3 {
        settled(&app).await;
        let names = ["deadline", "timer/last"].map(|name| format!("process/flow.patient/kim/{name}"));
        assert_eq!(fixture.timers().await, names);
        fixture.time.advance(SECOND * 60);
        settled(&app).await;
        let events = fixture.events().await;
        assert_eq!(events.iter().filter(|event| **event == ".reminded").count(), minutes, "{events:?}");
    }
    app.send(ShipGoods { order: order("kim") }).await.expect("the goods are shipped");
    settled(&app).await;
    assert!(fixture.timers().await.is_empty(), "an ended instance has timers: {:?}", fixture.timers().await);
}

async fn unexpected() {
    let nothing = process_of::<Fulfilment>;
    nothing().when(order("kim"), StockEvent::Reserved).then_ignored();
    nothing().when(order("kim"), ShipmentEvent::Shipped).then_refused("it is absent");
    nothing().when(order("kim"), OrderEvent::Rejected).then_ignored();
    let placed = || nothing().given(order("kim"), OrderEvent::Placed);
    placed().when(order("kim"), ShipmentEvent::Shipped).then_refused("it is in Reserving");
    placed().when(order("kim"), OrderEvent::Placed).then_ignored();
    placed().given_time(SECOND * 5).when(order("kim"), ShipmentEvent::Shipped).then_ignored();
    placed().when(order("lee"), StockEvent::Reserved).then_ignored();
}

struct Fixture {
    time: VirtualTime,
    memory: Memory,
    script: Arc<Script>,
}
impl Fixture {
    fn new() -> Self {
        let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
        let memory = Memory::with(Arc::new(time.clone()));
        Fixture { time, memory, script: Arc::default() }
    }
    fn builder(&self, storage: impl Storage) -> AppBuilder {
        let app = App::builder("shop").discover_part(orders::MODULE).discover_part(flow::MODULE);
        let app = app.aggregate(EventSourced::<Order>::new()).aggregate(EventSourced::<Stock>::new());
        let app = app.aggregate(EventSourced::<Shipment>::new()).provide(self.script.clone());
        app.environment(Arc::new(self.time.clone())).storage(storage)
    }
    async fn app(&self) -> App {
        let app = self.builder(self.memory.clone()).build().expect("the app builds");
        app.migrate().await.expect("the app declares itself");
        app
    }
    /// Returns the names of all events of the domain, in order.
    async fn events(&self) -> Vec<String> {
        let log = self.memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(999)).await;
        let of_domain = log.expect("the log is read").into_iter().filter(|entry| !entry.name.starts_with("process."));
        of_domain.map(|entry| entry.name.trim_start_matches(|c| c != '.').to_owned()).collect()
    }
    /// Changes the stored instance of the order of Kim, as another program would have written it.
    async fn changes_instance(&self, from: &str, to: &str) {
        let stored = self.memory.row("process:flow.fulfilment", "kim", None).await.expect("a row is read").found;
        let text = String::from_utf8(stored.state.expect("it runs")).expect("it is text");
        assert!(text.contains(from), "{text}");
        let state = Some(text.replacen(from, to, 1).into_bytes());
        let (expected, version) = (stored.version, stored.version + 1);
        let row = Row { kind: "process:flow.fulfilment", id: order("kim"), expected, version, state };
        let moved = NewEntry {
            stream: "process:flow.fulfilment/kim".to_owned(),
            version,
            id: SystemEnvironment.id(),
            name: "process.moved",
            schema: 1,
            payload: b"{}".to_vec(),
            metadata: Metadata::default(),
            occurred_at: Timestamp::UNIX_EPOCH,
            outgoing: None,
        };
        let batch = Batch { rows: vec![row], events: vec![moved], ..Batch::default() };
        self.memory.commit(batch).await.expect("the row is written");
    }
    async fn timers(&self) -> Vec<String> {
        let timers = self.memory.timers(&TimerPage::default()).await.expect("timers are read");
        timers.into_iter().map(|timer| timer.name).collect()
    }
}
async fn placed(app: &App, id: &str) {
    app.send(PlaceGoods { order: order(id) }).await.expect("the order is placed");
}
/// Steps the process and the timers until nothing moves.
pub(crate) async fn settled(app: &App) {
    let (mut followers, mut job) = (app.log_followers(), app.timer_job());
    loop {
        let mut has_moved = false;
        for follower in &mut followers {
            for attempt in 0.. {
                assert!(attempt < 1_000, "a follower goes on for ever");
                match follower.step().await {
                    Ok(Step::Did(_)) | Err(_) => has_moved = true,
                    Ok(_) => break,
                }
            }
        }
        while let Step::Did(done) = job.step().await.expect("the database works") {
            has_moved |= done > 0;
        }
        if !has_moved {
            break;
        }
    }
    for mut follower in followers {
        follower.release().await;
    }
}

async fn fulfilled() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    placed(&app, "kim").await;
    placed(&app, "rare").await;
    settled(&app).await;
    let mut events = fixture.events().await;
    events.sort();
    assert_eq!(events, [".placed", ".placed", ".rejected", ".reserved", ".shipped", ".sold_out"]);
    assert!(fixture.timers().await.is_empty(), "an ended instance has timers: {:?}", fixture.timers().await);
    let instances = app.processes().list(NAME, None, 9).await.expect("instances are read");
    let ended: Vec<_> = instances.iter().map(|instance| (&*instance.key, instance.status, instance.steps)).collect();
    assert_eq!(ended, [("kim", Status::Ended, 3), ("rare", Status::Ended, 2)]);
    let shown = app.processes().show(NAME, "kim", 9).await.expect("an instance is read").expect("it exists");
    assert_eq!(shown.history.len(), 3, "{:?}", shown.history);
    assert!(shown.history.iter().all(|entry| entry.name == "process.moved"));
    let correlations: Vec<_> = shown.history.iter().map(|entry| entry.metadata.correlation).collect();
    assert!(correlations.iter().all(|correlation| *correlation == correlations[0]), "{correlations:?}");
    settled(&app).await;
    assert_eq!(fixture.events().await.len(), 6, "another run has effects");
}

async fn in_background() {
    let fixture = Fixture::new();
    lock(&fixture.script.silent).push(order("kim"));
    let app = TestApp::start(fixture.builder(fixture.memory.clone())).await.expect("the app starts");
    placed(&app, "kim").await;
    Environment::sleep(&fixture.time, SECOND * 8).await;
    app.settle().await;
    assert_eq!(fixture.events().await, [".placed", ".released", ".rejected"]);
    assert!(fixture.timers().await.is_empty());
}

async fn stuck() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    lock(&fixture.script.failing).push(order("kim"));
    placed(&app, "kim").await;
    settled(&app).await;
    let mut job = app.timer_job();
    for _ in 0..20 {
        job.step().await.expect("the database works");
        fixture.time.advance(SECOND * 30);
    }
    let failed = app.timers().list(&TimerPage { state: TimerState::Failed, ..TimerPage::default() }).await;
    assert_eq!(failed.expect("timers are read").len(), 1);
    fixture.time.advance(SECOND * 86_400);
    let overdue = app.processes().list(NAME, None, 9).await.expect("instances are read");
    assert!(overdue[0].is_overdue, "{overdue:?}");
    settled(&app).await;
    let instances = app.processes().list(NAME, None, 9).await.expect("instances are read");
    assert_eq!(instances[0].status, Status::Ended, "the failed command has held up the deadline");
    let events = fixture.events().await;
    assert_eq!(events[2..], [".released", ".rejected"], "the failed command holds up the compensation: {events:?}");
    assert!(fixture.timers().await.is_empty(), "the failed command was not withdrawn");
}

async fn parked() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    app.send(ShipGoods { order: order("lee") }).await.expect("the goods are shipped");
    placed(&app, "kim").await;
    settled(&app).await;
    let keys = fixture.memory.parked_keys(&ParkedPage::default()).await.expect("parked keys are read");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].key.contains("lee") && keys[0].error.contains("it is absent"), "{keys:?}");
    assert!(fixture.events().await.contains(&".reserved".to_owned()), "the other instance waits");
}

async fn newer() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    lock(&fixture.script.silent).push(order("kim"));
    placed(&app, "kim").await;
    settled(&app).await;
    fixture.changes_instance("\"version\":1", "\"version\":2").await;
    app.send(ReleaseGoods { order: order("kim") }).await.expect("the goods are released");
    settled(&app).await;
    let keys = fixture.memory.parked_keys(&ParkedPage::default()).await.expect("parked keys are read");
    assert_eq!(keys.iter().map(|key| &*key.error).collect::<Vec<_>>(), [LEFT_TO_NEWER_PROGRAM]);
}

async fn older() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    lock(&fixture.script.silent).push(order("kim"));
    placed(&app, "kim").await;
    settled(&app).await;
    fixture.changes_instance("\"version\":1", "\"version\":0").await;
    let found = app.processes().list(NAME, None, 9).await.expect("instances are read");
    assert_eq!(found[0].version, 0);
    fixture.time.advance(SECOND * 5);
    settled(&app).await;
    let found = app.processes().list(NAME, None, 9).await.expect("instances are read");
    assert_eq!((found[0].version, found[0].status), (1, Status::Ended));
    assert_eq!(fixture.events().await, [".placed", ".released", ".rejected"]);
}

/// Loses a part of the batches of a process.
struct Seeded {
    memory: Memory,
    loses_state: bool,
}
#[async_trait]
impl StorageLayer for Seeded {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let is_of_process = batch.rows.iter().any(|row| row.kind.starts_with("process:"));
        match (is_of_process, self.loses_state) {
            (true, true) => {
                batch.rows.clear();
                batch.events.clear();
            }
            (true, false) => batch.timers.clear(),
            (false, _) => (),
        }
        self.memory.commit(batch).await
    }
}
async fn seeded(loses_state: bool) -> Vec<String> {
    let fixture = Fixture::new();
    let storage = Seeded { memory: fixture.memory.clone(), loses_state };
    let app = fixture.builder(storage).build().expect("the app builds");
    app.migrate().await.expect("the app declares itself");
    placed(&app, "kim").await;
    settled(&app).await;
    fixture.events().await
}
async fn seeded_state() {
    let events = seeded(true).await;
    assert!(!events.contains(&".shipped".to_owned()), "the seeded bug makes no difference: {events:?}");
}
async fn seeded_commands() {
    assert_eq!(seeded(false).await, [".placed"], "the seeded bug makes no difference");
}

async fn operators_acts() {
    let fixture = Fixture::new();
    let app = fixture.app().await;
    lock(&fixture.script.failing).push(order("kim"));
    lock(&fixture.script.silent).push(order("lee"));
    placed(&app, "kim").await;
    placed(&app, "lee").await;
    let (processes, by) = (app.processes(), Metadata::default().caller("ann"));
    let mut followers = app.log_followers();
    let mut job = app.timer_job();
    for _ in 0..20 {
        for follower in &mut followers {
            while let Step::Did(_) = follower.step().await.expect("the step succeeds") {}
        }
        job.step().await.expect("the database works");
        fixture.time.advance(SECOND / 5);
    }
    assert_eq!(processes.names(), [NAME]);
    let running = processes.list(NAME, None, 9).await.expect("instances are read");
    let states: Vec<_> = running.iter().map(|instance| (&*instance.key, &*instance.state)).collect();
    assert_eq!(states, [("kim", "Shipping"), ("lee", "Reserving")]);
    assert_eq!(running[1].undo, ["ReleaseGoods"]);
    assert_eq!(processes.list(NAME, Some("kim"), 9).await.expect("instances are read").len(), 1);
    assert!(processes.list("another", None, 9).await.is_err_and(|fault: Fault| fault.to_string().contains(NAME)));
    assert!(processes.cancel(NAME, "lee", true, "a test", &by).await.expect("the database works"));
    assert!(!processes.cancel(NAME, "lee", true, "a test", &by).await.expect("the database works"));
    for _ in 0..20 {
        job.step().await.expect("the database works");
        fixture.time.advance(SECOND * 30);
    }
    assert!(fixture.events().await.contains(&".released".to_owned()), "the steps are not undone");
    let shown = processes.show(NAME, "kim", 9).await.expect("an instance is read").expect("it exists");
    assert_eq!(shown.failed.len(), 1, "{shown:?}");
    lock(&fixture.script.failing).clear();
    assert_eq!(processes.retry(NAME, "kim", &by).await.expect("the database works"), 1);
    settled(&app).await;
    let ended = processes.list(NAME, None, 9).await.expect("instances are read");
    let statuses: Vec<_> = ended.iter().map(|instance| instance.status).collect();
    assert_eq!(statuses, [Status::Ended, Status::Cancelled]);
    let log = fixture.memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(999)).await;
    let acts = log.expect("the log is read").into_iter().filter(|entry| entry.name == "process.cancelled");
    assert_eq!(acts.filter(|act| act.metadata.caller.as_deref() == Some("ann")).count(), 1);
}

async fn built() {
    let app = App::builder("shop").discover_part(flow::MODULE).build();
    let problems = app.expect_err("the commands are missing").problems;
    let missing = problems.iter().filter(|problem| problem.contains("whose handler is not discovered"));
    assert_eq!(missing.count(), 5, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("`ReleaseGoods`")), "{problems:?}");
}

async fn pictured() {
    let app = Fixture::new().app().await;
    let picture = app.processes().picture(NAME).expect("the process exists");
    for line in [
        "Reserving : Reserving, deadline 5 s",
        "[*] --> Reserving : order-of-flow.placed, order-of-flow.rejected, order-of-flow.reminded",
        "Reserving --> Shipping : stock-of-flow.reserved, stock-of-flow.sold_out, stock-of-flow.released",
        "Shipping --> [*] : shipment-of-flow.shipped",
    ] {
        assert!(picture.contains(line), "{line} is not in {picture}");
    }
    let none: Reaction<Fulfilment> = Reaction::none();
    assert_eq!(format!("{none:?}"), "Reaction(flow.fulfilment: the same state, 0 outputs)");
}
