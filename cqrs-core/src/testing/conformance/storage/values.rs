//! Rows, answers, marks and positions: what was written is what is read.
use super::{
    Bench,
    draft::{self, Draft, GROUP, KIND, batch, commit},
};
use crate::{
    Position,
    batch::{Answer, Batch, Rejected},
    storage::StoredRow,
    world::{Machine, World},
};

pub(super) async fn unknown(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().row("kim", 0, Some(b"kim"))).await;
    assert_eq!(draft::row(storage, "lee").await, StoredRow::default());
    let other = storage.row("account", "kim", None).await.expect("a row can be read");
    assert_eq!(other.found, StoredRow::default(), "kinds share their ids");
}

pub(super) async fn tombstone(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().row("kim", 0, Some(b"one"))).await;
    commit(storage, batch().row("kim", 1, None)).await;
    assert_eq!(draft::row(storage, "kim").await, StoredRow { version: 2, state: None });
    let born = draft::refused(storage, batch().row("kim", 0, Some(b"new"))).await;
    assert!(
        matches!(born, Rejected::Conflict { exists: true, .. }),
        "an id that was deleted began again at 1: {born:?}"
    );
    commit(storage, batch().row("kim", 2, Some(b"two"))).await;
    assert_eq!(draft::row(storage, "kim").await, StoredRow { version: 3, state: Some(b"two".to_vec()) });
}

pub(super) async fn big(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let big: Vec<u8> = (0..1 << 20).map(|it: u32| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut all = batch().row("kim", 0, Some(&big)).told("user-kim", 1, 0).view("kim", 0, Some(&big), &[b"kim"]);
    all.events[0].payload = big.clone();
    all.events[0].told.as_mut().expect("it is told").body = big.clone();
    all.answer = Some(Answer { key: "key".into(), fingerprint: 1, body: big.clone(), position: Position(0) });
    commit(storage, all).await;
    assert!(draft::row(storage, "kim").await.state.as_ref() == Some(&big), "the row's state");
    let entry = draft::stream(storage, "user-kim").await.remove(0);
    assert!(entry.payload == big, "the event's payload");
    assert!(entry.told.expect("it is told").body == big, "what others are told");
    assert!(draft::view(storage, "kim").await.and_then(|it| it.value) == Some(big.clone()), "the view's value");
    let answer = storage.answer("key").await.expect("an answer can be read").expect("and is there");
    assert!(answer.body == big, "the answer's body");
}

pub(super) async fn nothing(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let mut all = batch().row("", 0, Some(b"")).told("", 1, 0).view("", 0, Some(b""), &[b""]).take("", "").answer("");
    all.events[0].payload = Vec::new();
    all.events[0].told.as_mut().expect("it is told").body = Vec::new();
    commit(storage, all).await;
    assert_eq!(draft::row(storage, "").await, StoredRow { version: 1, state: Some(Vec::new()) });
    let entry = draft::stream(storage, "").await.remove(0);
    assert_eq!((entry.payload, entry.told.map(|it| it.body)), (Vec::new(), Some(Vec::new())));
    assert_eq!(draft::view(storage, "").await.and_then(|it| it.value), Some(Vec::new()), "empty is not removed");
    assert_eq!(draft::scan(storage, b"", None, 9).await, [(Vec::new(), String::new())]);
    assert!(storage.answer("").await.expect("an answer can be read").is_some());
}

pub(super) async fn texts(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    // Upper case, a trailing blank, composed and decomposed, quotes, a percent sign, a character beyond 16 bits.
    let texts = ["kim", "Kim", "kim ", "é", "e\u{301}", "김", "'\"\\%_", "🦀", "k\nm"];
    for (i, text) in texts.into_iter().enumerate() {
        let state = [i as u8];
        let all =
            batch().row(text, 0, Some(&state)).event(text, 1).take(text, "one").view(text, 0, Some(&state), &[b"x"]);
        commit(storage, all.answer(text).step(text, 0, i as u64 + 1, None)).await;
    }
    for (i, text) in texts.into_iter().enumerate() {
        assert_eq!(draft::row(storage, text).await.state, Some(vec![i as u8]), "{text:?}");
        assert_eq!(draft::stream(storage, text).await[0].stream, text);
        assert_eq!(draft::view(storage, text).await.and_then(|it| it.value), Some(vec![i as u8]), "{text:?}");
        assert_eq!(draft::position(storage, text).await, i as u64 + 1, "{text:?}");
        let answer = storage.answer(text).await.expect("an answer can be read").expect("and is there");
        assert_eq!(answer.key, text);
    }
    let mut sorted = texts;
    sorted.sort_unstable();
    let found: Vec<_> = draft::scan(storage, b"x", None, 99).await.into_iter().map(|it| it.1).collect();
    assert_eq!(found, sorted, "keys sort by their bytes");
}

/// Each of these batches holds one thing that cannot be kept, beside a row that could.
async fn is_fault(bench: &dyn Bench, all: impl IntoIterator<Item = Batch>) {
    let storage = &*bench.storage();
    for bad in all {
        let rejected = draft::refused(storage, bad.clone().row("kim", 0, Some(b"kim"))).await;
        assert!(matches!(rejected, Rejected::Fault(_)), "{rejected:?} for {bad:?}");
        assert_eq!(draft::row(storage, "kim").await, StoredRow::default(), "a part of it was written: {bad:?}");
        let tx = storage.begin().await.expect("a transaction begins");
        let rejected =
            tx.commit(bad.clone().row("kim", 0, Some(b"kim"))).await.expect_err("not in a transaction either");
        assert!(matches!(rejected, Rejected::Fault(_)), "{rejected:?} for {bad:?}");
        assert_eq!(draft::row(storage, "kim").await, StoredRow::default(), "a part of it was written: {bad:?}");
    }
}

pub(super) async fn nul(bench: Box<dyn Bench>) {
    let mut caller = batch().event("user-kim", 1);
    caller.events[0].metadata.caller = Some("k\0m".into());
    let mut key = batch().told("user-kim", 1, 0);
    key.events[0].told.as_mut().expect("it is told").key = "k\0m".into();
    let all = [
        batch().row("k\0m", 0, Some(b"")),
        batch().event("k\0m", 1),
        caller,
        key,
        batch().take("k\0m", "user-kim"),
        batch().take("Kim", "k\0m"),
        batch().view("k\0m", 0, Some(b""), &[]),
        batch().step("k\0m", 0, 1, None),
        batch().answer("k\0m"),
    ];
    is_fault(&*bench, all).await;
    // Bytes are not text.
    let all = batch().row("kim", 0, Some(b"k\0m")).view("kim", 0, Some(b"\0"), &[b"\0"]);
    commit(&*bench.storage(), all).await;
}

pub(super) async fn high(bench: Box<dyn Bench>) {
    let mut version = batch().row("lee", 0, Some(b""));
    version.rows[0].version = 1 << 63;
    is_fault(&*bench, [version, batch().event("user-kim", 1 << 63), batch().step("cards", 0, u64::MAX, None)]).await;
}

pub(super) async fn answer(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    assert_eq!(storage.answer("one").await.expect("an answer can be read"), None);
    let position = commit(storage, batch().event("user-kim", 1).event("user-kim", 2).answer("one")).await;
    commit(storage, batch().row("kim", 0, Some(b"")).answer("two")).await;
    for (key, position) in [("one", position), ("two", Position(0))] {
        let expected = Answer { key: key.into(), fingerprint: -7, body: key.as_bytes().to_vec(), position };
        assert_eq!(storage.answer(key).await.expect("an answer can be read"), Some(expected));
    }
}

pub(super) async fn beside(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().row("kim", 0, Some(b"kim")).event("user-kim", 1).answer("key")).await;
    let answer = storage.answer("key").await.expect("an answer can be read");
    for (id, version) in [("kim", 1), ("nobody", 0)] {
        let row = storage.row(KIND, id, Some("key")).await.expect("a row can be read");
        assert_eq!((row.found.version, &row.answer), (version, &answer), "beside the row {id}");
        let stream = storage.stream(&format!("user-{id}"), 0, Some("key")).await.expect("a stream can be read");
        assert_eq!((stream.found.len() as u64, &stream.answer), (version, &answer), "beside the stream user-{id}");
    }
    assert_eq!(storage.row(KIND, "kim", Some("other")).await.expect("a row can be read").answer, None);
    assert_eq!(storage.stream("user-kim", 0, None).await.expect("a stream can be read").answer, None);
}

pub(super) async fn seen(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let messages: Vec<_> = (0..20).map(|_| Machine.id()).collect();
    for message in &messages[..10] {
        commit(storage, batch().mark(*message)).await;
    }
    let mut seen = storage.seen(GROUP, &messages[5..15], &[]).await.expect("marks can be read").handled;
    seen.sort_unstable();
    assert_eq!(seen, messages[5..10]);
    assert!(storage.seen("another", &messages, &[]).await.expect("marks can be read").handled.is_empty());
    assert!(storage.seen(GROUP, &[], &[]).await.expect("marks can be read").handled.is_empty());
}

pub(super) async fn positions(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().step("b", 0, 20, None).step("a", 0, 10, None)).await;
    commit(storage, batch().step("b", 20, 25, None)).await;
    let names = ["unknown", "b", "a"].map(str::to_owned);
    assert_eq!(storage.positions(&names).await.expect("positions can be read"), [0, 25, 10]);
    assert_eq!(storage.positions(&[]).await.expect("positions can be read"), [0; 0]);
}
