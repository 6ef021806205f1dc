//! Cases for rows, responses, inbox records and checkpoints: reads return the written values.
use super::Harness;
use super::draft::{self, Draft, GROUP, KIND, batch, commit};
use crate::{
    environment::{Environment, SystemEnvironment},
    error::ErrorKind,
    position::Position,
    storage::{Batch, CommitError, StoredResponse, StoredRow},
};

pub(super) async fn unknown(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().row("kim", 0, Some(b"kim"))).await;
    assert_eq!(draft::row(storage, "lee").await, StoredRow::default());
    let other = storage.row("account", "kim", None).await.expect("a row can be read");
    assert_eq!(other.found, StoredRow::default(), "two kinds share their rows");
}

pub(super) async fn tombstone(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().row("kim", 0, Some(b"one"))).await;
    commit(storage, batch().row("kim", 1, None)).await;
    assert_eq!(draft::row(storage, "kim").await, StoredRow { version: 2, state: None });
    let born = draft::refused(storage, batch().row("kim", 0, Some(b"new"))).await;
    assert!(
        matches!(born, CommitError::Conflict { exists: true, .. }),
        "a deleted id was created again at version 1: {born:?}"
    );
    commit(storage, batch().row("kim", 2, Some(b"two"))).await;
    assert_eq!(draft::row(storage, "kim").await, StoredRow { version: 3, state: Some(b"two".to_vec()) });
}

pub(super) async fn big(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let big: Vec<u8> = (0..1 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut all = batch().row("kim", 0, Some(&big)).outgoing("user/kim", 1, 0).view("kim", 0, Some(&big), &[b"kim"]);
    all.events[0].payload = big.clone();
    all.events[0].outgoing.as_mut().expect("it has an outgoing message").body = big.clone();
    all.response = Some(StoredResponse { key: "key".into(), fingerprint: 1, body: big.clone(), position: Position(0) });
    commit(storage, all).await;
    assert!(draft::row(storage, "kim").await.state.as_ref() == Some(&big), "the row's state");
    assert!(draft::stream(storage, "user/kim").await[0].payload == big, "the event's payload");
    let entry = draft::entries(storage, "user/kim").await.remove(0);
    assert!(entry.payload == big, "the payload of the whole entry");
    assert!(entry.outgoing.expect("it has an outgoing message").body == big, "the outgoing message");
    assert!(draft::view(storage, "kim").await.and_then(|view| view.value) == Some(big.clone()), "the view's value");
    let response = storage.response("key").await.expect("a response can be read").expect("the response is stored");
    assert!(response.body == big, "the response's body");
}

pub(super) async fn empty(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut all =
        batch().row("", 0, Some(b"")).outgoing("", 1, 0).view("", 0, Some(b""), &[b""]).take("", "").response("");
    all.events[0].payload = Vec::new();
    all.events[0].outgoing.as_mut().expect("it has an outgoing message").body = Vec::new();
    commit(storage, all).await;
    assert_eq!(draft::row(storage, "").await, StoredRow { version: 1, state: Some(Vec::new()) });
    assert_eq!(draft::stream(storage, "").await[0].payload, b"");
    let entry = draft::entries(storage, "").await.remove(0);
    assert_eq!((entry.payload, entry.outgoing.map(|outgoing| outgoing.body)), (Vec::new(), Some(Vec::new())));
    assert_eq!(
        draft::view(storage, "").await.and_then(|view| view.value),
        Some(Vec::new()),
        "an empty value is not a removed one"
    );
    assert_eq!(draft::scan(storage, b"", None, 9).await, [(Vec::new(), String::new())]);
    assert!(storage.response("").await.expect("a response can be read").is_some());
}

pub(super) async fn texts(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    // Upper case, a trailing space, composed and decomposed characters, quotes, a percent sign, a character beyond 16
    // bits.
    let texts = ["kim", "Kim", "kim ", "é", "e\u{301}", "김", "'\"\\%_", "🦀", "k\nm"];
    for (i, text) in texts.into_iter().enumerate() {
        let state = [i as u8];
        let all =
            batch().row(text, 0, Some(&state)).event(text, 1).take(text, "one").view(text, 0, Some(&state), &[b"x"]);
        commit(storage, all.response(text).step(text, 0, i as u64 + 1, None)).await;
    }
    for (i, text) in texts.into_iter().enumerate() {
        assert_eq!(draft::row(storage, text).await.state, Some(vec![i as u8]), "{text:?}");
        assert_eq!(draft::stream(storage, text).await.len(), 1, "{text:?}");
        assert_eq!(draft::entries(storage, text).await[0].stream, text);
        assert_eq!(draft::view(storage, text).await.and_then(|view| view.value), Some(vec![i as u8]), "{text:?}");
        assert_eq!(draft::position(storage, text).await, i as u64 + 1, "{text:?}");
        let response = storage.response(text).await.expect("a response can be read").expect("the response is stored");
        assert_eq!(response.key, text);
    }
    let mut sorted = texts;
    sorted.sort_unstable();
    let found: Vec<_> = draft::scan(storage, b"x", None, 99).await.into_iter().map(|entry| entry.1).collect();
    assert_eq!(found, sorted, "keys are sorted by their bytes");
}

/// Checks that each of these batches is refused with a fault and that nothing of it is stored. Each has one value that
/// cannot be stored, and a row that could be.
async fn is_fault(harness: &dyn Harness, kind: ErrorKind, all: impl IntoIterator<Item = Batch>) {
    let storage = &*harness.storage();
    for bad in all {
        let rejected = draft::refused(storage, bad.clone().row("kim", 0, Some(b"kim"))).await;
        let is_kind = |rejected: &CommitError| matches!(rejected, CommitError::Fault(fault) if fault.kind() == kind);
        assert!(is_kind(&rejected), "{rejected:?} for {bad:?}");
        assert_eq!(draft::row(storage, "kim").await, StoredRow::default(), "a part of the batch was written: {bad:?}");
        let tx = storage.begin().await.expect("a transaction begins");
        let rejected = tx
            .commit(bad.clone().row("kim", 0, Some(b"kim")))
            .await
            .expect_err("a transaction refuses the batch as well");
        assert!(is_kind(&rejected), "{rejected:?} for {bad:?}");
        assert_eq!(draft::row(storage, "kim").await, StoredRow::default(), "a part of the batch was written: {bad:?}");
    }
}

pub(super) async fn nul(harness: Box<dyn Harness>) {
    let mut caller = batch().event("user/kim", 1);
    caller.events[0].metadata.caller = Some("k\0m".into());
    let mut key = batch().outgoing("user/kim", 1, 0);
    key.events[0].outgoing.as_mut().expect("it has an outgoing message").key = "k\0m".into();
    let mut content_type = batch().outgoing("user/kim", 1, 0);
    content_type.events[0].outgoing.as_mut().expect("it has an outgoing message").content_type = "k\0m".into();
    let all = [
        batch().row("k\0m", 0, Some(b"")),
        batch().event("k\0m", 1),
        caller,
        key,
        content_type,
        batch().take("k\0m", "user/kim"),
        batch().take("Kim", "k\0m"),
        batch().view("k\0m", 0, Some(b""), &[]),
        batch().step("k\0m", 0, 1, None),
        batch().response("k\0m"),
    ];
    is_fault(&*harness, ErrorKind::Invalid, all).await;
    // Bytes may contain NUL; only text may not.
    let all = batch().row("kim", 0, Some(b"k\0m")).view("kim", 0, Some(b"\0"), &[b"\0"]);
    commit(&*harness.storage(), all).await;
}

pub(super) async fn high(harness: Box<dyn Harness>) {
    let mut version = batch().row("lee", 0, Some(b""));
    version.rows[0].version = 1 << 63;
    let all = [version, batch().event("user/kim", 1 << 63), batch().step("cards", 0, u64::MAX, None)];
    is_fault(&*harness, ErrorKind::Internal, all).await;
}

pub(super) async fn response(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    assert_eq!(storage.response("one").await.expect("a response can be read"), None);
    let position = commit(storage, batch().event("user/kim", 1).event("user/kim", 2).response("one")).await;
    commit(storage, batch().row("kim", 0, Some(b"")).response("two")).await;
    for (key, position) in [("one", position), ("two", Position(0))] {
        let expected = StoredResponse { key: key.into(), fingerprint: -7, body: key.as_bytes().to_vec(), position };
        assert_eq!(storage.response(key).await.expect("a response can be read"), Some(expected));
    }
}

pub(super) async fn beside(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().row("kim", 0, Some(b"kim")).event("user/kim", 1).response("key")).await;
    let response = storage.response("key").await.expect("a response can be read");
    for (id, version) in [("kim", 1), ("unknown", 0)] {
        let row = storage.row(KIND, id, Some("key")).await.expect("a row can be read");
        assert_eq!((row.found.version, &row.response), (version, &response), "beside the row {id}");
        let stream = storage.stream(&format!("user/{id}"), 0, Some("key")).await.expect("a stream can be read");
        assert_eq!((stream.found.len() as u64, &stream.response), (version, &response), "beside the stream user/{id}");
    }
    assert_eq!(storage.row(KIND, "kim", Some("other")).await.expect("a row can be read").response, None);
    assert_eq!(storage.stream("user/kim", 0, None).await.expect("a stream can be read").response, None);
}

pub(super) async fn handled(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let messages: Vec<_> = (0..20).map(|_| SystemEnvironment.id()).collect();
    for message in &messages[..10] {
        commit(storage, batch().inbox_record(*message)).await;
    }
    let mut handled = storage.lookup_inbox(GROUP, &messages[5..15], &[]).await.expect("the inbox can be read").handled;
    handled.sort_unstable();
    assert_eq!(handled, messages[5..10]);
    assert!(storage.lookup_inbox("another", &messages, &[]).await.expect("the inbox can be read").handled.is_empty());
    assert!(storage.lookup_inbox(GROUP, &[], &[]).await.expect("the inbox can be read").handled.is_empty());
}

pub(super) async fn checkpoints(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().step("b", 0, 20, None).step("a", 0, 10, None)).await;
    commit(storage, batch().step("b", 20, 25, None)).await;
    let names = ["unknown", "b", "a"].map(str::to_owned);
    assert_eq!(storage.checkpoints(&names).await.expect("checkpoints can be read"), [0, 25, 10]);
    assert_eq!(storage.checkpoints(&[]).await.expect("checkpoints can be read"), [0; 0]);
}
