//! Cases for reservations. They cannot be read, so the cases try to take them.
use super::Harness;
use super::draft::{self, Draft, INDEX, batch, commit};
use crate::storage::{CommitError, Storage};

/// Finds the owner of a value by trying to take it. Returns `None` if the value is free, and leaves it free.
async fn owner<'a>(storage: &dyn Storage, value: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let probe = "user/probe";
    match storage.commit(batch().take(value, probe)).await {
        Ok(_) => {
            commit(storage, batch().give(value, probe)).await;
            return None;
        }
        Err(CommitError::Taken { index, value: taken }) => assert_eq!((&*index, &*taken), (INDEX, value)),
        Err(other) => panic!("a reservation was refused with {other:?}"),
    }
    for candidate in candidates {
        if storage.commit(batch().take(value, candidate)).await.is_ok() {
            return Some(candidate);
        }
    }
    panic!("{value} is taken by none of {candidates:?}")
}

pub(super) async fn one_owner(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().take("Kim", "user/kim")).await;
    assert_eq!(owner(storage, "Kim", &["user/kim"]).await, Some("user/kim"));
    commit(storage, batch().take("Kim", "user/kim")).await;
    let mut other = batch().take("Kim", "user/lee");
    other.reservations[0].index = "user.email".into();
    commit(storage, other).await;
    let both = batch().take("Lee", "user/lee").take("Lee", "user/kim");
    let rejected = draft::refused(storage, both).await;
    let expected = matches!(&rejected, CommitError::Taken { index, value } if index == INDEX && value == "Lee");
    assert!(expected, "one batch reserved a value for two owners: {rejected:?}");
    assert_eq!(owner(storage, "Lee", &[]).await, None);
}

pub(super) async fn owner_alone(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().take("Kim", "user/kim")).await;
    commit(storage, batch().give("Kim", "user/lee").give("unowned", "user/lee")).await;
    assert_eq!(
        owner(storage, "Kim", &["user/kim"]).await,
        Some("user/kim"),
        "an aggregate that does not own the value released it"
    );
    let robbed = draft::refused(storage, batch().give("Kim", "user/lee").take("Kim", "user/lee")).await;
    assert!(matches!(robbed, CommitError::Taken { .. }), "{robbed:?}");
    commit(storage, batch().give("Kim", "user/kim")).await;
    assert_eq!(owner(storage, "Kim", &[]).await, None, "the owner released the value, and it is still taken");
}

pub(super) async fn passed_on(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().take("Kim", "a")).await;
    // Values are released before any is taken, whatever the order in the batch.
    for (from, to) in [("a", "b"), ("b", "c")] {
        commit(storage, batch().take("Kim", to).give("Kim", from)).await;
        assert_eq!(owner(storage, "Kim", &["a", "b", "c"]).await, Some(to));
    }
    commit(storage, batch().give("Kim", "c").take("Lee", "c").take("Kim", "d")).await;
    assert_eq!(owner(storage, "Kim", &["c", "d"]).await, Some("d"));
    assert_eq!(owner(storage, "Lee", &["c", "d"]).await, Some("c"));
}

pub(super) async fn swapped(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().take("x", "a").take("y", "b")).await;
    let mut all = batch().give("x", "a").take("x", "b").give("y", "b").take("y", "a");
    all.sort();
    commit(storage, all).await;
    assert_eq!(owner(storage, "x", &["a", "b"]).await, Some("b"));
    assert_eq!(owner(storage, "y", &["a", "b"]).await, Some("a"));
}
