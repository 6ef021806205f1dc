//! Batches in one line each, and the reads the cases share.
use crate::{
    Metadata, Timestamp,
    batch::{Answer, Batch, Claim, Entry, Mark, Move, NewEntry, Park, Position, Rejected, Row, Told, ViewWrite},
    storage::{Parked, Scan, Storage, StoredRow, StoredView},
    transport::{Partition, Received},
    world::{Machine, World},
};
use uuid::Uuid;

pub(super) const KIND: &str = "user";
pub(super) const INDEX: &str = "user.nickname";
pub(super) const VIEW: &str = "card";
pub(super) const BY: &str = "by_name";
pub(super) const GROUP: &str = "greeter";

/// Adds one thing each.
pub(super) trait Draft: Sized {
    /// A row from one version to the next.
    fn row(self, id: &str, expected: u64, state: Option<&[u8]>) -> Self;
    fn event(self, stream: &str, version: u64) -> Self;
    fn told(self, stream: &str, version: u64, lane: u16) -> Self;
    fn take(self, value: &str, owner: &str) -> Self;
    fn give(self, value: &str, owner: &str) -> Self;
    /// A view with this value, or without, and its entries in one index.
    fn view(self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self;
    fn step(self, reader: &str, from: u64, to: u64, epoch: Option<u64>) -> Self;
    fn mark(self, message: Uuid) -> Self;
    /// A message of this key put aside, perhaps behind others.
    fn park(self, key: &str, behind: bool) -> Self;
    fn unpark(self, number: u64) -> Self;
    fn answer(self, key: &str) -> Self;
}
impl Draft for Batch {
    fn row(mut self, id: &str, expected: u64, state: Option<&[u8]>) -> Self {
        let state = state.map(<[u8]>::to_vec);
        self.rows.push(Row { kind: KIND, id: id.to_owned(), expected, version: expected + 1, state });
        self
    }
    fn event(mut self, stream: &str, version: u64) -> Self {
        self.events.push(event(stream, version));
        self
    }
    fn told(mut self, stream: &str, version: u64, lane: u16) -> Self {
        let (topic, key, name) = ("user.events.v1".into(), stream.to_owned(), "user.v1.Registered".into());
        let told = Some(Told { topic, key, lane, name, body: format!("{stream} {version}").into_bytes() });
        self.events.push(NewEntry { told, ..event(stream, version) });
        self
    }
    fn take(mut self, value: &str, owner: &str) -> Self {
        self.claims.push(Claim { index: INDEX.into(), value: value.into(), owner: owner.into(), taken: true });
        self
    }
    fn give(mut self, value: &str, owner: &str) -> Self {
        self.claims.push(Claim { index: INDEX.into(), value: value.into(), owner: owner.into(), taken: false });
        self
    }
    fn view(mut self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self {
        let entries = entries.iter().map(|it| (BY, it.to_vec())).collect();
        self.views.push(ViewWrite { view: VIEW, key: key.into(), expected, value: value.map(<[u8]>::to_vec), entries });
        self
    }
    fn step(mut self, reader: &str, from: u64, to: u64, epoch: Option<u64>) -> Self {
        self.moves.push(Move { reader: reader.into(), from, to, epoch });
        self
    }
    fn mark(mut self, message: Uuid) -> Self {
        self.marks.push(Mark { group: GROUP.into(), message });
        self
    }
    fn park(mut self, key: &str, behind: bool) -> Self {
        let headers = vec![("ce_id".into(), b"1".to_vec()), ("odd".into(), vec![0, 255])];
        let partition = Partition { topic: "user.events.v1".into(), part: "3".into() };
        let at = self.parks.len() as u64;
        let record = Received { partition, offset: at, key: Some(vec![0, 200]), body: Some(vec![1, 0, 2]), headers };
        self.parks.push(Park {
            reader: GROUP.into(),
            key: key.into(),
            behind,
            message: Machine.id(),
            at,
            record: Some(record),
            error: "it failed".into(),
            attempts: u32::from(!behind),
        });
        self
    }
    fn unpark(mut self, number: u64) -> Self {
        self.unparks.push(number);
        self
    }
    fn answer(mut self, key: &str) -> Self {
        // What stands in `position` is the storage's business: a wrong one shows whether it minds.
        let position = Position(u64::MAX);
        self.answer = Some(Answer { key: key.into(), fingerprint: -7, body: key.as_bytes().to_vec(), position });
        self
    }
}

pub(super) fn batch() -> Batch {
    Batch::default()
}

pub(super) fn event(stream: &str, version: u64) -> NewEntry {
    NewEntry {
        stream: stream.to_owned(),
        version,
        id: Machine.id(),
        name: "user.registered",
        schema: 1,
        payload: format!("{stream} {version}").into_bytes(),
        metadata: Metadata::NONE,
        at: at(0),
        told: None,
    }
}

/// A moment with this many nanoseconds.
pub(super) fn at(nanoseconds: u32) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, nanoseconds).expect("a moment")
}

pub(super) async fn commit(storage: &dyn Storage, batch: Batch) -> Position {
    storage.commit(batch).await.expect("this batch is to be committed")
}

pub(super) async fn refused(storage: &dyn Storage, batch: Batch) -> Rejected {
    let verdict = storage.commit(batch).await;
    verdict.expect_err("this batch is to be refused")
}

pub(super) async fn row(storage: &dyn Storage, id: &str) -> StoredRow {
    storage.row(KIND, id, None).await.expect("a row can be read").found
}

pub(super) async fn stream(storage: &dyn Storage, stream: &str) -> Vec<Entry> {
    storage.stream(stream, 0, None).await.expect("a stream can be read").found
}

pub(super) async fn view(storage: &dyn Storage, key: &str) -> Option<StoredView> {
    storage.views(VIEW, &[key.to_owned()]).await.expect("a view can be read").pop()
}

/// The (entry, key) pairs of the index, after one of them.
pub(super) async fn scan(
    storage: &dyn Storage,
    prefix: &[u8],
    after: Option<(&[u8], &str)>,
    limit: usize,
) -> Vec<(Vec<u8>, String)> {
    let scan = Scan { view: VIEW, index: BY, prefix, after, limit };
    let found = storage.scan(&scan).await.expect("an index can be read");
    found.into_iter().map(|it| (it.entry, it.key)).collect()
}

pub(super) async fn position(storage: &dyn Storage, reader: &str) -> u64 {
    storage.positions(&[reader.to_owned()]).await.expect("a position can be read")[0]
}

/// The whole log, up to the horizon.
pub(super) async fn log(storage: &dyn Storage) -> Vec<Entry> {
    let horizon = storage.horizon().await.expect("the horizon can be read");
    storage.log(Position(0), horizon, usize::MAX).await.expect("the log can be read")
}

/// The group's parked messages of this key.
pub(super) async fn parked(storage: &dyn Storage, key: &str) -> Vec<Parked> {
    storage.parked(GROUP, key, 0, usize::MAX).await.expect("parked messages can be read")
}
