//! Claims: a value has one owner. They cannot be read, so the cases try to take them.
use super::{
    Bench,
    draft::{self, Draft, INDEX, batch, commit},
};
use crate::{batch::Rejected, storage::Storage};

/// Whose the value is, by trying; `None` when it is free, and it stays so.
async fn owner<'a>(storage: &dyn Storage, value: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let probe = "user-probe";
    match storage.commit(batch().take(value, probe)).await {
        Ok(_) => {
            commit(storage, batch().give(value, probe)).await;
            return None;
        }
        Err(Rejected::Taken { index, value: told }) => assert_eq!((&*index, &*told), (INDEX, value)),
        Err(other) => panic!("a claim refused with {other:?}"),
    }
    for candidate in candidates {
        if storage.commit(batch().take(value, candidate)).await.is_ok() {
            return Some(candidate);
        }
    }
    panic!("{value} is taken, but by none of {candidates:?}")
}

pub(super) async fn one_owner(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().take("Kim", "user-kim")).await;
    assert_eq!(owner(storage, "Kim", &["user-kim"]).await, Some("user-kim"));
    commit(storage, batch().take("Kim", "user-kim")).await;
    let mut other = batch().take("Kim", "user-lee");
    other.claims[0].index = "user.email".into();
    commit(storage, other).await;
    let both = batch().take("Lee", "user-lee").take("Lee", "user-kim");
    assert!(storage.commit(both).await.is_err(), "one batch took a value for two owners");
    assert_eq!(owner(storage, "Lee", &[]).await, None);
}

pub(super) async fn owner_alone(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().take("Kim", "user-kim")).await;
    commit(storage, batch().give("Kim", "user-lee").give("nobody's", "user-lee")).await;
    assert_eq!(owner(storage, "Kim", &["user-kim"]).await, Some("user-kim"), "another gave it back");
    let robbed = draft::refused(storage, batch().give("Kim", "user-lee").take("Kim", "user-lee")).await;
    assert!(matches!(robbed, Rejected::Taken { .. }), "{robbed:?}");
    commit(storage, batch().give("Kim", "user-kim")).await;
    assert_eq!(owner(storage, "Kim", &[]).await, None, "its owner gave it back, and it is still taken");
}

pub(super) async fn passed_on(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().take("Kim", "a")).await;
    // Whatever the order in the batch: what is given back is so before anything is taken.
    for (from, to) in [("a", "b"), ("b", "c")] {
        commit(storage, batch().take("Kim", to).give("Kim", from)).await;
        assert_eq!(owner(storage, "Kim", &["a", "b", "c"]).await, Some(to));
    }
    commit(storage, batch().give("Kim", "c").take("Lee", "c").take("Kim", "d")).await;
    assert_eq!(owner(storage, "Kim", &["c", "d"]).await, Some("d"));
    assert_eq!(owner(storage, "Lee", &["c", "d"]).await, Some("c"));
}

pub(super) async fn swapped(bench: Box<dyn Bench>) {
    let storage = &*bench.storage();
    commit(storage, batch().take("x", "a").take("y", "b")).await;
    let mut all = batch().give("x", "a").take("x", "b").give("y", "b").take("y", "a");
    all.sort();
    commit(storage, all).await;
    assert_eq!(owner(storage, "x", &["a", "b"]).await, Some("b"));
    assert_eq!(owner(storage, "y", &["a", "b"]).await, Some("a"));
}
