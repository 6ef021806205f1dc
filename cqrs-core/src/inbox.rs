//! The inbox of one group: which messages it has handled is looked up and written for several of them at once.
//!
//! Messages of different keys are handled beside each other. Each has a batch of its own; those that are ready at the same time are
//! committed as one, and one look-up serves all that begin. A refusal of the whole says nothing about its parts: then each goes alone,
//! and is told its own verdict.
use crate::{
    Fault, Position,
    batch::{Batch, Rejected},
    storage::Storage,
    together::Together,
};
use futures_util::future::join_all;
use std::collections::HashSet;
use uuid::Uuid;

/// How many messages one look-up or commit takes at most.
const MOST: usize = 100;

/// What is known of one message before it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its group has handled or parked it.
    pub(crate) handled: bool,
    /// Something of its key is parked.
    pub(crate) behind: bool,
}

/// The inbox of one group.
#[derive(Debug)]
pub(crate) struct Inbox {
    group: &'static str,
    lookups: Together<(Uuid, String), Result<Known, Fault>>,
    commits: Together<Batch, Result<Position, Rejected>>,
}
impl Inbox {
    pub(crate) fn new(group: &'static str) -> Self {
        Inbox { group, lookups: Together::new(MOST), commits: Together::new(MOST) }
    }
    /// The group's name.
    pub(crate) fn group(&self) -> &'static str {
        self.group
    }
    /// What is known of a message.
    pub(crate) async fn look_up(&self, storage: &dyn Storage, message: Uuid, key: String) -> Result<Known, Fault> {
        let looked_up = self.lookups.call((message, key), |all| look_up(storage, self.group, all)).await;
        looked_up.unwrap_or_else(|| Err(Fault::unavailable("the inbox was not looked up")))
    }
    /// Commits what a message led to: its effect and its mark.
    pub(crate) async fn commit(&self, storage: &dyn Storage, batch: Batch) -> Result<Position, Rejected> {
        let committed = self.commits.call(batch, |all| commit(storage, all)).await;
        committed.unwrap_or_else(|| Err(Fault::unavailable("whether it was committed is not known").into()))
    }
}

async fn look_up(storage: &dyn Storage, group: &str, all: Vec<(Uuid, String)>) -> Vec<Result<Known, Fault>> {
    let (ids, keys): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    match storage.seen(group, &ids, &keys).await {
        Ok(seen) => {
            let handled: HashSet<_> = seen.handled.into_iter().collect();
            let parked: HashSet<_> = seen.parked.into_iter().collect();
            let known = |(id, key)| Ok(Known { handled: handled.contains(id), behind: parked.contains(key) });
            ids.iter().zip(&keys).map(known).collect()
        }
        Err(fault) if ids.len() == 1 => vec![Err(fault)],
        // It may be one's fault: nobody answers for another.
        Err(_) => {
            let alone = |(id, key)| async move { look_up(storage, group, vec![(id, key)]).await };
            let known = join_all(ids.into_iter().zip(keys).map(alone).map(Box::pin)).await;
            known.into_iter().flatten().collect()
        }
    }
}

async fn commit(storage: &dyn Storage, all: Vec<Batch>) -> Vec<Result<Position, Rejected>> {
    let mut verdicts: Vec<Option<Result<Position, Rejected>>> = all.iter().map(|_| None).collect();
    let mut left: Vec<(usize, Batch)> = all.into_iter().enumerate().collect();
    while !left.is_empty() {
        let (mut joint, mut touched, mut later) = (Vec::new(), Touched::default(), Vec::new());
        for (place, batch) in left {
            if touched.is_free_of(&batch) {
                touched.extend(&batch);
                joint.push((place, batch));
            } else {
                later.push((place, batch)); // it was decided on what another of these changes
            }
        }
        left = later;
        for (place, verdict) in as_one(storage, joint).await {
            verdicts[place] = Some(verdict);
        }
    }
    verdicts.into_iter().flatten().collect()
}
/// As one. When that is refused, or nobody knows, each by itself: what was committed after all is then seen by its mark.
async fn as_one(storage: &dyn Storage, batches: Vec<(usize, Batch)>) -> Vec<(usize, Result<Position, Rejected>)> {
    if batches.len() > 1 {
        let mut joint = Batch::default();
        batches.iter().for_each(|(_, batch)| joint.extend(batch.clone()));
        if let Ok(position) = storage.commit(joint).await {
            return batches.into_iter().map(|(place, _)| (place, Ok(position))).collect();
        }
    }
    join_all(batches.into_iter().map(|(place, batch)| async move { (place, storage.commit(batch).await) })).await
}

/// What a batch writes, each by name: two that write the same must not be one.
#[derive(Debug, Default)]
struct Touched(HashSet<String>);
impl Touched {
    fn is_free_of(&self, batch: &Batch) -> bool {
        names(batch).all(|it| !self.0.contains(&it))
    }
    fn extend(&mut self, batch: &Batch) {
        self.0.extend(names(batch));
    }
}
fn names(batch: &Batch) -> impl Iterator<Item = String> {
    let streams = batch.events.iter().map(|it| it.stream.clone());
    let rows = batch.rows.iter().map(|it| format!("{}-{}", it.kind, it.id));
    let claims = batch.claims.iter().map(|it| format!("claim {} {}", it.index, it.value));
    let views = batch.views.iter().map(|it| format!("view {} {}", it.view, it.key));
    let marks = batch.marks.iter().map(|it| format!("mark {} {}", it.group, it.message));
    streams.chain(rows).chain(claims).chain(views).chain(marks)
}
