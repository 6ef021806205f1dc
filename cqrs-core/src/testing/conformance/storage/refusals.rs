//! Refusals: told right, in one order, and nothing stays.
use super::{
    Bench,
    draft::{self, Draft, INDEX, batch, commit},
};
use crate::{
    batch::{Batch, Entry, Rejected},
    storage::{Storage, StoredRow, StoredView},
    world::{Machine, World},
};
use std::time::Duration;
use uuid::Uuid;

/// What is there before each refusal.
async fn before(storage: &dyn Storage, message: Uuid) {
    let all = batch()
        .row("kim", 0, Some(b"kim"))
        .told("user-kim", 1, 0)
        .event("user-kim", 2)
        .take("Kim", "user-kim")
        .view("kim", 0, Some(b"card"), &[b"kim"])
        .step("cards", 0, 5, None)
        .mark(message)
        .answer("old");
    commit(storage, all).await;
    storage.lease("lane-0", "me", Duration::from_secs(600)).await.expect("a lease can be taken").expect("and is free");
}

/// Changes all there is and makes something new of each kind.
fn good() -> Batch {
    batch()
        .row("kim", 1, Some(b"changed"))
        .row("new", 0, Some(b"new"))
        .told("user-kim", 3, 0)
        .event("user-new", 1)
        .give("Kim", "user-kim")
        .take("New", "user-new")
        .view("kim", 1, Some(b"changed"), &[b"changed"])
        .view("new", 0, Some(b"new"), &[b"new"])
        .step("cards", 5, 6, None)
        .step("new", 0, 1, None)
        .mark(Machine.id())
        .answer("new")
}

#[derive(Debug, PartialEq)]
enum Why {
    Answered,
    Seen,
    Moved,
    Conflict { exists: bool },
    Taken,
}
fn why(rejected: &Rejected) -> Why {
    match rejected {
        Rejected::Answered => Why::Answered,
        Rejected::Seen => Why::Seen,
        Rejected::Moved(_) => Why::Moved,
        Rejected::Conflict { exists, .. } => Why::Conflict { exists: *exists },
        Rejected::Taken { .. } => Why::Taken,
        Rejected::Fault(fault) => panic!("a fault instead of a refusal: {fault:?}"),
    }
}

type Poison = Box<dyn Fn(Batch) -> Batch + Send + Sync>;

/// Each reason to refuse a batch, added to it.
fn poisons(message: Uuid) -> Vec<(&'static str, Why, Poison)> {
    let conflict = Why::Conflict { exists: false };
    let exists = Why::Conflict { exists: true };
    vec![
        ("an answered key", Why::Answered, Box::new(|it| it.answer("old"))),
        ("a handled message", Why::Seen, Box::new(move |it| it.mark(message))),
        ("a reader elsewhere", Why::Moved, Box::new(|it| it.step("lane-1", 3, 4, None))),
        ("a parked message that is gone", Why::Moved, Box::new(|it| it.unpark(77))),
        ("nothing to wait behind", Why::Moved, Box::new(|it| it.park("lee", true))),
        ("a lost lease", Why::Moved, Box::new(|it| it.step("lane-0", 0, 4, Some(7)))),
        ("a lease never taken", Why::Moved, Box::new(|it| it.step("lane-1", 0, 4, Some(1)))),
        (
            "a stale row",
            conflict,
            Box::new(|mut it| {
                it.rows.retain(|row| row.id != "kim");
                it.row("kim", 7, Some(b"stale"))
            }),
        ),
        ("a row that is not there", Why::Conflict { exists: false }, Box::new(|it| it.row("lee", 1, Some(b"lee")))),
        (
            "a row that exists",
            exists,
            Box::new(|mut it| {
                it.rows.retain(|row| row.id != "kim");
                it.row("kim", 0, Some(b"again"))
            }),
        ),
        (
            "a stale stream",
            Why::Conflict { exists: false },
            Box::new(|mut it| {
                it.events.retain(|event| event.stream != "user-kim");
                it.event("user-kim", 2)
            }),
        ),
        (
            "a stream that exists",
            Why::Conflict { exists: true },
            Box::new(|mut it| {
                it.events.retain(|event| event.stream != "user-kim");
                it.event("user-kim", 1)
            }),
        ),
        ("a gap", Why::Conflict { exists: false }, Box::new(|it| it.event("user-lee", 2))),
        (
            "a stale view",
            Why::Conflict { exists: false },
            Box::new(|mut it| {
                it.views.retain(|view| view.key != "kim");
                it.view("kim", 0, Some(b"stale"), &[b"stale"])
            }),
        ),
        ("a view that is not there", Why::Conflict { exists: false }, Box::new(|it| it.view("lee", 3, None, &[]))),
        (
            "a taken value",
            Why::Taken,
            Box::new(|mut it| {
                it.claims.retain(|claim| claim.value != "Kim");
                it.take("Kim", "user-lee")
            }),
        ),
    ]
}

/// All that reads can show.
#[derive(Debug, PartialEq)]
struct Everything {
    rows: Vec<StoredRow>,
    log: Vec<Entry>,
    streams: Vec<Vec<Entry>>,
    views: Vec<Option<StoredView>>,
    scan: Vec<(Vec<u8>, String)>,
    positions: Vec<u64>,
    parked: usize,
    answers: Vec<bool>,
}
async fn everything(storage: &dyn Storage) -> Everything {
    let (mut rows, mut streams, mut views, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in ["kim", "new", "lee"] {
        rows.push(draft::row(storage, id).await);
        streams.push(draft::stream(storage, &format!("user-{id}")).await);
        views.push(draft::view(storage, id).await);
    }
    for key in ["old", "new"] {
        answers.push(storage.answer(key).await.expect("an answer can be read").is_some());
    }
    let readers = ["cards", "new", "lane-0", "lane-1"].map(str::to_owned);
    Everything {
        rows,
        log: draft::log(storage).await,
        streams,
        views,
        scan: draft::scan(storage, b"", None, 99).await,
        positions: storage.positions(&readers).await.expect("positions can be read"),
        parked: storage.parked_keys(&[]).await.expect("parked keys can be read").len(),
        answers,
    }
}

pub(super) async fn nothing_stays(bench: Box<dyn Bench>) {
    let (storage, message) = (&*bench.storage(), Machine.id());
    before(storage, message).await;
    let untouched = everything(storage).await;
    for (name, _, poison) in poisons(message) {
        let bad = poison(good());
        let marks: Vec<_> = bad.marks.iter().map(|it| it.message).filter(|it| *it != message).collect();
        draft::refused(storage, bad).await;
        assert_eq!(everything(storage).await, untouched, "{name}: something stayed");
        let seen = storage.seen(draft::GROUP, &marks, &[]).await.expect("marks can be read");
        assert!(seen.handled.is_empty(), "{name}: a mark stayed");
        let kim = storage.commit(batch().take("Kim", "user-probe")).await;
        assert!(kim.is_err(), "{name}: a value that was to be given back is free");
        let new = storage.commit(batch().take("New", "user-probe")).await;
        assert!(new.is_ok(), "{name}: a value that was to be taken is");
        commit(storage, batch().give("New", "user-probe")).await;
    }
    commit(storage, good()).await;
}

pub(super) async fn told(bench: Box<dyn Bench>) {
    let (storage, message) = (&*bench.storage(), Machine.id());
    before(storage, message).await;
    for (name, expected, poison) in poisons(message) {
        let rejected = draft::refused(storage, poison(good())).await;
        assert_eq!(why(&rejected), expected, "{name} was told {rejected:?}");
        match rejected {
            Rejected::Moved(what) => {
                let culprit = ["lane-", "parked message 77", "greeter/lee"].iter().any(|it| what.starts_with(it));
                assert!(culprit, "{name}: {what} was where it should be");
            }
            Rejected::Taken { index, value } => assert_eq!((&*index, &*value), (INDEX, "Kim"), "{name}"),
            _ => {}
        }
    }
}

pub(super) async fn order(bench: Box<dyn Bench>) {
    let (storage, message) = (&*bench.storage(), Machine.id());
    before(storage, message).await;
    let mut all = batch()
        .take("Kim", "user-lee")
        .row("kim", 7, Some(b"stale"))
        .step("cards", 4, 5, None)
        .mark(message)
        .answer("old");
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Answered);
    all.answer = None;
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Seen);
    all.marks.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Moved);
    all.moves.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Conflict { exists: false });
    all.rows.clear();
    assert_eq!(why(&draft::refused(storage, all.clone()).await), Why::Taken);
    all.claims.clear();
    commit(storage, all).await;
}

/// What a stale decision wants to take says nothing: a fresh one may not want it.
pub(super) async fn stale_first(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    before(storage, Machine.id()).await;
    for (bad, exists) in [
        (batch().event("user-kim", 1), true),
        (batch().event("user-kim", 2), false),
        (batch().view("kim", 0, Some(b"stale"), &[]), false),
        (batch().view("kim", 7, Some(b"stale"), &[]), false),
    ] {
        let rejected = draft::refused(storage, bad.clone().take("Kim", "user-lee")).await;
        assert_eq!(why(&rejected), Why::Conflict { exists }, "{bad:?}");
    }
}
