//! Races: callers at the same time, each told the truth.
use super::{
    Bench, Dice,
    draft::{self, Draft, batch},
    sleep, together,
};
use crate::{
    batch::{Batch, Rejected},
    world::{Machine, World},
};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(super) async fn increments(bench: Box<dyn Bench>) {
    const CALLERS: u64 = 50;
    let storage = bench.storage();
    together((0..CALLERS).map(|caller| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let mut dice = Dice(caller);
            loop {
                let found = draft::row(&*storage, "kim").await;
                let count = found.state.map_or(0, |it| it[0]) + 1;
                let all = batch().row("kim", found.version, Some(&[count])).event("user-kim", found.version + 1);
                match storage.commit(all).await {
                    Ok(_) => return,
                    Err(Rejected::Conflict { exists, .. }) => assert_eq!(exists, found.version == 0),
                    Err(other) => panic!("{other:?}"),
                }
                sleep(dice.below(20)).await;
            }
        });
        task
    }))
    .await;
    let row = draft::row(&*storage, "kim").await;
    assert_eq!((row.version, row.state), (CALLERS, Some(vec![CALLERS as u8])), "an increment is lost");
    let versions: Vec<_> = draft::log(&*storage).await.into_iter().map(|it| it.version).collect();
    assert_eq!(versions, (1..=CALLERS).collect::<Vec<_>>());
}

/// Rounds of four rivals; `is_loss` says whether a refusal is the right one.
async fn one_wins(
    bench: Box<dyn Bench>,
    rival: impl Fn(u64, u64) -> Batch + Send + Sync + 'static,
    is_loss: fn(&Rejected) -> bool,
) {
    let rival = Arc::new(rival);
    for round in 0..15 {
        let won = Arc::new(AtomicUsize::new(0));
        together((0..4).map(|caller| {
            let (storage, rival, won) = (bench.storage(), rival.clone(), won.clone());
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                match storage.commit(rival(round, caller)).await {
                    Ok(_) => drop(won.fetch_add(1, Ordering::SeqCst)),
                    Err(rejected) => assert!(is_loss(&rejected), "the loser was told {rejected:?}"),
                }
            });
            task
        }))
        .await;
        assert_eq!(won.load(Ordering::SeqCst), 1, "of four that wanted the same so many won");
    }
    // Of each round's winner the event is there, of the losers' none.
    assert_eq!(draft::log(&*bench.storage()).await.len(), 15, "a loser's event stayed");
}

fn apart(round: u64, caller: u64) -> Batch {
    batch().event(&format!("user-{round}-{caller}"), 1)
}

pub(super) async fn answers(bench: Box<dyn Bench>) {
    let rival = |round, caller| apart(round, caller).answer(&format!("key {round}"));
    one_wins(bench, rival, |it| matches!(it, Rejected::Answered)).await;
}

pub(super) async fn takes(bench: Box<dyn Bench>) {
    let rival = |round, caller| apart(round, caller).take(&format!("Kim {round}"), &format!("user-{caller}"));
    one_wins(bench, rival, |it| matches!(it, Rejected::Taken { .. })).await;
}

pub(super) async fn creates(bench: Box<dyn Bench>) {
    let rival = |round, caller| apart(round, caller).row(&format!("kim-{round}"), 0, Some(b""));
    one_wins(bench, rival, |it| matches!(it, Rejected::Conflict { exists: true, .. })).await;
}

pub(super) async fn marks(bench: Box<dyn Bench>) {
    let messages: Vec<_> = (0..15).map(|_| Machine.id()).collect();
    let rival = move |round, caller| apart(round, caller).mark(messages[round as usize]);
    one_wins(bench, rival, |it| matches!(it, Rejected::Seen)).await;
}

/// A storage may commit several callers' batches together: what refuses one is nothing to the others.
pub(super) async fn each_for_itself(bench: Box<dyn Bench>) {
    let storage = bench.storage();
    draft::commit(&*storage, batch().take("Kim", "user-kim").row("kim", 0, Some(b""))).await;
    together((0..60).map(|n| {
        let storage = storage.clone();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let all = batch().row(&format!("row {n}"), 0, Some(b"")).event(&format!("user-{n}"), 1);
            let verdict = match n % 3 {
                0 => storage.commit(all).await,
                1 => storage.commit(all.take("Kim", "user-lee")).await,
                _ => storage.commit(all.row("kim", 7, None)).await,
            };
            match (n % 3, &verdict) {
                (0, Ok(_)) | (1, Err(Rejected::Taken { .. })) | (2, Err(Rejected::Conflict { .. })) => {}
                _ => panic!("batch {n} was told {verdict:?}"),
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
