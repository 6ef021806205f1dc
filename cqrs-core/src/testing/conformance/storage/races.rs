//! Cases for concurrent callers: each gets the right result.
use super::draft::{self, Draft, batch};
use super::{Dice, Harness, concurrently, sleep};
use crate::{
    environment::{Environment, SystemEnvironment},
    storage::{Batch, CommitError},
};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(super) async fn increments(harness: Box<dyn Harness>) {
    const CALLERS: u64 = 50;
    let storage = harness.storage();
    concurrently((0..CALLERS).map(|caller| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let mut dice = Dice(caller);
            loop {
                let found = draft::row(&*storage, "kim").await;
                let count = found.state.map_or(0, |state| state[0]) + 1;
                let all = batch().row("kim", found.version, Some(&[count])).event("user/kim", found.version + 1);
                match storage.commit(all).await {
                    Ok(_) => return,
                    Err(CommitError::Conflict { exists, .. }) => assert_eq!(exists, found.version == 0),
                    Err(other) => panic!("{other:?}"),
                }
                sleep(dice.below(20)).await;
            }
        });
        task
    }))
    .await;
    let row = draft::row(&*storage, "kim").await;
    assert_eq!((row.version, row.state), (CALLERS, Some(vec![CALLERS as u8])), "an increment was lost");
    let versions: Vec<_> = draft::log(&*storage).await.into_iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=CALLERS).collect::<Vec<_>>());
}

/// Runs rounds of four concurrent commits of which one must succeed. `is_loss` checks the refusal of the others.
async fn one_wins(
    harness: Box<dyn Harness>,
    rival: impl Fn(u64, u64) -> Batch + Send + Sync + 'static,
    is_loss: fn(&CommitError) -> bool,
) {
    let rival = Arc::new(rival);
    for round in 0..15 {
        let won = Arc::new(AtomicUsize::new(0));
        concurrently((0..4).map(|caller| {
            let (storage, rival, won) = (harness.storage(), rival.clone(), won.clone());
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                match storage.commit(rival(round, caller)).await {
                    Ok(_) => drop(won.fetch_add(1, Ordering::SeqCst)),
                    Err(rejected) => assert!(is_loss(&rejected), "the loser was refused with {rejected:?}"),
                }
            });
            task
        }))
        .await;
        assert_eq!(won.load(Ordering::SeqCst), 1, "not exactly one of four commits succeeded");
    }
    // The log has the event of each round's winner and none of the losers.
    assert_eq!(draft::log(&*harness.storage()).await.len(), 15, "an event of a loser was stored");
}

fn apart(round: u64, caller: u64) -> Batch {
    batch().event(&format!("user/{round}-{caller}"), 1)
}

pub(super) async fn responses(harness: Box<dyn Harness>) {
    let rival = |round, caller| apart(round, caller).response(&format!("key {round}"));
    one_wins(harness, rival, |rejected| matches!(rejected, CommitError::ResponseExists)).await;
}

pub(super) async fn takes(harness: Box<dyn Harness>) {
    let rival = |round, caller| apart(round, caller).take(&format!("Kim {round}"), &format!("user/{caller}"));
    one_wins(harness, rival, |rejected| matches!(rejected, CommitError::Taken { .. })).await;
}

pub(super) async fn creates(harness: Box<dyn Harness>) {
    let rival = |round, caller| apart(round, caller).row(&format!("kim-{round}"), 0, Some(b""));
    one_wins(harness, rival, |rejected| matches!(rejected, CommitError::Conflict { exists: true, .. })).await;
}

pub(super) async fn inbox_records(harness: Box<dyn Harness>) {
    let messages: Vec<_> = (0..15).map(|_| SystemEnvironment.id()).collect();
    let rival = move |round, caller| apart(round, caller).inbox_record(messages[round as usize]);
    one_wins(harness, rival, |rejected| matches!(rejected, CommitError::AlreadyHandled)).await;
}

/// A storage may commit the batches of several callers as one group. The refusal of one must not affect the others.
/// The pace of a limit is such a note.
pub(super) async fn notes(harness: Box<dyn Harness>) {
    const CALLERS: u64 = 8;
    const EACH: u64 = 5;
    let storage = harness.storage();
    concurrently((0..CALLERS).map(|_| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let mut done = 0;
            while done < EACH {
                let notes = storage.notes("limit/llm").await.expect("the database responds");
                let found = notes.into_iter().next().map(|(_, value)| value);
                let count = found.as_deref().map_or(0, |value| value.parse::<u64>().expect("it is a number"));
                let next = (count + 1).to_string();
                let replaced = storage.replace_note("limit/llm", found.as_deref(), Some(&next)).await;
                done += u64::from(replaced.expect("the database responds"));
            }
        });
        task
    }))
    .await;
    let notes = storage.notes("limit/llm").await.expect("the database responds");
    assert_eq!(notes, [("limit/llm".to_owned(), (CALLERS * EACH).to_string())], "a replacement was lost");
}

pub(super) async fn each_for_itself(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    draft::commit(&*storage, batch().take("Kim", "user/kim").row("kim", 0, Some(b""))).await;
    concurrently((0..60).map(|n| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let all = batch().row(&format!("row {n}"), 0, Some(b"")).event(&format!("user/{n}"), 1);
            let result = match n % 3 {
                0 => storage.commit(all).await,
                1 => storage.commit(all.take("Kim", "user/lee")).await,
                _ => storage.commit(all.row("kim", 7, None)).await,
            };
            match (n % 3, &result) {
                (0, Ok(_)) | (1, Err(CommitError::Taken { .. })) | (2, Err(CommitError::Conflict { .. })) => {}
                _ => panic!("batch {n} had the result {result:?}"),
            }
        });
        task
    }))
    .await;
    for n in 0..60 {
        let expected = u64::from(n % 3 == 0);
        assert_eq!(draft::row(&*storage, &format!("row {n}")).await.version, expected, "row {n}");
    }
    assert_eq!(draft::log(&*storage).await.len(), 20);
}

/// Write skew: of two batches that each read an aggregate which the other one writes, one is committed. The aggregates are
/// rows and streams, existing and new ones.
pub(super) async fn skew(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    for round in 0..24_u64 {
        let (is_row, is_new) = (round % 2 == 0, round % 4 < 2);
        let ids = [format!("one {round}"), format!("two {round}")];
        let write = |batch: Batch, id: &str, expected: u64| match is_row {
            true => batch.row(id, expected, Some(b"")).event(&format!("user/{id}"), expected + 1),
            false => batch.event(&format!("user/{id}"), expected + 1),
        };
        let expected = u64::from(!is_new);
        if !is_new {
            draft::commit(&*storage, write(write(batch(), &ids[0], 0), &ids[1], 0)).await;
        }
        let won = Arc::new(AtomicUsize::new(0));
        concurrently([[0, 1], [1, 0]].map(|[written, read]| {
            let all = write(batch().read(&ids[read], expected, is_row), &ids[written], expected);
            let (storage, won) = (storage.clone(), won.clone());
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                match storage.commit(all).await {
                    Ok(_) => drop(won.fetch_add(1, Ordering::SeqCst)),
                    Err(CommitError::Conflict { exists: false, .. }) => {}
                    Err(other) => panic!("the loser was refused with {other:?}"),
                }
            });
            task
        }))
        .await;
        assert_eq!(won.load(Ordering::SeqCst), 1, "not exactly one of two commits that read each other succeeded");
    }
}

/// Readers of one aggregate do not refuse each other, and a read aggregate can be written by the same batch.
pub(super) async fn shared_read(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    draft::commit(&*storage, batch().row("policy", 0, Some(b"")).event("user/policy", 1)).await;
    concurrently((0..30).map(|n| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let all = batch().read("policy", 1, true).event(&format!("user/{n}"), 1);
            storage.commit(all).await.expect("no other batch changes what this one reads");
        });
        task
    }))
    .await;
    let both = batch().read("policy", 1, true).row("policy", 1, Some(b"new")).event("user/policy", 2);
    draft::commit(&*storage, both).await;
    let only = storage.commit(batch().read("policy", 1, true)).await;
    assert!(matches!(only, Err(CommitError::Conflict { exists: false, .. })), "{only:?}");
    assert_eq!(storage.commit(batch().read("policy", 2, true)).await.expect("the read is current").0, 0);
}
