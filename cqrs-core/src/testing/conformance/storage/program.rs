//! Cases for the programs of a database, the data that it holds, and the messages that are left to a newer program.
use super::Harness;
use super::draft::{Draft, KIND, VIEW, batch, commit};
use crate::storage::{LEFT_TO_NEWER_PROGRAM, StoredData, StoredProgram};

pub(super) async fn declared(harness: Box<dyn Harness>) {
    let mut harness = harness;
    let storage = harness.storage();
    let declare = async |text: &str| storage.declare_program(text).await.expect("a program can be declared").0;
    assert_eq!(storage.programs(0).await.expect("programs can be read"), []);
    // Longer than an index entry may be.
    let long = format!("{{\"of\":\"{}\"}}", "kim ".repeat(5_000));
    let (first, second) = (declare("{}").await, declare(&long).await);
    assert!(0 < first && first < second, "{first} {second}");
    assert_eq!(declare("{}").await, first, "the same program has the same number");
    let third = declare("{\"of\":\"lee\"}").await;
    let storage = harness.reopen().await;
    let program = |number, text: &str| StoredProgram { number, declaration: text.to_owned() };
    let all = [program(first, "{}"), program(second, &long), program(third, "{\"of\":\"lee\"}")];
    assert_eq!(storage.programs(0).await.expect("programs can be read"), all);
    assert_eq!(storage.programs(first).await.expect("programs can be read"), all[1..]);
}

pub(super) async fn holds(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let holds = async |data| storage.holds(&data).await.expect("the database responds");
    let (aggregate, view) =
        (|name: &str| StoredData::Aggregate(name.into()), |name: &str| StoredData::View(name.into()));
    assert!(!holds(aggregate(KIND)).await && !holds(view(VIEW)).await);
    commit(storage, batch().row("kim", 0, Some(b"{}")).view("kim", 0, Some(b"1"), &[])).await;
    assert!(holds(aggregate(KIND)).await && holds(view(VIEW)).await);
    // A stream alone counts as well, and the stream of another name does not.
    commit(storage, batch().event("userx/kim", 1).event("order/kim", 1)).await;
    assert!(holds(aggregate("order")).await && !holds(aggregate("orde")).await && !holds(aggregate("use")).await);
    let event = storage.stream("order/kim", 0, None).await.expect("the stream can be read").found.remove(0);
    assert!(holds(StoredData::Event(event.name.clone())).await);
    assert!(!holds(StoredData::Event(format!("{}x", event.name))).await);
    commit(storage, batch().view("kim", 1, None, &[])).await;
    assert!(!holds(view(VIEW)).await, "a removed value is no data");
}

pub(super) async fn left(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut parked = batch().park("kim", false).park("lee", false).park("ann", false);
    parked.parks[1].error = LEFT_TO_NEWER_PROGRAM.to_owned();
    parked.parks[2].error = LEFT_TO_NEWER_PROGRAM.to_owned();
    let reader = parked.parks[1].reader.clone();
    commit(storage, parked).await;
    let mut behind = batch().park("kim", true).park("lee", true);
    behind.parks[0].error = LEFT_TO_NEWER_PROGRAM.to_owned();
    commit(storage, behind).await;
    let left = async |limit| {
        let mut left = storage.left_to_newer_program(limit).await.expect("the database responds");
        left.sort_unstable();
        left
    };
    // The first message of kim waits for an operator.
    assert_eq!(left(9).await, [(reader.clone(), "ann".to_owned()), (reader, "lee".to_owned())]);
    assert_eq!(left(1).await.len(), 1);
}

pub(super) async fn reasons(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut parked = batch().park("kim", false);
    parked.parks[0].error = LEFT_TO_NEWER_PROGRAM.to_owned();
    let reader = parked.parks[0].reader.clone();
    commit(storage, parked).await;
    commit(storage, batch().park("kim", true)).await;
    let messages = async || storage.parked(&reader, "kim", 0, 9).await.expect("the database responds");
    let before = messages().await;
    let replace = async |expected: &str| {
        storage.replace_parked_error(before[0].number, expected, "withdrawn").await.expect("the database responds")
    };
    assert!(!replace("another error").await, "the error is another one");
    assert_eq!(messages().await, before);
    assert!(replace(LEFT_TO_NEWER_PROGRAM).await && !replace(LEFT_TO_NEWER_PROGRAM).await);
    let after = messages().await;
    assert_eq!((&*after[0].error, after[0].number, after[0].since), ("withdrawn", before[0].number, before[0].since));
    assert_eq!(after[1..], before[1..]);
    assert_eq!(storage.left_to_newer_program(9).await.expect("the database responds"), []);
    let gone = storage.replace_parked_error(before[1].number + 1, LEFT_TO_NEWER_PROGRAM, "withdrawn").await;
    assert!(!gone.expect("the database responds"), "there is no such message");
    storage.replace_parked_error(1, "", "a\0b").await.expect_err("no database stores NUL in a text");
}

pub(super) async fn notes(harness: Box<dyn Harness>) {
    let mut harness = harness;
    let storage = harness.storage();
    let replace = async |name: &str, expected: Option<&str>, value: Option<&str>| {
        storage.replace_note(name, expected, value).await.expect("the database responds")
    };
    assert!(!replace("topic/b", Some("1"), Some("2")).await, "there is no note yet");
    assert!(replace("topic/b", None, Some("1")).await && replace("topic/a%", None, Some("3")).await);
    assert!(replace("topicx", None, Some("4")).await && replace("lost/김", None, Some("5")).await);
    assert!(!replace("topic/b", None, Some("2")).await && !replace("topic/b", Some("2"), Some("3")).await);
    assert!(replace("topic/b", Some("1"), Some("2")).await);
    assert!(!replace("topicx", Some("5"), None).await && replace("topicx", Some("4"), None).await);
    let storage = harness.reopen().await;
    let notes = async |prefix| storage.notes(prefix).await.expect("the database responds");
    let note = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(notes("topic/").await, [note("topic/a%", "3"), note("topic/b", "2")]);
    assert_eq!(notes("topic/a%").await, [note("topic/a%", "3")]);
    assert_eq!(notes("").await.len(), 3);
    assert_eq!(notes("lost/김").await, [note("lost/김", "5")]);
}
