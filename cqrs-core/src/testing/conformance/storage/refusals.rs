//! Cases for refused batches: the reason is right, reasons have one order, and nothing is stored.
use super::Harness;
use super::draft::{self, Draft, INDEX, batch, commit};
use crate::{
    environment::{Environment, SystemEnvironment},
    event::{Entry, StreamEvent},
    storage::{Batch, CommitError, ParkedPage, Storage, StoredRow, StoredView},
};
use std::time::Duration;
use uuid::Uuid;

/// Commits the data that exists before each refusal.
async fn before(storage: &dyn Storage, message: Uuid) {
    let all = batch()
        .row("kim", 0, Some(b"kim"))
        .outgoing("user/kim", 1, 0)
        .event("user/kim", 2)
        .take("Kim", "user/kim")
        .view("kim", 0, Some(b"card"), &[b"kim"])
        .step("cards", 0, 5, None)
        .inbox_record(message)
        .response("old");
    commit(storage, all).await;
    commit(storage, batch().row("ann", 0, Some(b"ann")).event("user/bob", 1)).await;
    commit(storage, batch().row("ann", 1, Some(b"ann")).event("user/bob", 2)).await;
    commit(storage, batch().row("gone", 0, Some(b"gone"))).await;
    commit(storage, batch().row("gone", 1, None)).await;
    storage
        .lease("shard-0", "me", Duration::from_secs(600))
        .await
        .expect("a lease can be taken")
        .expect("the lease is free");
}

/// Returns a batch that changes all existing data and adds something new of each kind.
fn good() -> Batch {
    batch()
        .read("ann", 2, true)
        .read("bob", 2, false)
        .read("gone", 2, true)
        .read("nobody", 0, true)
        .read("nobody else", 0, false)
        .row("kim", 1, Some(b"changed"))
        .row("new", 0, Some(b"new"))
        .outgoing("user/kim", 3, 0)
        .event("user/new", 1)
        .give("Kim", "user/kim")
        .take("New", "user/new")
        .view("kim", 1, Some(b"changed"), &[b"changed"])
        .view("new", 0, Some(b"new"), &[b"new"])
        .step("cards", 5, 6, None)
        .step("new", 0, 1, None)
        .inbox_record(SystemEnvironment.id())
        .response("new")
}

#[derive(Debug, PartialEq)]
enum Why {
    ResponseExists,
    AlreadyHandled,
    Moved,
    Conflict { exists: bool },
    Taken,
}
fn why(rejected: &CommitError) -> Why {
    match rejected {
        CommitError::ResponseExists => Why::ResponseExists,
        CommitError::AlreadyHandled => Why::AlreadyHandled,
        CommitError::Moved(_) => Why::Moved,
        CommitError::Conflict { exists, .. } => Why::Conflict { exists: *exists },
        CommitError::Taken { .. } => Why::Taken,
        CommitError::Fault(fault) => panic!("a fault instead of a refusal: {fault:?}"),
    }
}

type Poison = Box<dyn Fn(Batch) -> Batch + Send + Sync>;

/// Returns functions that each add one reason for a refusal to a batch.
fn poisons(message: Uuid) -> Vec<(&'static str, Why, Poison)> {
    let conflict = Why::Conflict { exists: false };
    let exists = Why::Conflict { exists: true };
    vec![
        ("a key with a response", Why::ResponseExists, Box::new(|batch| batch.response("old"))),
        ("a handled message", Why::AlreadyHandled, Box::new(move |batch| batch.inbox_record(message))),
        ("a checkpoint that was moved", Why::Moved, Box::new(|batch| batch.step("shard-1", 3, 4, None))),
        ("a parked message that is gone", Why::Moved, Box::new(|batch| batch.unpark(77))),
        ("no message to wait behind", Why::Moved, Box::new(|batch| batch.park("lee", true))),
        ("a lost lease", Why::Moved, Box::new(|batch| batch.step("shard-0", 0, 4, Some(7)))),
        ("a lease never taken", Why::Moved, Box::new(|batch| batch.step("shard-1", 0, 4, Some(1)))),
        (
            "a stale row",
            conflict,
            Box::new(|mut batch| {
                batch.rows.retain(|row| row.id != "kim");
                batch.row("kim", 7, Some(b"stale"))
            }),
        ),
        (
            "a row that does not exist",
            Why::Conflict { exists: false },
            Box::new(|batch| batch.row("lee", 1, Some(b"lee"))),
        ),
        (
            "a row that exists",
            exists,
            Box::new(|mut batch| {
                batch.rows.retain(|row| row.id != "kim");
                batch.row("kim", 0, Some(b"again"))
            }),
        ),
        (
            "a stale stream",
            Why::Conflict { exists: false },
            Box::new(|mut batch| {
                batch.events.retain(|event| event.stream != "user/kim");
                batch.event("user/kim", 2)
            }),
        ),
        (
            "a stream that exists",
            Why::Conflict { exists: true },
            Box::new(|mut batch| {
                batch.events.retain(|event| event.stream != "user/kim");
                batch.event("user/kim", 1)
            }),
        ),
        ("a gap", Why::Conflict { exists: false }, Box::new(|batch| batch.event("user/lee", 2))),
        (
            "a stale view",
            Why::Conflict { exists: false },
            Box::new(|mut batch| {
                batch.views.retain(|view| view.key != "kim");
                batch.view("kim", 0, Some(b"stale"), &[b"stale"])
            }),
        ),
        (
            "a view that does not exist",
            Why::Conflict { exists: false },
            Box::new(|batch| batch.view("lee", 3, None, &[])),
        ),
        ("a stale read of a row", Why::Conflict { exists: false }, Box::new(|batch| batch.read("ann", 1, true))),
        ("a stale read of a stream", Why::Conflict { exists: false }, Box::new(|batch| batch.read("bob", 1, false))),
        ("an absent row that exists", Why::Conflict { exists: false }, Box::new(|batch| batch.read("ann", 0, true))),
        (
            "an absent stream that exists",
            Why::Conflict { exists: false },
            Box::new(|batch| batch.read("bob", 0, false)),
        ),
        (
            "a deleted row as never stored",
            Why::Conflict { exists: false },
            Box::new(|batch| batch.read("gone", 0, true)),
        ),
        ("a row before it was deleted", Why::Conflict { exists: false }, Box::new(|batch| batch.read("gone", 1, true))),
        (
            "a row that is read and does not exist",
            Why::Conflict { exists: false },
            Box::new(|b| b.read("lee", 1, true)),
        ),
        (
            "a taken value",
            Why::Taken,
            Box::new(|mut batch| {
                batch.reservations.retain(|reservation| reservation.value != "Kim");
                batch.take("Kim", "user/lee")
            }),
        ),
    ]
}

/// Everything that reads can show.
#[derive(Debug, PartialEq)]
struct Everything {
    rows: Vec<StoredRow>,
    log: Vec<Entry>,
    streams: Vec<Vec<StreamEvent>>,
    views: Vec<Option<StoredView>>,
    scan: Vec<(Vec<u8>, String)>,
    checkpoints: Vec<u64>,
    parked: usize,
    responses: Vec<bool>,
}
async fn everything(storage: &dyn Storage) -> Everything {
    let (mut rows, mut streams, mut views, mut responses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in ["kim", "new", "lee"] {
        rows.push(draft::row(storage, id).await);
        streams.push(draft::stream(storage, &format!("user/{id}")).await);
        views.push(draft::view(storage, id).await);
    }
    for key in ["old", "new"] {
        responses.push(storage.response(key).await.expect("a response can be read").is_some());
    }
    let readers = ["cards", "new", "shard-0", "shard-1"].map(str::to_owned);
    Everything {
        rows,
        log: draft::log(storage).await,
        streams,
        views,
        scan: draft::scan(storage, b"", None, 99).await,
        checkpoints: storage.checkpoints(&readers).await.expect("checkpoints can be read"),
        parked: storage.parked_keys(&ParkedPage::default()).await.expect("parked keys can be read").len(),
        responses,
    }
}

pub(super) async fn nothing_stays(harness: Box<dyn Harness>) {
    let (storage, message) = (&*harness.storage(), SystemEnvironment.id());
    before(storage, message).await;
    let untouched = everything(storage).await;
    for (name, _, poison) in poisons(message) {
        let bad = poison(good());
        let inbox_records: Vec<_> =
            bad.inbox_records.iter().map(|record| record.message).filter(|id| *id != message).collect();
        draft::refused(storage, bad).await;
        assert_eq!(everything(storage).await, untouched, "{name}: a part of the batch was stored");
        let lookup = storage.lookup_inbox(draft::GROUP, &inbox_records, &[]).await.expect("the inbox can be read");
        assert!(lookup.handled.is_empty(), "{name}: an inbox record was stored");
        let kim = storage.commit(batch().take("Kim", "user/probe")).await;
        assert!(kim.is_err(), "{name}: a value was released by a refused batch");
        let new = storage.commit(batch().take("New", "user/probe")).await;
        assert!(new.is_ok(), "{name}: a value was taken by a refused batch");
        commit(storage, batch().give("New", "user/probe")).await;
    }
    commit(storage, good()).await;
}

pub(super) async fn reason(harness: Box<dyn Harness>) {
    let (storage, message) = (&*harness.storage(), SystemEnvironment.id());
    before(storage, message).await;
    for (name, expected, poison) in poisons(message) {
        let rejected = draft::refused(storage, poison(good())).await;
        assert_eq!(why(&rejected), expected, "{name} was refused with {rejected:?}");
        match rejected {
            CommitError::Moved(what) => {
                let culprit =
                    ["shard-", "parked message 77", "greeter/lee"].iter().any(|prefix| what.starts_with(prefix));
                assert!(culprit, "{name}: {what} is not the culprit");
            }
            CommitError::Taken { index, value } => assert_eq!((&*index, &*value), (INDEX, "Kim"), "{name}"),
            _ => {}
        }
    }
}

pub(super) async fn order(harness: Box<dyn Harness>) {
    let (storage, message) = (&*harness.storage(), SystemEnvironment.id());
    before(storage, message).await;
    let mut all = batch()
        .take("Kim", "user/lee")
        .row("kim", 7, Some(b"stale"))
        .step("cards", 4, 5, None)
        .inbox_record(message)
        .response("old");
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::ResponseExists);
    all.response = None;
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::AlreadyHandled);
    all.inbox_records.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Moved);
    all.checkpoint_moves.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Conflict { exists: false });
    all.rows.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Taken);
    all.reservations.clear();
    commit(storage, all).await;
}

/// A decision on stale data may want a value that a decision on current data would not take, so the conflict is
/// reported first.
pub(super) async fn stale_first(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    before(storage, SystemEnvironment.id()).await;
    for (bad, exists) in [
        (batch().event("user/kim", 1), true),
        (batch().event("user/kim", 2), false),
        (batch().view("kim", 0, Some(b"stale"), &[]), false),
        (batch().view("kim", 7, Some(b"stale"), &[]), false),
    ] {
        let rejected = draft::refused(storage, bad.clone().take("Kim", "user/lee")).await;
        assert_eq!(why(&rejected), Why::Conflict { exists }, "{bad:?}");
    }
}

/// A conflict names the request that won, so that an operator can find it.
pub(super) async fn winner(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let by = |batch: Batch, correlation: Option<Uuid>| {
        let mut batch = batch;
        batch.events.iter_mut().for_each(|event| event.metadata.correlation = correlation);
        batch
    };
    let (loser, winner) = (SystemEnvironment.id(), SystemEnvironment.id());
    let first = batch().row("ann", 0, Some(b"1")).event("user/ann", 1).event("user/bob", 1);
    commit(storage, by(first, Some(loser))).await;
    let second = batch().row("ann", 1, Some(b"2")).event("user/ann", 2).event("user/bob", 2).event("user/bob", 3);
    commit(storage, by(second, Some(winner))).await;
    commit(storage, batch().row("without events", 0, None)).await;
    let known = Some(winner);
    for (name, bad, what, expected) in [
        ("a row", batch().row("ann", 1, None).event("user/ann", 2), "user/ann", (1, 2, known)),
        ("a new row", batch().row("ann", 0, None), "user/ann", (0, 2, known)),
        ("a stream", batch().event("user/bob", 2), "user/bob", (1, 3, known)),
        ("a new stream", batch().event("user/bob", 1), "user/bob", (0, 3, known)),
        ("a gap", batch().event("user/bob", 4).event("user/bob", 6), "user/bob", (5, 3, known)),
        ("a read row", batch().read("ann", 1, true).event("user/new", 1), "user/ann", (1, 2, known)),
        ("a read stream", batch().read("bob", 0, false).event("user/new", 1), "user/bob", (0, 3, known)),
        ("a row without events", batch().row("without events", 0, None), "user/without events", (0, 1, None)),
        ("nothing", batch().row("nobody", 7, None), "user/nobody", (7, 0, None)),
    ] {
        let refused = draft::refused(storage, bad).await;
        let CommitError::Conflict { what: on, versions: Some(found), .. } = &refused else {
            panic!("{name}: {refused:?}")
        };
        assert_eq!((&**on, (found.expected, found.found, found.winner)), (what, expected), "{name}");
    }
}
