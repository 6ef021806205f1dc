//! Cases for the copies of a view: reads of the copy that serves, the switch, the comparison, and the end of a copy.
use super::draft::{self, BY, Draft, VIEW, batch, commit, position};
use super::{Harness, concurrently, sleep};
use crate::storage::{Batch, CommitError, InboxRecord, Storage, SwitchedReader, ViewSwitch, ViewWrite, copy_of};
use futures_util::FutureExt;

const READER: &str = "projection/card";

fn reader(copy: u64) -> String {
    format!("{READER}~{copy}")
}
/// Writes a value of a copy, with its entry in one index.
fn write(copy: u64, key: &str, expected: u64, value: &[u8]) -> Batch {
    let view = copy_of(VIEW, copy);
    let entries = vec![(BY, value.to_vec())];
    let write = ViewWrite { view, key: key.into(), expected, value: Some(value.to_vec()), entries, index_set: 0 };
    Batch { views: vec![write], ..Batch::default() }
}
fn switch(from: u64, to: u64) -> ViewSwitch {
    let switched = SwitchedReader { live: READER.into(), filled: reader(to), kept: reader(from) };
    ViewSwitch { view: VIEW.into(), from, to, checkpoints: vec![switched.clone()], readers: vec![switched] }
}
async fn switches(storage: &dyn Storage, from: u64, to: u64) -> bool {
    storage.switch_view(&switch(from, to)).await.expect("the storage responds")
}
async fn value(storage: &dyn Storage, name: &str, key: &str) -> Option<Vec<u8>> {
    storage.views(name, &[key.to_owned()]).await.expect("a view can be read").pop()?.value
}
/// Fills copy 0 up to position 5 and copy 1 up to position 7.
async fn filled(storage: &dyn Storage) {
    commit(storage, write(0, "kim", 0, b"old").step(READER, 0, 5, Some(0))).await;
    commit(storage, write(1, "kim", 0, b"new").step(&reader(1), 0, 7, None)).await;
}

pub(super) async fn switched(mut harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    filled(storage).await;
    let entries = async || draft::scan(storage, b"", None, 9).await;
    assert_eq!(storage.serving_copy(VIEW).await.expect("it can be read"), 0);
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"old"[..]), "a copy that is filled is not read");
    assert_eq!(entries().await, [(b"old".to_vec(), "kim".to_owned())]);
    assert!(switches(storage, 0, 1).await);
    assert_eq!(storage.serving_copy(VIEW).await.expect("it can be read"), 1);
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(entries().await, [(b"new".to_vec(), "kim".to_owned())]);
    assert_eq!(
        value(storage, copy_of(VIEW, 0), "kim").await.as_deref(),
        Some(&b"old"[..]),
        "copy 0 has a name as well"
    );
    assert_eq!([position(storage, READER).await, position(storage, &reader(0)).await], [7, 5]);
    let others = storage.views_of_other_index_sets(VIEW, &[1], 9).await.expect("views can be read");
    assert_eq!(others.len(), 1, "values of the copy that serves");
    commit(storage, write(0, "kim", 1, b"older").step(&reader(0), 5, 8, None)).await;
    assert!(switches(storage, 1, 0).await, "a former copy can serve again");
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"older"[..]));
    assert_eq!([position(storage, READER).await, position(storage, &reader(1)).await], [8, 7]);
    let storage = harness.reopen().await;
    assert_eq!(storage.serving_copy(VIEW).await.expect("it can be read"), 0);
}

pub(super) async fn fenced(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    // Both copies are at the beginning, so that the position alone shows no difference.
    assert!(switches(storage, 0, 1).await);
    let late = write(0, "kim", 0, b"lost").step(READER, 0, 5, Some(0));
    let rejected = draft::refused(storage, late).await;
    assert!(matches!(rejected, CommitError::Moved(_)), "{rejected:?}");
    let unnamed = draft::refused(storage, batch().step(READER, 0, 5, None)).await;
    assert!(matches!(unnamed, CommitError::Moved(_)), "a program that knows no copies has moved it: {unnamed:?}");
    let filling = draft::refused(storage, batch().step(&reader(1), 0, 5, None)).await;
    assert!(matches!(filling, CommitError::Moved(_)), "a rebuild goes on after a late switch: {filling:?}");
    commit(storage, write(1, "kim", 0, b"kept").step(READER, 0, 5, Some(1))).await;
    commit(storage, write(2, "kim", 0, b"next").step(&reader(2), 0, 5, None)).await;
    assert!(switches(storage, 1, 2).await);
    let rejected = draft::refused(storage, write(1, "kim", 1, b"lost").step(READER, 5, 6, Some(1))).await;
    assert!(matches!(rejected, CommitError::Moved(_)), "{rejected:?}");
    commit(storage, write(2, "kim", 1, b"last").step(READER, 5, 6, Some(2))).await;
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"last"[..]));
    // A partition that had no record before the switch.
    let partition = format!("{READER}/topic/0");
    commit(storage, batch().step(&partition, 0, 3, Some(2))).await;
    for epoch in [Some(1), None] {
        let rejected = draft::refused(storage, batch().step(&partition, 3, 4, epoch)).await;
        assert!(matches!(rejected, CommitError::Moved(_)), "{epoch:?}: {rejected:?}");
    }
    commit(storage, batch().step(&partition, 3, 4, Some(2))).await;
}

pub(super) async fn refused(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    filled(storage).await;
    commit(storage, batch().step(READER, 5, 8, Some(0))).await;
    let below = storage.checkpoints_below("projection/").await.expect("checkpoints can be read");
    assert_eq!(below, [(READER.to_owned(), 8), (reader(1), 7)]);
    assert_eq!(storage.checkpoints_below("projection/card~").await.expect("checkpoints can be read").len(), 1);
    assert!(!switches(storage, 0, 1).await, "the copy is behind");
    assert!(!switches(storage, 3, 1).await, "another copy serves");
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"old"[..]));
    assert_eq!([position(storage, READER).await, position(storage, &reader(0)).await], [8, 0]);
    commit(storage, batch().step(READER, 8, 9, Some(0))).await;
    commit(storage, batch().step(&reader(1), 7, 9, None)).await;
    assert!(switches(storage, 0, 1).await, "at the same position");
    assert!(!switches(storage, 0, 1).await, "once");
}

pub(super) async fn parked(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let of = |reader: &str, mut batch: Batch| {
        batch.parks.iter_mut().for_each(|park| park.reader = reader.to_owned());
        batch
    };
    let numbers = async |reader: String, key: &str| -> Vec<(u64, String)> {
        let found = storage.parked(&reader, key, 0, 9).await.expect("parked messages can be read");
        found.into_iter().map(|parked| (parked.number, parked.message.to_string())).collect()
    };
    commit(storage, of(READER, batch().park("kim", false))).await;
    commit(storage, of(READER, batch().park("kim", true))).await;
    commit(storage, of(&reader(1), batch().park("lee", false))).await;
    let message = draft::event("user/kim", 1).id;
    let record = InboxRecord { group: reader(1), message };
    commit(storage, Batch { inbox_records: vec![record], ..Batch::default() }).await;
    let live = numbers(READER.to_owned(), "kim").await;
    let shadow = numbers(reader(1), "lee").await;
    assert!(switches(storage, 0, 1).await);
    let kept = numbers(reader(0), "kim").await;
    let messages = |of: &[(u64, String)]| of.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>();
    assert_eq!(messages(&kept), messages(&live), "the former copy keeps its messages, in order");
    assert_eq!(messages(&numbers(READER.to_owned(), "lee").await), messages(&shadow));
    assert_eq!(numbers(READER.to_owned(), "kim").await, []);
    let handled = storage.lookup_inbox(READER, &[message], &[]).await.expect("the inbox can be read").handled;
    assert_eq!(handled, [message]);
    for (number, _) in live.iter().chain(&shadow) {
        let rejected = draft::refused(storage, batch().unpark(*number)).await;
        assert!(matches!(rejected, CommitError::Moved(_)), "a redelivery from before the switch: {rejected:?}");
    }
}

pub(super) async fn compared(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    filled(storage).await;
    for key in ["ann", "bob", "zoe"] {
        commit(storage, write(0, key, 0, b"same")).await;
        commit(storage, write(1, key, 0, b"same")).await;
    }
    commit(storage, write(0, "cat", 0, b"alone")).await;
    commit(storage, write(1, "dan", 0, b"alone")).await;
    let copies = [copy_of(VIEW, 0), copy_of(VIEW, 1)];
    let readers = [[READER.to_owned()], [reader(1)]];
    let (mut after, mut keys, mut different) = (None::<String>, 0, Vec::new());
    loop {
        let page = storage.compare_copies(copies, [&readers[0], &readers[1]], after.as_deref(), 2).await;
        let page = page.expect("views can be read");
        assert_eq!((&*page.first_at, &*page.second_at), (&[5][..], &[7][..]));
        keys += page.keys;
        different.extend(page.different);
        if page.keys < 2 {
            break;
        }
        after = page.last;
    }
    let value = |text: &str| Some(text.as_bytes().to_vec());
    let expected = [
        ("cat".to_owned(), value("alone"), None),
        ("dan".to_owned(), None, value("alone")),
        ("kim".to_owned(), value("old"), value("new")),
    ];
    assert_eq!((keys, &*different), (6, &expected[..]));
}

pub(super) async fn dropped(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    filled(storage).await;
    for key in ["ann", "bob"] {
        commit(storage, write(1, key, 0, b"value")).await;
    }
    let readers = [reader(1)];
    storage.drop_copy(VIEW, 0, &readers, 9).await.expect_err("a copy that serves is not dropped");
    assert_eq!(storage.drop_copy(VIEW, 1, &readers, 2).await.expect("values are removed"), 2);
    assert_eq!(storage.drop_copy(VIEW, 1, &readers, 2).await.expect("values are removed"), 1);
    assert_eq!(storage.drop_copy(VIEW, 1, &readers, 2).await.expect("nothing is left"), 0);
    assert_eq!(position(storage, &reader(1)).await, 0);
    assert!(!switches(storage, 0, 1).await, "a copy that was dropped is behind");
    let copies = [copy_of(VIEW, 1), copy_of(VIEW, 1)];
    assert_eq!(storage.compare_copies(copies, [&[], &[]], None, 9).await.expect("views can be read").keys, 0);
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"old"[..]), "the other copy stays");
    commit(storage, write(2, "kim", 0, b"third").step(&reader(2), 0, 9, None)).await;
    assert!(switches(storage, 0, 2).await);
    assert_eq!(storage.drop_copy(VIEW, 0, &[], 9).await.expect("copy 0 is removed"), 1);
    assert_eq!(value(storage, VIEW, "kim").await.as_deref(), Some(&b"third"[..]));
}

/// Adds numbers to a value, and switches meanwhile between copies that have applied the same numbers.
pub(super) async fn raced(harness: Box<dyn Harness>) {
    const LAST: u64 = 40;
    /// Adds the next number to a copy, as a projection does: it reads the value and then commits it over its version.
    async fn add(storage: &dyn Storage, copy: u64, reader: &str, epoch: Option<u64>) {
        let at = position(storage, reader).await;
        if at == LAST {
            return;
        }
        let name = copy_of(VIEW, copy);
        let found = storage.views(name, &["sum".to_owned()]).await.expect("a view can be read").pop();
        let (expected, sum) = found.map_or((0, 0), |found| {
            let text = String::from_utf8(found.value.unwrap_or_default()).expect("a number is stored");
            (found.version, text.parse::<u64>().expect("a number is stored"))
        });
        let next = write(copy, "sum", expected, (sum + at + 1).to_string().as_bytes());
        match storage.commit(next.step(reader, at, at + 1, epoch)).await {
            Ok(_) | Err(CommitError::Moved(_) | CommitError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let writer = |storage: std::sync::Arc<dyn Storage>| {
        async move {
            while position(&*storage, READER).await < LAST {
                let copy = storage.serving_copy(VIEW).await.expect("it can be read");
                sleep(1).await;
                add(&*storage, copy, READER, Some(copy)).await;
            }
        }
        .boxed()
    };
    let rebuilder = harness.storage();
    let rebuild = async move {
        for (from, to) in [(0, 1), (1, 2), (2, 3)] {
            while !switches(&*rebuilder, from, to).await {
                add(&*rebuilder, to, &reader(to), None).await;
            }
        }
    };
    concurrently([writer(harness.storage()), writer(harness.storage()), rebuild.boxed()]).await;
    let storage = &*harness.storage();
    let sum = (1..=LAST).sum::<u64>().to_string();
    assert_eq!(storage.serving_copy(VIEW).await.expect("it can be read"), 3);
    assert_eq!(value(storage, VIEW, "sum").await, Some(sum.into_bytes()), "each number is added once");
}
