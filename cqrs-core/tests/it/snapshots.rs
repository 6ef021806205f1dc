//! Snapshots of event-sourced aggregates: a load folds few events, and no snapshot is ever needed.
use crate::{
    purse::{Add, Find, StoredAs, counting, emptied, no_states, on_each, open, opened, purses, shared},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, Command, Event, EventSourced, Evolve, Fault, HandlerResult, Repo, handler,
    storage::{Loaded, Memory, SnapshotAndEvents, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, atomic::Ordering::SeqCst};

const EVERY: &[StoredAs] = &[StoredAs::Snapshots(10)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("snapshots: every policy gives the same results and the same log", same_results),
        trial("snapshots: one of another version is ignored, and the next command replaces it", other_version),
        trial("snapshots: one with other fields of a nested type is ignored", nested),
        trial("snapshots: one that cannot be decoded is ignored", unreadable),
        trial("snapshots: a policy of every 0 events is refused when the app is built", zero),
    ];
    trials.extend(on_each("snapshots: a command on a long stream folds few events", EVERY, few_events));
    trials
}

/// Also run on PostgreSQL.
pub(crate) async fn few_events(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let (storage, events) = counting(&storage);
    let app = purses(storage.clone(), stored_as, false).byte_budget(no_states()).build().expect("the app builds");
    opened(&app, "kim").await;
    for amount in 1..=57 {
        let before = events.load(SeqCst);
        assert_eq!(app.send(Add("kim".into(), 1)).await.expect("the amount is added"), amount);
        let folded = events.load(SeqCst) - before;
        assert!(folded < 10, "event {amount} was added after a load of {folded} events");
    }
    assert_eq!(events.load(SeqCst), (1..=57).map(|version| version % 10).sum::<usize>());
    // Another program without snapshots sees the same state.
    let plain = purses(storage, StoredAs::Events, false).build().expect("the app builds");
    assert_eq!(plain.send(Find("kim".into())).await.expect("it is found"), Some(("name of kim".into(), 57)));
}

async fn same_results() {
    let mut results = Vec::new();
    for stored_as in
        [StoredAs::State, StoredAs::Events, StoredAs::Snapshots(1), StoredAs::Snapshots(3), StoredAs::Snapshots(100)]
    {
        let memory = Memory::new();
        let app = purses(memory.clone(), stored_as, true).build().expect("the app builds");
        let mut lines = Vec::new();
        let mut random = 7_u64;
        for step in 0..200 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = ["kim", "lee"][(random >> 40) as usize % 2];
            lines.push(match (random >> 33) % 9 {
                0 => format!("{step} {:?}", app.send(open(id, false)).await.map_err(|error| error.kind())),
                1 => format!("{step} {:?}", app.send(emptied(id)).await.map_err(|error| error.kind())),
                _ => format!("{step} {:?}", app.send(Add(id.into(), step)).await.map_err(|error| error.kind())),
            });
        }
        let log = memory.log(
            cqrs_core::Position(0),
            memory.high_water_mark().await.expect("the memory answers"),
            cqrs_core::storage::ReadLimit::entries(999),
        );
        let log = log.await.expect("the memory answers");
        lines.extend(log.iter().map(|entry| format!("{} {} {}", entry.stream, entry.version, entry.name)));
        results.push((stored_as, lines));
    }
    assert!(results[0].1.iter().any(|line| line.ends_with("cqrs.deleted")), "{:?}", results[0].1);
    for (stored_as, lines) in &results[1..] {
        assert_eq!(lines, &results[0].1, "{stored_as:?}");
    }
}

async fn other_version() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let app = |version| {
        let (storage, events) = counting(&storage);
        let purses = EventSourced::<crate::purse::Purse>::new().snapshot_every(5).snapshot_version(version);
        let app = App::builder("purses").discover_part(crate::purse::PURSE).aggregate(purses).storage(storage);
        (app.byte_budget(no_states()).build().expect("the app builds"), events)
    };
    let (first, _) = app(0);
    opened(&first, "kim").await;
    for _ in 0..10 {
        first.send(Add("kim".into(), 1)).await.expect("the amount is added");
    }
    let (second, events) = app(1);
    assert_eq!(second.send(Add("kim".into(), 1)).await.expect("the amount is added"), 11);
    assert_eq!(events.load(SeqCst), 11, "the snapshot of another version was used");
    assert_eq!(second.send(Add("kim".into(), 1)).await.expect("the amount is added"), 12);
    assert_eq!(events.load(SeqCst), 11, "the command after a long load has written a snapshot");
}

mod before {
    use super::{
        Aggregate, App, Command, Deserialize, Event, EventSourced, Evolve, HandlerResult, Repo, Serialize, Storage,
        handler,
    };
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    pub(super) struct Sums {
        pub(super) total: u64,
    }
    crate::snapshots::gauge!(Sums, |sums, amount| sums.total += amount);
}
mod after {
    use super::{
        Aggregate, App, Command, Deserialize, Event, EventSourced, Evolve, HandlerResult, Repo, Serialize, Storage,
        handler,
    };
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    pub(super) struct Sums {
        pub(super) total: u64,
        #[serde(default)]
        pub(super) largest: u64,
    }
    crate::snapshots::gauge!(Sums, |sums, amount| {
        sums.total += amount;
        sums.largest = sums.largest.max(amount);
    });
}
/// An aggregate with a field of a nested type. The stored form of the aggregate names the type, and not its fields.
macro_rules! gauge {
    ($sums:ty, |$of:ident, $amount:ident| $apply:expr) => {
        #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
        #[aggregate(name = "gauge", event = Measured)]
        pub(super) struct Gauge {
            #[id]
            id: u64,
            pub(super) sums: $sums,
        }
        #[derive(Debug, Clone, Serialize, Deserialize, Event)]
        #[event(name = "gauge.measured", version = 1)]
        pub(super) struct Measured(u64);
        impl Evolve<Measured> for Gauge {
            fn create(id: u64, event: &Measured) -> Option<Self> {
                let mut gauge = Gauge { id, sums: <$sums>::default() };
                gauge.apply(event);
                Some(gauge)
            }
            fn apply(&mut self, event: &Measured) {
                let ($of, $amount) = (&mut self.sums, event.0);
                $apply;
            }
        }
        #[derive(Debug, Clone, Serialize, Deserialize, Command)]
        pub(super) struct Measure(pub(super) u64);
        #[handler]
        async fn measure(command: Measure, gauges: Repo<Gauge>) -> HandlerResult<Option<$sums>> {
            if gauges.find(&1).await?.is_none() {
                gauges.create(1, Measured(command.0))?;
                return Ok(None);
            }
            Ok(Some(gauges.update(&1, |_| Ok(Measured(command.0))).await?.sums))
        }
        pub(super) fn app(storage: impl Storage) -> App {
            let app = App::builder("gauges").discover_part(module_path!()).storage(storage);
            app.aggregate(EventSourced::<Gauge>::new().snapshot_every(2)).build().expect("the app builds")
        }
    };
}
use gauge;

async fn nested() {
    let memory = Memory::new();
    let first = before::app(memory.clone());
    for amount in [3, 9, 4, 1] {
        first.send(before::Measure(amount)).await.expect("it is measured");
    }
    let second = after::app(memory.clone());
    let sums = second.send(after::Measure(2)).await.expect("it is measured").expect("the gauge exists");
    assert_eq!((sums.total, sums.largest), (19, 9), "the field that is computed anew has every event");
    let sums = first.send(before::Measure(1)).await.expect("it is measured").expect("the gauge exists");
    assert_eq!(sums.total, 20, "the former program ignores the snapshots of the next one");
}

/// Returns a snapshot that no program can decode.
struct Unreadable(Memory);
#[async_trait]
impl StorageLayer for Unreadable {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let mut loaded = self.0.snapshot(kind, id, form, response).await?;
        loaded.found.snapshot.iter_mut().for_each(|snapshot| snapshot.state = Some(b"{\"odd\":".to_vec()));
        Ok(loaded)
    }
}
async fn unreadable() {
    let app = purses(Unreadable(Memory::new()), StoredAs::Snapshots(2), false).build().expect("the app builds");
    opened(&app, "kim").await;
    for total in 1..=9 {
        let keyed = app.with(cqrs_core::Metadata::default().key(format!("key {total}")));
        assert_eq!(keyed.send(Add("kim".into(), 1)).await.expect("the amount is added"), total);
        assert_eq!(keyed.send(Add("kim".into(), 1)).await.expect("the response is stored"), total);
    }
}

async fn zero() {
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    let error = purses(shared(&memory), StoredAs::Snapshots(0), false).build().expect_err("the policy is refused");
    assert_eq!(error.problems, ["aggregate `purse` has a snapshot every 0 events: give a number of at least 1"]);
}
