//! The stored form of values: everything that is committed can be read back, and exactly.
use crate::trials::trial;
use cqrs_core::{
    Aggregate, App, Change, Command, ErrorKind, Event, EventSourced, Evolve, HandlerResult, IntegrationEvent, Metadata,
    Position, Recorded, Repo, StateStored, View, handler, projection, publish, storage::Memory, testing::TestApp,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("stored form: numbers in states, events, views and responses are read back exactly", exact),
        trial("stored form: a command with a number that is not finite is refused and stores nothing", not_finite),
        trial("stored form: a value that its type cannot read back is refused and stores nothing", unreadable),
    ]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "probe", event = Measured)]
struct Probe {
    #[id]
    id: String,
    last: f64,
    /// The quotient of the last two values, which may not be finite although both are.
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "measured", version = 1)]
struct Measured {
    value: f64,
    note: String,
}
impl Evolve<Measured> for Probe {
    fn create(id: String, event: &Measured) -> Option<Self> {
        Some(Probe { id, last: event.value, ratio: None, note: event.note.clone() })
    }
    fn apply(&mut self, event: &Measured) {
        self.ratio = Some(event.value / self.last);
        (self.last, self.note) = (event.value, event.note.clone());
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct Measure {
    value: f64,
    note: String,
}
#[handler]
async fn measure(command: Measure, probes: Repo<Probe>) -> HandlerResult<f64> {
    let (id, event) = ("one".to_owned(), Measured { value: command.value, note: command.note });
    match probes.find(&id).await? {
        None => probes.create(id, event)?,
        Some(_) => probes.update(&id, |_| Ok(event)).await?,
    };
    Ok(command.value)
}
/// Returns a number that is not finite and stores nothing else.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct Divide(f64, f64);
#[handler]
async fn divide(command: Divide) -> HandlerResult<f64> {
    Ok(command.0 / command.1)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "reading", key = String)]
struct Reading {
    value: f64,
}
#[projection(name = "reading")]
fn reading(event: &Recorded<Measured>) -> Change<Reading> {
    Reading { value: event.value }.put(event.aggregate_id.clone())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.measured.v1", topic = "probe.events.v1", key = id)]
struct Reported {
    id: String,
    inverse: Option<f64>,
}
#[publish]
fn reported(event: &Recorded<Measured>) -> Option<Reported> {
    Some(Reported { id: event.aggregate_id.clone(), inverse: Some(1.0 / event.value) })
}

fn measured(value: f64) -> Measure {
    Measure { value, note: "n".into() }
}
async fn log(app: &App) -> Vec<cqrs_core::event::Entry> {
    let upto = app.storage().high_water_mark().await.expect("the storage responds");
    app.storage()
        .log(Position(0), upto, cqrs_core::storage::ReadLimit::entries(100))
        .await
        .expect("the storage responds")
}
fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).expect("the stored bytes are JSON")
}

async fn exact() {
    let app = App::builder("probes").discover_part(module_path!()).aggregate(StateStored::<Probe>::new());
    let app = TestApp::start(app).await.expect("the app starts");
    // The fourth is 632/7; the parser of serde_json returns the neighbour of some of these by default.
    let values = [0.1, 1e-100, 1e100, 632.0 / 7.0, 5.960_464_477_539_063e-8, 1.234_567_890_123_456_7e-7];
    for (number, value) in values.into_iter().enumerate() {
        let with = app.with(Metadata::default().key(format!("key {number}")));
        for _ in 0..2 {
            assert_eq!(with.send(measured(value)).await.expect("the value is stored"), value);
        }
        let row = app.storage().row("probe", "one", None).await.expect("the storage responds").found.state;
        assert_eq!(json::<Probe>(&row.expect("the state is stored")).last, value);
    }
    app.settle().await;
    let entries = log(&app).await;
    assert_eq!(entries.iter().map(|entry| json::<Measured>(&entry.payload).value).collect::<Vec<_>>(), values);
    let view = app.storage().views("reading", &["one".to_owned()]).await.expect("the storage responds").remove(0);
    assert_eq!(json::<Reading>(&view.value.expect("the view is stored")).value, values[5]);
    assert!(app.stop().await);
}

async fn not_finite() {
    let storage = Memory::new();
    let app = App::builder("probes").discover_part(module_path!()).storage(storage.clone());
    let app = app.aggregate(EventSourced::<Probe>::new()).build().expect("the app builds");
    let keyed = app.with(Metadata::default().key("key"));
    let refusals = [
        app.send(measured(f64::NAN)).await,               // in the event
        app.send(measured(0.0)).await,                    // in the integration event
        keyed.send(Divide(1.0, 0.0)).await,               // in the response
        keyed.send(Divide(f64::NEG_INFINITY, 1.0)).await, // in the response, and the command itself
    ];
    for refusal in refusals {
        let error = refusal.expect_err("the number is not finite");
        assert_eq!((error.kind(), &*error.reason()), (ErrorKind::Invalid, "INVALID"), "{error}");
    }
    assert!(log(&app).await.is_empty());
    // In the state alone: the quotient of two finite numbers.
    let app = App::builder("probes").discover_part(module_path!()).storage(storage);
    let app = app.aggregate(StateStored::<Probe>::new()).build().expect("the app builds");
    app.send(measured(1e-300)).await.expect("the value is stored");
    let error = app.send(measured(1e300)).await.expect_err("the quotient is not finite");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(log(&app).await.len(), 1);
    app.send(measured(1.0)).await.expect("the aggregate is still usable");
}

async fn unreadable() {
    let app = App::builder("probes").discover_part(module_path!()).aggregate(StateStored::<Probe>::new());
    let app = app.build().expect("the app builds");
    let error = app.send(Measure { value: 1.0, note: String::new() }).await.expect_err("the state has no note");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("Probe` cannot be read back"), "{error}");
    assert!(log(&app).await.is_empty());
}
