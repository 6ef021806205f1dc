//! Cases for streams: contiguous versions, and unchanged events.
use super::Harness;
use super::draft::{self, Draft, at, batch, commit};
use crate::{
    environment::{Environment, SystemEnvironment},
    event::{Entry, StreamEvent},
    metadata::{ConsistencyToken, Metadata},
    position::Position,
    storage::{CommitError, ReadLimit},
};

pub(super) async fn read(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).event("user/lee", 1).event("user/kim", 2)).await;
    commit(storage, batch().event("user/kim", 3)).await;
    let versions = async |after| {
        let found = storage.stream("user/kim", after, None).await.expect("a stream can be read").found;
        found.into_iter().map(|event| event.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(0).await, [1, 2, 3]);
    assert_eq!(versions(2).await, [3]);
    assert_eq!(versions(3).await, [0; 0]);
    assert_eq!(versions(u64::MAX).await, [0; 0]);
    assert_eq!(draft::stream(storage, "user/unknown").await, []);
}

pub(super) async fn conflict(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1).event("user/kim", 2)).await;
    for (version, creates) in [(1, true), (2, false)] {
        let rejected = draft::refused(storage, batch().event("user/kim", version)).await;
        let CommitError::Conflict { exists, .. } = rejected else { panic!("refused with {rejected:?}") };
        assert_eq!(exists, creates, "`exists` is true only for version 1; this is {version}");
    }
    let twice = draft::refused(storage, batch().event("user/lee", 1).event("user/lee", 1)).await;
    assert!(matches!(twice, CommitError::Conflict { .. }), "{twice:?}");
    assert_eq!(draft::log(storage).await.len(), 2);
}

pub(super) async fn gap(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().event("user/kim", 1)).await;
    for bad in [
        batch().event("user/kim", 3),
        batch().event("user/lee", 2),
        batch().event("user/kim", 2).event("user/kim", 4),
        batch().event("user/lee", 0),
    ] {
        let rejected = draft::refused(storage, bad.clone()).await;
        assert!(matches!(rejected, CommitError::Conflict { exists: false, .. }), "{rejected:?} for {bad:?}");
    }
    assert_eq!(draft::log(storage).await.len(), 1);
}

pub(super) async fn event(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut all = batch().outgoing("user/kim", 1, 15).event("user/kim", 2);
    all.events[0].schema = u32::from(u16::MAX);
    all.events[0].occurred_at = at(123_456_000);
    all.events[0].metadata =
        Metadata::default().caller("kim \"é\"").caused_by(SystemEnvironment.id(), Some(SystemEnvironment.id()));
    all.events[0].metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    all.events[0].metadata.tracestate = Some("vendor=1,other=a b".into());
    let given = all.events.clone();
    let last = commit(storage, all).await;
    let found = draft::entries(storage, "user/kim").await;
    assert_eq!(found[1].position, last);
    let expected: Vec<_> = given
        .into_iter()
        .zip(&found)
        .map(|(event, found)| Entry {
            position: found.position,
            stream: event.stream,
            version: event.version,
            id: event.id,
            name: event.name.to_owned(),
            schema: event.schema,
            payload: event.payload,
            metadata: event.metadata,
            occurred_at: event.occurred_at,
            outgoing: event.outgoing,
        })
        .collect();
    assert_eq!(found, expected, "read by its stream");
    let loaded: Vec<_> = expected.iter().map(StreamEvent::from).collect();
    assert_eq!(draft::stream(storage, "user/kim").await, loaded, "loaded for a fold");
    assert_eq!(draft::log(storage).await, expected, "read from the log");
    let high_water_mark = storage.high_water_mark().await.expect("the high-water mark can be read");
    let outgoing = storage
        .outgoing_entries(&[(15, Position(0))], high_water_mark, ReadLimit::entries(9))
        .await
        .expect("relay shards can be read");
    let without_payload = Entry { payload: Vec::new(), ..expected[0].clone() };
    assert_eq!(outgoing, [without_payload], "read from its relay shard");
}

pub(super) async fn unstored(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut token = ConsistencyToken::default();
    token.raise("user", Position(7));
    let mut all = batch().event("user/kim", 1);
    all.events[0].occurred_at = at(123_456_789);
    all.events[0].metadata = Metadata::default().caller("kim").key("secret").deadline(at(0)).token(token);
    commit(storage, all).await;
    let found = draft::entries(storage, "user/kim").await.remove(0);
    assert_eq!(
        found.metadata,
        Metadata::default().caller("kim"),
        "the key, deadline and token of the request were stored"
    );
    assert_eq!(found.occurred_at, at(123_456_000), "a time is stored with microseconds");
}
