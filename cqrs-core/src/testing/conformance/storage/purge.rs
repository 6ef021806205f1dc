//! Cases for retention: by age, by relay shard, and up to a limit.
use super::Harness;
use super::draft::{Draft, GROUP, batch, commit, log};
use crate::{
    environment::{Environment, SystemEnvironment},
    position::Position,
    storage::{Cutoff, ReadLimit},
};
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const NOW: Duration = Duration::ZERO;

/// Returns a cutoff of one year. Only the drafts' events are older, since they are from 2023.
fn nothing_old() -> Cutoff {
    Cutoff { responses: YEAR, inbox_records: YEAR, outgoing: Vec::new(), told_for: YEAR }
}

pub(super) async fn old(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let messages: Vec<_> = (0..5).map(|_| SystemEnvironment.id()).collect();
    for message in &messages {
        commit(storage, batch().inbox_record(*message)).await;
    }
    commit(storage, batch().event("user/kim", 1).response("key")).await;
    let purge = async |old: &Cutoff, limit| storage.purge(old, limit).await.expect("old data can be purged");
    let inbox_records =
        async || storage.lookup_inbox(GROUP, &messages, &[]).await.expect("the inbox can be read").handled.len();
    assert_eq!(purge(&nothing_old(), 99).await, 0, "data younger than the cutoff was removed");
    assert_eq!(
        (inbox_records().await, storage.response("key").await.expect("a response can be read").is_some()),
        (5, true)
    );
    // A short wait makes everything older than the cutoff of zero.
    SystemEnvironment.sleep(Duration::from_millis(5)).await;
    assert_eq!(purge(&Cutoff { inbox_records: NOW, ..nothing_old() }, 3).await, 3, "the limit was not kept");
    assert_eq!(inbox_records().await, 2);
    assert_eq!(purge(&Cutoff { inbox_records: NOW, responses: NOW, ..nothing_old() }, 99).await, 3);
    assert_eq!(
        (inbox_records().await, storage.response("key").await.expect("a response can be read").is_some()),
        (0, false)
    );
    assert_eq!(log(storage).await.len(), 1, "an event was removed");
    commit(storage, batch().inbox_record(messages[0]).response("key")).await;
}

pub(super) async fn parked_by_relay(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for version in 1..=6 {
        commit(storage, batch().outgoing("user/kim", version, (version % 2) as u16)).await;
    }
    let at: Vec<_> = log(storage).await.into_iter().map(|entry| entry.position).collect();
    let mut parked = batch().park("user/kim", false);
    (parked.parks[0].reader, parked.parks[0].at, parked.parks[0].record) = ("relay/1".into(), at[2].0, None);
    commit(storage, parked).await;
    let of_shard_one = Cutoff { outgoing: vec![(1, at[3])], ..nothing_old() };
    assert_eq!(storage.purge(&of_shard_one, 99).await.expect("old data can be purged"), 1);
    let outgoing: Vec<_> = log(storage).await.iter().map(|entry| entry.outgoing.is_some()).collect();
    assert_eq!(outgoing, [false, true, true, true, true, true], "only shard 1, up to the position, and not parked");
    let young = Cutoff { outgoing: vec![(1, at[5])], told_for: YEAR * 30, ..nothing_old() };
    assert_eq!(storage.purge(&young, 99).await.expect("old data can be purged"), 0);
    let left = storage
        .outgoing_entries(&[(1, Position(0))], at[5], ReadLimit::entries(99))
        .await
        .expect("a relay shard can be read");
    assert_eq!(left.iter().map(|entry| entry.position).collect::<Vec<_>>(), [at[2], at[4]]);
}
