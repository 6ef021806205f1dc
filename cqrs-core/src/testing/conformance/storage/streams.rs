//! Streams: contiguous versions, and events as they were.
use super::{
    Bench,
    draft::{self, Draft, at, batch, commit},
};
use crate::{
    Metadata, Position, PositionToken,
    batch::{Entry, Rejected},
    world::{Machine, World},
};

pub(super) async fn read(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().event("user-kim", 1).event("user-lee", 1).event("user-kim", 2)).await;
    commit(storage, batch().event("user-kim", 3)).await;
    let versions = async |after| {
        let found = storage.stream("user-kim", after, None).await.expect("a stream can be read").found;
        found.into_iter().map(|it| it.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(0).await, [1, 2, 3]);
    assert_eq!(versions(2).await, [3]);
    assert_eq!(versions(3).await, [0; 0]);
    assert_eq!(versions(u64::MAX).await, [0; 0]);
    assert_eq!(draft::stream(storage, "user-nobody").await, []);
}

pub(super) async fn conflict(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().event("user-kim", 1).event("user-kim", 2)).await;
    for (version, born) in [(1, true), (2, false)] {
        let rejected = draft::refused(storage, batch().event("user-kim", version)).await;
        let Rejected::Conflict { exists, .. } = rejected else { panic!("told {rejected:?}") };
        assert_eq!(exists, born, "`exists` is for version 1, which creates; this is {version}");
    }
    let twice = draft::refused(storage, batch().event("user-lee", 1).event("user-lee", 1)).await;
    assert!(matches!(twice, Rejected::Conflict { .. }), "{twice:?}");
    assert_eq!(draft::log(storage).await.len(), 2);
}

pub(super) async fn gap(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().event("user-kim", 1)).await;
    for bad in [
        batch().event("user-kim", 3),
        batch().event("user-lee", 2),
        batch().event("user-kim", 2).event("user-kim", 4),
        batch().event("user-lee", 0),
    ] {
        let rejected = draft::refused(storage, bad.clone()).await;
        assert!(matches!(rejected, Rejected::Conflict { exists: false, .. }), "{rejected:?} for {bad:?}");
    }
    assert_eq!(draft::log(storage).await.len(), 1);
}

pub(super) async fn event(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let mut all = batch().told("user-kim", 1, 15).event("user-kim", 2);
    all.events[0].schema = u32::from(u16::MAX);
    all.events[0].at = at(123_456_000);
    all.events[0].metadata = Metadata::default().caller("kim \"é\"").caused_by(Machine.id(), Some(Machine.id()));
    all.events[0].metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    all.events[0].metadata.tracestate = Some("vendor=1,other=a b".into());
    let given = all.events.clone();
    let last = commit(storage, all).await;
    let found = draft::stream(storage, "user-kim").await;
    assert_eq!(found[1].position, last);
    let expected: Vec<_> = given
        .into_iter()
        .zip(&found)
        .map(|(it, found)| Entry {
            position: found.position,
            stream: it.stream,
            version: it.version,
            id: it.id,
            name: it.name.to_owned(),
            schema: it.schema,
            payload: it.payload,
            metadata: it.metadata,
            at: it.at,
            told: it.told,
        })
        .collect();
    assert_eq!(found, expected, "by its stream");
    assert_eq!(draft::log(storage).await, expected, "by the log");
    let horizon = storage.horizon().await.expect("the horizon can be read");
    let told = storage.lanes(&[(15, Position(0))], horizon, 9).await.expect("lanes can be read");
    assert_eq!(told, expected[..1], "by its lane");
}

pub(super) async fn unstored(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let mut token = PositionToken::default();
    token.raise("user", Position(7));
    let mut all = batch().event("user-kim", 1);
    all.events[0].at = at(123_456_789);
    all.events[0].metadata = Metadata::default().caller("kim").key("secret").deadline(at(0)).token(token);
    commit(storage, all).await;
    let found = draft::stream(storage, "user-kim").await.remove(0);
    assert_eq!(found.metadata, Metadata::default().caller("kim"), "key, deadline and token are the request's alone");
    assert_eq!(found.at, at(123_456_000), "a time has microseconds");
}
