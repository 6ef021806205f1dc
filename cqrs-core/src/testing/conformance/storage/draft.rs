//! Builders for one-line batches, and the reads that the cases share.
use crate::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    event::{Entry, NewEntry, OutgoingMessage, StreamEvent},
    metadata::Metadata,
    position::Position,
    storage::{
        Batch, CheckpointMove, CommitError, InboxRecord, Park, Parked, ReadLimit, ReadVersion, Reservation, Row, Scan,
        Snapshot, Storage, StoredResponse, StoredRow, StoredView, ViewWrite,
    },
    transport::{Partition, Received},
};
use uuid::Uuid;

pub(super) const KIND: &str = "user";
pub(super) const INDEX: &str = "user.nickname";
pub(super) const VIEW: &str = "card";
pub(super) const BY: &str = "by_name";
pub(super) const GROUP: &str = "greeter";

/// Adds one change to a batch per method.
pub(super) trait Draft: Sized {
    /// Adds a row that goes from one version to the next.
    fn row(self, id: &str, expected: u64, state: Option<&[u8]>) -> Self;
    fn event(self, stream: &str, version: u64) -> Self;
    fn outgoing(self, stream: &str, version: u64, shard: u16) -> Self;
    fn take(self, value: &str, owner: &str) -> Self;
    fn give(self, value: &str, owner: &str) -> Self;
    /// Adds a view write with this value, or a removal, and its entries in one index.
    fn view(self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self;
    fn step(self, reader: &str, from: u64, to: u64, epoch: Option<u64>) -> Self;
    fn inbox_record(self, message: Uuid) -> Self;
    /// Adds a message of this key to park, possibly behind others.
    fn park(self, key: &str, behind: bool) -> Self;
    fn unpark(self, number: u64) -> Self;
    /// Adds a snapshot after the event of this version in the batch.
    fn snapshot(self, id: &str, version: u64, form: i64, state: Option<&[u8]>) -> Self;
    /// Adds the version of an aggregate on which the decision relies, of a row or of a stream alone.
    fn read(self, id: &str, version: u64, is_row: bool) -> Self;
    fn response(self, key: &str) -> Self;
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
    fn outgoing(mut self, stream: &str, version: u64, shard: u16) -> Self {
        let (topic, key, name) = ("user.events.v1".into(), stream.to_owned(), "user.v1.Registered".into());
        // The content type is another one for each version, so that a storage cannot pass with a constant.
        let (content_type, body) = (format!("text/v{version}"), format!("{stream} {version}").into_bytes());
        let outgoing = Some(OutgoingMessage { topic, key, shard, name, content_type, body });
        self.events.push(NewEntry { outgoing, ..event(stream, version) });
        self
    }
    fn take(mut self, value: &str, owner: &str) -> Self {
        self.reservations.push(Reservation {
            index: INDEX.into(),
            value: value.into(),
            owner: owner.into(),
            taken: true,
        });
        self
    }
    fn give(mut self, value: &str, owner: &str) -> Self {
        self.reservations.push(Reservation {
            index: INDEX.into(),
            value: value.into(),
            owner: owner.into(),
            taken: false,
        });
        self
    }
    fn view(mut self, key: &str, expected: u64, value: Option<&[u8]>, entries: &[&[u8]]) -> Self {
        let entries = entries.iter().map(|entry| (BY, entry.to_vec())).collect();
        self.views.push(ViewWrite {
            view: VIEW,
            key: key.into(),
            expected,
            value: value.map(<[u8]>::to_vec),
            entries,
            index_set: 0,
        });
        self
    }
    fn step(mut self, reader: &str, from: u64, to: u64, epoch: Option<u64>) -> Self {
        self.checkpoint_moves.push(CheckpointMove { reader: reader.into(), from, to, epoch });
        self
    }
    fn inbox_record(mut self, message: Uuid) -> Self {
        self.inbox_records.push(InboxRecord { group: GROUP.into(), message });
        self
    }
    fn park(mut self, key: &str, behind: bool) -> Self {
        let headers = vec![("ce_id".into(), b"1".to_vec()), ("odd".into(), vec![0, 255])];
        let partition = Partition { topic: "user.events.v1".into(), part: "3".into() };
        let at = self.parks.len() as u64;
        let (bytes, timestamp) = ((Some(vec![0, 200]), Some(vec![1, 0, 2])), Some(self::at(123_456_000)));
        let record = Received { partition, offset: at, key: bytes.0, body: bytes.1, headers, timestamp };
        self.parks.push(Park {
            reader: GROUP.into(),
            key: key.into(),
            behind,
            message: SystemEnvironment.id(),
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
    fn snapshot(mut self, id: &str, version: u64, form: i64, state: Option<&[u8]>) -> Self {
        let stream = format!("{KIND}/{id}");
        let event = self.events.iter().find(|event| event.stream == stream && event.version == version);
        let event = event.expect("the batch has the event").id;
        let state = state.map(<[u8]>::to_vec);
        self.snapshots.push(Snapshot { kind: KIND, id: id.to_owned(), version, event, form, state });
        self
    }
    fn read(mut self, id: &str, version: u64, is_row: bool) -> Self {
        self.reads.push(ReadVersion { kind: KIND, id: id.to_owned(), version, is_row });
        self
    }
    fn response(mut self, key: &str) -> Self {
        // The storage must ignore this position and store the batch's own, so a wrong one is given.
        let position = Position(u64::MAX);
        self.response =
            Some(StoredResponse { key: key.into(), fingerprint: -7, body: key.as_bytes().to_vec(), position });
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
        id: SystemEnvironment.id(),
        name: "user.registered",
        schema: 1,
        payload: format!("{stream} {version}").into_bytes(),
        metadata: Metadata::NONE,
        occurred_at: at(0),
        outgoing: None,
    }
}

/// Returns a fixed time with this many nanoseconds.
pub(super) fn at(nanoseconds: u32) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, nanoseconds).expect("the time is in range")
}

pub(super) async fn commit(storage: &dyn Storage, batch: Batch) -> Position {
    storage.commit(batch).await.expect("the batch is committed")
}

pub(super) async fn refused(storage: &dyn Storage, batch: Batch) -> CommitError {
    storage.commit(batch).await.expect_err("the batch is refused")
}

pub(super) async fn row(storage: &dyn Storage, id: &str) -> StoredRow {
    storage.row(KIND, id, None).await.expect("a row can be read").found
}

pub(super) async fn stream(storage: &dyn Storage, stream: &str) -> Vec<StreamEvent> {
    storage.stream(stream, 0, None).await.expect("a stream can be read").found
}

/// Returns the whole entries of a stream.
pub(super) async fn entries(storage: &dyn Storage, stream: &str) -> Vec<Entry> {
    storage.stream_page(stream, 0, ReadLimit::entries(usize::MAX)).await.expect("a stream can be read")
}

pub(super) async fn view(storage: &dyn Storage, key: &str) -> Option<StoredView> {
    storage.views(VIEW, &[key.to_owned()]).await.expect("a view can be read").pop()
}

/// Returns the pairs of entry and key in the index, after one of them.
pub(super) async fn scan(
    storage: &dyn Storage,
    prefix: &[u8],
    after: Option<(&[u8], &str)>,
    limit: usize,
) -> Vec<(Vec<u8>, String)> {
    let (until, next) = (end_of(prefix), after.map(|(entry, key)| (entry, format!("{key}\u{1}"))));
    let from = next.as_ref().map_or((prefix, ""), |(entry, key)| (*entry, &**key)).max((prefix, ""));
    let until = until.as_deref().map(|until| (until, ""));
    pairs(storage, &Scan { view: VIEW, index: BY, from, until, reversed: false, limit }).await
}

/// Returns the pairs of entry and key in a range.
pub(super) async fn pairs(storage: &dyn Storage, scan: &Scan<'_>) -> Vec<(Vec<u8>, String)> {
    let found = storage.scan(scan).await.expect("an index can be read");
    found.into_iter().map(|scanned| (scanned.entry, scanned.key)).collect()
}

/// Returns the bytes before which all bytes with this prefix sort.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    *end.last_mut()? += 1;
    Some(end)
}

pub(super) async fn position(storage: &dyn Storage, reader: &str) -> u64 {
    storage.checkpoints(&[reader.to_owned()]).await.expect("a checkpoint can be read")[0]
}

/// Returns the whole log, up to the high-water mark.
pub(super) async fn log(storage: &dyn Storage) -> Vec<Entry> {
    let high_water_mark = storage.high_water_mark().await.expect("the high-water mark can be read");
    storage.log(Position(0), high_water_mark, ReadLimit::entries(usize::MAX)).await.expect("the log can be read")
}

/// Returns the group's parked messages of this key.
pub(super) async fn parked(storage: &dyn Storage, key: &str) -> Vec<Parked> {
    storage.parked(GROUP, key, 0, usize::MAX).await.expect("parked messages can be read")
}
