//! Leases: one owner at a time, and who lost one cannot move the reader.
use super::{
    Bench,
    draft::{self, Draft, batch, commit},
    sleep,
};
use crate::{
    Position,
    batch::Rejected,
    storage::{Lease, Storage},
};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);
/// Longer than `SHORT`, in milliseconds.
const OVER: u64 = 200;

async fn lease(storage: &dyn Storage, owner: &str, ttl: Duration) -> Option<Lease> {
    storage.lease("lane-0", owner, ttl).await.expect("a lease can be asked for")
}

async fn got(storage: &dyn Storage, owner: &str, ttl: Duration) -> Lease {
    lease(storage, owner, ttl).await.expect("the lease is free")
}

pub(super) async fn exclusive(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let first = got(storage, "a", LONG).await;
    assert!(first.epoch > 0, "epoch 0 is that of a reader nobody leased");
    assert_eq!(first.position, Position(0));
    assert_eq!(lease(storage, "b", LONG).await, None, "two owners");
    assert!(storage.lease("lane-1", "b", LONG).await.expect("a lease can be asked for").is_some(), "another reader");
}

pub(super) async fn renewed(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let first = got(storage, "a", SHORT).await;
    assert_eq!(got(storage, "a", LONG).await, first);
    sleep(OVER).await;
    assert_eq!(lease(storage, "b", LONG).await, None, "renewing did not make it longer");
    commit(storage, batch().step("lane-0", 0, 5, Some(first.epoch))).await;
    assert_eq!(got(storage, "a", LONG).await, Lease { position: Position(5), ..first });
}

pub(super) async fn taken_over(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let first = got(storage, "a", SHORT).await;
    commit(storage, batch().step("lane-0", 0, 5, Some(first.epoch))).await;
    sleep(OVER).await;
    let second = got(storage, "b", LONG).await;
    assert!(second.epoch > first.epoch, "{second:?} after {first:?}");
    assert_eq!(second.position, Position(5), "it begins where the other was");
    assert_eq!(lease(storage, "a", LONG).await, None, "who lost it takes it back");
}

pub(super) async fn released(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let release = async |owner| storage.release("lane-0", owner).await.expect("a lease can be given back");
    release("nobody").await;
    let first = got(storage, "a", LONG).await;
    release("b").await;
    assert_eq!(lease(storage, "b", LONG).await, None, "another gave it back");
    release("a").await;
    let second = got(storage, "b", LONG).await;
    assert!(second.epoch > first.epoch, "{second:?} after {first:?}");
    release("a").await;
    assert_eq!(lease(storage, "a", LONG).await, None, "who had it before gave it back");
}

pub(super) async fn fenced(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    let first = got(storage, "a", SHORT).await;
    sleep(OVER).await;
    // Nobody has taken it meanwhile, so nobody is harmed.
    commit(storage, batch().step("lane-0", 0, 3, Some(first.epoch))).await;
    let second = got(storage, "b", LONG).await;
    let late = batch().row("kim", 0, Some(b"")).step("lane-0", 3, 9, Some(first.epoch));
    let rejected = draft::refused(storage, late).await;
    assert!(matches!(&rejected, Rejected::Moved(reader) if reader == "lane-0"), "{rejected:?}");
    assert_eq!(draft::row(storage, "kim").await.version, 0, "the rest of a fenced batch stayed");
    commit(storage, batch().step("lane-0", 3, 4, Some(second.epoch))).await;
    let rejected = draft::refused(storage, batch().step("lane-0", 3, 5, Some(second.epoch))).await;
    assert!(matches!(rejected, Rejected::Moved(_)), "the epoch is right, the position is not: {rejected:?}");
    assert_eq!(draft::position(storage, "lane-0").await, 4);
}

pub(super) async fn beside(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().step("lane-0", 0, 7, None)).await;
    let first = got(storage, "a", LONG).await;
    assert_eq!(first.position, Position(7), "a reader that moved before it was leased");
    commit(storage, batch().step("lane-0", 7, 8, None)).await;
    assert_eq!(lease(storage, "b", LONG).await, None, "a move without epoch ended the lease");
    assert_eq!(got(storage, "a", LONG).await, Lease { position: Position(8), ..first });
}
