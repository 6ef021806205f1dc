//! Given-when-then tests of projections: they pass for the right values, and fail for every other.
use cqrs_core::{
    Aggregate, Change, Event, Evolve, IntegrationEvent, Recorded, Timestamp, View, projection, testing::projections_of,
};
use libtest_mimic::{Failed, Trial};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) fn trials() -> Vec<Trial> {
    let test = |name: &str, test: fn()| {
        Trial::test(format!("given views: {name}"), move || {
            test();
            Ok::<_, Failed>(())
        })
    };
    vec![
        test("the values after the events are those of the projections, on the log and on topics", values),
        test("a time of an event is the one that was set", times),
        test("every wrong expectation fails, and says what was found", wrong),
        test("an event that no projection handles, and one that cannot be applied, fail the test", failing),
    ]
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "shelf", event = ShelfEvent)]
#[expect(dead_code, reason = "the projections read its events, and no app has it")]
struct Shelf {
    #[id]
    id: u64,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "shelf", version = 1)]
enum ShelfEvent {
    Put { book: String },
    Taken { book: String },
    Burnt,
}
impl Evolve<ShelfEvent> for Shelf {
    fn create(id: u64, _: &ShelfEvent) -> Option<Self> {
        Some(Shelf { id })
    }
    fn apply(&mut self, _: &ShelfEvent) {}
}
#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "book.renamed.v1", topic = "books.v1", key = book)]
struct BookRenamed {
    book: String,
    title: String,
}
#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "book.lost.v1", topic = "books.v1", key = book)]
struct BookLost {
    book: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "place-of-book", key = String)]
#[index(on_shelf(shelf, title))]
struct Place {
    shelf: u64,
    title: String,
    since: Timestamp,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "unprojected", key = String)]
struct Unprojected;

#[projection(name = "place-of-book")]
fn placed(event: &Recorded<ShelfEvent>) -> Change<Place> {
    let (shelf, since) = (event.aggregate_id, event.occurred_at);
    match event.event.clone() {
        ShelfEvent::Put { book } => Place { shelf, title: book.clone(), since }.put(book),
        ShelfEvent::Taken { book } => Place::remove(book),
        ShelfEvent::Burnt => panic!("seeded: the projection has no answer"),
    }
}
/// The other source of the view.
#[projection(name = "title-of-book")]
fn renamed(event: &BookRenamed) -> Change<Place> {
    let title = event.title.clone();
    Place::update_where(Place::on_shelf(), {
        let book = event.book.clone();
        move |place| {
            if place.title == book {
                place.title.clone_from(&title);
            }
        }
    })
}

fn place(shelf: u64, title: &str) -> Place {
    Place { shelf, title: title.into(), since: Timestamp::UNIX_EPOCH }
}
fn put(book: &str) -> ShelfEvent {
    ShelfEvent::Put { book: book.into() }
}
fn values() {
    let dune = || BookRenamed { book: "dune".into(), title: "Dune Messiah".into() };
    projections_of::<Place>()
        .given(1, put("dune"))
        .given(2, put("emma"))
        .when(1, put("ulysses"))
        .then("dune".into(), place(1, "dune"))
        .then("ulysses".into(), place(1, "ulysses"))
        .then_none("hamlet".into())
        .then_range(Place::on_shelf().shelf(1), [place(1, "dune"), place(1, "ulysses")]);
    projections_of::<Place>()
        .given(1, put("dune"))
        .when_message(&dune())
        .then("dune".into(), place(1, "Dune Messiah"))
        .then_range(Place::on_shelf(), [place(1, "Dune Messiah")]);
    projections_of::<Place>()
        .given(1, put("dune"))
        .given_message(&dune())
        .when(1, ShelfEvent::Taken { book: "dune".into() })
        .then_none("dune".into())
        .then_range(Place::on_shelf(), []);
    projections_of::<Place>().when_message(&dune()).then_unchanged();
    projections_of::<Place>().when(1, ShelfEvent::Taken { book: "dune".into() }).then_unchanged();
}
fn times() {
    let noon = Timestamp::UNIX_EPOCH + chrono::TimeDelta::hours(12);
    projections_of::<Place>()
        .given(1, put("emma"))
        .at(noon)
        .when(1, put("dune"))
        .then("emma".into(), place(1, "emma"))
        .then("dune".into(), Place { since: noon, ..place(1, "dune") });
}

/// Returns the message of the panic with which a test fails.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test fails");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a panic with a message")
}
fn wrong() {
    let dune = || projections_of::<Place>().when(1, put("dune"));
    let other = failure(|| drop(dune().then("dune".into(), place(2, "dune"))));
    assert!(other.contains("view place-of-book under dune") && other.contains("shelf: 1"), "{other}");
    let missing = failure(|| drop(dune().then("emma".into(), place(1, "emma"))));
    assert!(missing.contains("None"), "{missing}");
    let found = failure(|| drop(dune().then_none("dune".into())));
    assert!(found.contains("shelf: 1"), "{found}");
    let range = failure(|| drop(dune().then_range(Place::on_shelf().shelf(1), [])));
    assert!(range.contains("shelf: 1"), "{range}");
    let changed = failure(|| drop(dune().then_unchanged()));
    assert_eq!(changed, "the event has changed view place-of-book");
    // The same value again is a write, and no change.
    projections_of::<Place>().given(1, put("dune")).when(1, put("dune")).then_unchanged();
}
fn failing() {
    let unhandled = failure(|| drop(projections_of::<Place>().given_message(&BookLost { book: "dune".into() })));
    assert_eq!(unhandled, "no projection of view place-of-book handles the event book.lost.v1");
    let panicking = failure(|| drop(projections_of::<Place>().when(1, ShelfEvent::Burnt)));
    assert!(panicking.contains("the projection panicked"), "{panicking}");
    let unprojected = failure(|| drop(projections_of::<Unprojected>()));
    assert_eq!(unprojected, "this program has no projection of view unprojected");
}
