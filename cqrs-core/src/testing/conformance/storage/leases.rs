//! Cases for leases: one owner at a time, and an owner that lost its lease cannot move the checkpoint.
use super::draft::{self, Draft, batch, commit};
use super::{Harness, concurrently, sleep};
use crate::{
    position::Position,
    storage::{CommitError, Lease, Storage},
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);
/// Longer than `SHORT`, in milliseconds.
const OVER: u64 = 200;

async fn lease(storage: &dyn Storage, owner: &str, ttl: Duration) -> Option<Lease> {
    storage.lease("shard-0", owner, ttl).await.expect("a lease can be asked for")
}

async fn got(storage: &dyn Storage, owner: &str, ttl: Duration) -> Lease {
    lease(storage, owner, ttl).await.expect("the lease is free")
}

pub(super) async fn exclusive(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let first = got(storage, "a", LONG).await;
    assert!(first.epoch > 0, "epoch 0 belongs to readers that were never leased");
    assert_eq!(first.position, Position(0));
    assert_eq!(lease(storage, "b", LONG).await, None, "the lease has two owners");
    assert!(storage.lease("shard-1", "b", LONG).await.expect("a lease can be asked for").is_some(), "another reader");
}

pub(super) async fn several(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let leases = async |readers: &[&str], owner, ttl| {
        let readers: Vec<String> = readers.iter().map(|reader| (*reader).to_owned()).collect();
        storage.leases(&readers, owner, ttl).await.expect("leases can be asked for")
    };
    let first = got(storage, "a", LONG).await;
    let all = leases(&["shard-2", "shard-0", "shard-1"], "b", SHORT).await;
    assert_eq!(all.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true], "{all:?}");
    commit(storage, batch().step("shard-1", 0, 5, all[2].map(|lease| lease.epoch))).await;
    let again = leases(&["shard-1", "shard-0", "shard-2"], "b", SHORT).await;
    assert_eq!(again[0].map(|lease| lease.epoch), all[2].map(|lease| lease.epoch), "renewing changed the epoch");
    assert_eq!(
        again.iter().map(|lease| lease.map(|lease| lease.position.0)).collect::<Vec<_>>(),
        [Some(5), None, Some(0)]
    );
    sleep(OVER).await;
    let taken = leases(&["shard-0", "shard-1", "shard-2"], "a", LONG).await;
    assert_eq!(taken[0], Some(first));
    assert!(taken[1].is_some_and(|lease| all[2].is_some_and(|before| lease.epoch > before.epoch)), "{taken:?}");
    assert!(leases(&[], "a", LONG).await.is_empty());
}

pub(super) async fn renewed(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let first = got(storage, "a", SHORT).await;
    assert_eq!(got(storage, "a", LONG).await, first);
    sleep(OVER).await;
    assert_eq!(lease(storage, "b", LONG).await, None, "renewing did not extend the lease");
    commit(storage, batch().step("shard-0", 0, 5, Some(first.epoch))).await;
    assert_eq!(got(storage, "a", LONG).await, Lease { position: Position(5), ..first });
}

pub(super) async fn taken_over(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let first = got(storage, "a", SHORT).await;
    commit(storage, batch().step("shard-0", 0, 5, Some(first.epoch))).await;
    sleep(OVER).await;
    let second = got(storage, "b", LONG).await;
    assert!(second.epoch > first.epoch, "{second:?} after {first:?}");
    assert_eq!(second.position, Position(5), "the new owner does not start at the checkpoint");
    assert_eq!(lease(storage, "a", LONG).await, None, "the former owner took the lease back");
}

pub(super) async fn released(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let release = async |owner| storage.release("shard-0", owner).await.expect("a lease can be given back");
    release("unknown").await;
    let first = got(storage, "a", LONG).await;
    release("b").await;
    assert_eq!(lease(storage, "b", LONG).await, None, "another owner released the lease");
    release("a").await;
    let second = got(storage, "b", LONG).await;
    assert!(second.epoch > first.epoch, "{second:?} after {first:?}");
    release("a").await;
    assert_eq!(lease(storage, "a", LONG).await, None, "a former owner released the lease");
}

/// The permits of a limit are such leases.
pub(super) async fn permits(harness: Box<dyn Harness>) {
    const SLOTS: usize = 3;
    let storage = harness.storage();
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    concurrently((0..8).map(|owner| {
        let (storage, held, most) = (storage.clone(), held.clone(), most.clone());
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let (owner, mut done) = (format!("owner-{owner}"), 0);
            while done < 4 {
                for slot in 0..SLOTS {
                    let reader = format!("limit/llm/{slot}");
                    if lease_of(&*storage, &reader, &owner).await.is_none() {
                        continue;
                    }
                    most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(2).await;
                    held.fetch_sub(1, Ordering::SeqCst);
                    storage.release(&reader, &owner).await.expect("a lease can be given back");
                    done += 1;
                    break;
                }
                sleep(1).await;
            }
        });
        task
    }))
    .await;
    let most = most.load(Ordering::SeqCst);
    assert!(most <= SLOTS, "{most} owners had one of {SLOTS} leases at the same time");
}
async fn lease_of(storage: &dyn Storage, reader: &str, owner: &str) -> Option<Lease> {
    storage.lease(reader, owner, LONG).await.expect("a lease can be asked for")
}

pub(super) async fn fenced(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let first = got(storage, "a", SHORT).await;
    sleep(OVER).await;
    // The lease has expired but has not been taken over, so the move is still safe.
    commit(storage, batch().step("shard-0", 0, 3, Some(first.epoch))).await;
    let second = got(storage, "b", LONG).await;
    let late = batch().row("kim", 0, Some(b"")).step("shard-0", 3, 9, Some(first.epoch));
    let rejected = draft::refused(storage, late).await;
    assert!(matches!(&rejected, CommitError::Moved(reader) if reader == "shard-0"), "{rejected:?}");
    assert_eq!(draft::row(storage, "kim").await.version, 0, "a part of the fenced batch was stored");
    commit(storage, batch().step("shard-0", 3, 4, Some(second.epoch))).await;
    let rejected = draft::refused(storage, batch().step("shard-0", 3, 5, Some(second.epoch))).await;
    assert!(matches!(rejected, CommitError::Moved(_)), "the epoch is right, but the checkpoint is not: {rejected:?}");
    assert_eq!(draft::position(storage, "shard-0").await, 4);
}

pub(super) async fn beside(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().step("shard-0", 0, 7, None)).await;
    let first = got(storage, "a", LONG).await;
    assert_eq!(first.position, Position(7), "the checkpoint from before the lease was lost");
    commit(storage, batch().step("shard-0", 7, 8, None)).await;
    assert_eq!(lease(storage, "b", LONG).await, None, "a move without an epoch ended the lease");
    assert_eq!(got(storage, "a", LONG).await, Lease { position: Position(8), ..first });
}
