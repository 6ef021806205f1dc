//! Cases for the archive: what may be moved there, and that every read still finds it.
use super::Harness;
use super::draft::{self, Draft, KIND, at, batch, commit};
use crate::{
    environment::{Environment, SystemEnvironment},
    event::{Entry, StreamEvent},
    position::Position,
    storage::{ArchiveRange, Archived, CommitError, ReadLimit, Storage, StoredData},
};
use std::time::Duration;

const ALL: ReadLimit = ReadLimit::entries(usize::MAX);
const FORM: i64 = 3;

/// Returns a range of the whole log. The events of the drafts are from before its time.
async fn whole(storage: &dyn Storage) -> ArchiveRange {
    let upto = storage.high_water_mark().await.expect("the high-water mark can be read");
    ArchiveRange { after: Position(0), upto, before: at(0) + Duration::from_secs(1) }
}
async fn archive(storage: &dyn Storage, range: &ArchiveRange, limit: usize) -> Archived {
    storage.archive(range, limit).await.expect("events can be archived")
}
async fn archive_all(storage: &dyn Storage) -> u64 {
    let range = whole(storage).await;
    let Archived { moved, upto } = archive(storage, &range, 1_000).await;
    assert_eq!(upto, range.upto);
    moved
}

/// Everything that reads of the log return.
#[derive(Debug, PartialEq)]
struct Reads {
    log: Vec<Entry>,
    by_name: Vec<Entry>,
    pages: Vec<Vec<Entry>>,
    streams: Vec<Vec<StreamEvent>>,
    after_two: Vec<StreamEvent>,
    page_of_stream: Vec<Entry>,
    of_kind: Vec<Entry>,
    holds: bool,
}
async fn reads(storage: &dyn Storage) -> Reads {
    let upto = storage.high_water_mark().await.expect("the high-water mark can be read");
    let log = draft::log(storage).await;
    let mut pages = Vec::new();
    for limit in [ReadLimit::entries(2), ReadLimit { bytes: 25, ..ALL }] {
        let mut last = Position(0);
        loop {
            let page = storage.log(last, upto, limit).await.expect("the log can be read");
            let Some(end) = page.last() else { break };
            last = end.position;
            pages.push(page);
        }
    }
    let name = log.first().map_or("", |entry| &entry.name);
    let mut streams = Vec::new();
    for id in ["user/kim", "user/lee", "user/ann", "user/row"] {
        streams.push(draft::stream(storage, id).await);
    }
    Reads {
        by_name: storage.log_of(&[name], Position(1), upto, ReadLimit::entries(7)).await.expect("the log can be read"),
        after_two: storage.stream("user/kim", 2, None).await.expect("a stream can be read").found,
        page_of_stream: storage.stream_page("user/kim", 1, ReadLimit::entries(3)).await.expect("a page can be read"),
        of_kind: storage.streams_after(KIND, Some(("user/kim", 1)), ALL).await.expect("streams can be read"),
        holds: storage.holds(&StoredData::Event(name.to_owned())).await.expect("the database responds"),
        log,
        pages,
        streams,
    }
}

/// Commits a stream with a snapshot at version 4 of 6, one without, and a row with its stream.
async fn fill(storage: &dyn Storage) {
    for version in 1..=6 {
        let mut all = batch().event("user/kim", version).event("user/lee", version);
        if version == 4 {
            all = all.snapshot("kim", 4, FORM, Some(b"four"));
        }
        commit(storage, all.row("row", version - 1, Some(b"{}")).event("user/row", version)).await;
    }
}

pub(super) async fn found(harness: Box<dyn Harness>) {
    let mut harness = harness;
    let storage = &*harness.storage();
    fill(storage).await;
    let before = reads(storage).await;
    // Three events before the snapshot, and five of the row's six.
    assert_eq!(archive_all(storage).await, 8);
    assert_eq!(reads(storage).await, before);
    assert_eq!(archive_all(storage).await, 0, "nothing is moved twice");
    let storage = &*harness.reopen().await;
    assert_eq!(reads(storage).await, before);
    let found = storage.snapshot(KIND, "kim", FORM, None).await.expect("a snapshot can be read").found;
    assert_eq!((found.snapshot.map(|snapshot| snapshot.version), found.events.len()), (Some(4), 2));
    let folded = storage.snapshot(KIND, "kim", FORM + 1, None).await.expect("a snapshot can be read").found;
    assert_eq!((folded.snapshot, folded.events.len()), (None, 6), "without a usable snapshot all events are read");
}

pub(super) async fn kept(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for version in 1..=3 {
        commit(storage, batch().row("row", version - 1, Some(b"{}")).outgoing("user/row", version, 0)).await;
    }
    assert_eq!(archive_all(storage).await, 0, "an outgoing message that is stored was archived");
    let positions = async || draft::log(storage).await.iter().map(|entry| entry.position).collect::<Vec<_>>();
    fill_row(storage, "old", 3).await;
    let at = positions().await;
    let upto_first = ArchiveRange { upto: at[3], ..whole(storage).await };
    assert_eq!(archive(storage, &upto_first, 99).await.moved, 1, "an event beyond the range was archived");
    let young = ArchiveRange { before: draft::at(0), ..whole(storage).await };
    assert_eq!(archive(storage, &young, 99).await.moved, 0, "an event that is not old enough was archived");
    assert_eq!(archive_all(storage).await, 1, "the last event of a stream stays");
    for version in 1..=3 {
        commit(storage, batch().event("user/lee", version)).await;
    }
    assert_eq!(archive_all(storage).await, 0, "an event that a load needs was archived");
}
async fn fill_row(storage: &dyn Storage, id: &str, events: u64) {
    for version in 1..=events {
        let all = batch().row(id, version - 1, Some(b"{}")).event(&format!("user/{id}"), version);
        commit(storage, all).await;
    }
}

pub(super) async fn steps(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    fill_row(storage, "row", 10).await;
    let mut range = whole(storage).await;
    let mut moved = Vec::new();
    while range.after < range.upto {
        let step = archive(storage, &range, 4).await;
        assert!(step.upto > range.after && step.moved <= 4, "{step:?} after {:?}", range.after);
        moved.push(step.moved);
        range.after = step.upto;
    }
    assert_eq!(moved.iter().sum::<u64>(), 9);
    assert!(moved[0] == 4 && moved[1] == 4, "{moved:?}");
}

pub(super) async fn appended(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    fill(storage).await;
    archive_all(storage).await;
    for (version, creates) in [(1, true), (2, false), (6, false), (8, false)] {
        let rejected = draft::refused(storage, batch().event("user/kim", version)).await;
        let CommitError::Conflict { exists, .. } = rejected else { panic!("refused with {rejected:?}") };
        assert_eq!(exists, creates, "version {version}");
    }
    commit(storage, batch().event("user/kim", 7).row("row", 6, Some(b"{}")).event("user/row", 7)).await;
    assert_eq!(draft::stream(storage, "user/kim").await.len(), 7);
}

/// Reads of a stream and of a row with archived events, and the winner of a conflict on them.
pub(super) async fn compared(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    fill(storage).await;
    let winner = SystemEnvironment.id();
    let mut last = batch().event("user/kim", 7).row("row", 6, Some(b"{}")).event("user/row", 7);
    last.events.iter_mut().for_each(|event| event.metadata.correlation = Some(winner));
    commit(storage, last).await;
    assert_eq!(archive_all(storage).await, 9);
    let current = batch().read("kim", 7, false).read("row", 7, true).read("lee", 6, false);
    commit(storage, current.event("user/new", 1)).await;
    for (name, bad, what, expected) in [
        ("a read of a stream", batch().read("kim", 6, false), "user/kim", 6),
        ("a read of a stream as absent", batch().read("kim", 0, false), "user/kim", 0),
        ("a read of a stream at an archived version", batch().read("kim", 2, false), "user/kim", 2),
        ("a read of a row", batch().read("row", 6, true), "user/row", 6),
        ("a read of a row as absent", batch().read("row", 0, true), "user/row", 0),
        ("an event", batch().event("user/kim", 3), "user/kim", 2),
        ("a row", batch().row("row", 3, Some(b"{}")), "user/row", 3),
    ] {
        let refused = draft::refused(storage, bad.event("user/other", 1)).await;
        let CommitError::Conflict { what: on, versions: Some(found), .. } = &refused else {
            panic!("{name}: {refused:?}")
        };
        assert_eq!((&**on, found.expected, found.found, found.winner), (what, expected, 7, Some(winner)), "{name}");
    }
}
