//! Seeded bugs between an engine and its database.
use super::Bug;
use crate::{
    listener::lock,
    simulation::{database::Connection, environment::SECOND, fleet::Release},
};
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    event::Entry,
    storage::{
        Batch, CheckpointMove, CommitError, InboxLookup, LEFT_TO_NEWER_PROGRAM, Lease, ParkedKey, ParkedPage,
        ReadLimit, Storage, StoredProgram, StoredView, ViewSwitch, ViewWrite,
    },
    testing::StorageLayer,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

/// The name of the process that withdraws a program.
pub(crate) const WITHDRAWING: &str = "operator who withdraws the newer program";

/// The state of a bug that its processes share.
#[derive(Default)]
pub(crate) struct BugState {
    /// The process that is sending each entry, and the time until which the entry is locked.
    locked: Mutex<BTreeMap<u64, (u64, u64)>>,
    /// The handled messages, with their group.
    pub(super) handled: Mutex<BTreeSet<(String, Uuid)>>,
    /// The set of indexes with which the newer program has written each view.
    index_sets: Mutex<BTreeMap<&'static str, i64>>,
}

/// A connection with a bug.
#[derive(Clone)]
pub(crate) struct SeededStorage {
    pub(crate) connection: Connection,
    pub(crate) bug: Bug,
    pub(crate) bug_state: Arc<BugState>,
}

impl SeededStorage {
    /// Keeps the entries that no other process has taken in the last second, and takes them.
    fn skip_locked(&self, mut found: Vec<Entry>) -> Vec<Entry> {
        if self.bug == Bug::SkipLocked {
            let (me, now) = (self.connection.process.id, self.connection.database.environment.now());
            let mut locked = lock(&self.bug_state.locked);
            found.retain(|entry| {
                locked.get(&entry.position.0).is_none_or(|(holder, until)| *holder == me || *until < now)
            });
            locked.extend(found.iter().map(|entry| (entry.position.0, (me, now + SECOND))));
        }
        found
    }
}

impl SeededStorage {
    fn is_former(&self) -> bool {
        self.connection.process.release == Release::Former
    }
    /// Gives the values that the former program writes the set of indexes of the newer one.
    fn claim_index_sets(&self, views: &mut [ViewWrite]) {
        let mut known = lock(&self.bug_state.index_sets);
        for write in views {
            match self.is_former() {
                true => write.index_set = known.get(write.view).copied().unwrap_or(write.index_set),
                false => drop(known.insert(write.view, write.index_set)),
            }
        }
    }
}
fn without_newer_field(value: &mut Vec<u8>) {
    let Ok(mut fields) = serde_json::from_slice::<serde_json::Map<_, _>>(value) else { return };
    fields.remove("last");
    *value = serde_json::Value::from(fields).to_string().into_bytes();
}

#[async_trait]
impl StorageLayer for SeededStorage {
    fn inner(&self) -> &dyn Storage {
        &self.connection
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        if self.bug == Bug::NaiveCursor {
            let all = self.connection.log(Position(0), Position(u64::MAX), ReadLimit::entries(usize::MAX)).await?;
            return Ok(all.last().map_or(Position(0), |entry| entry.position));
        }
        if self.bug == Bug::WithdrawnUnread && self.connection.process.name == WITHDRAWING {
            return Ok(Position(0));
        }
        self.connection.high_water_mark().await
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        match self.bug {
            Bug::UnindexedUnseen => Ok(Vec::new()),
            _ => self.connection.views_of_other_index_sets(view, index_sets, limit).await,
        }
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        match self.bug {
            Bug::ReleasedWithoutReason => Ok(true),
            _ => self.connection.replace_parked_error(number, expected, error).await,
        }
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        Ok(self.skip_locked(self.connection.outgoing_entries(shards, upto, limit).await?))
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        Ok(self.skip_locked(self.connection.log(after, upto, limit).await?))
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        let mut found = self.connection.lookup_inbox(group, messages, keys).await?;
        if self.bug == Bug::ParkedUnseen {
            found.parked.clear();
        }
        Ok(found)
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        let mut found = self.connection.parked_keys(page).await?;
        // A call for an operator names no reader and must work, so that parked messages can be redelivered.
        if self.bug == Bug::ParkedUnseen && page.reader.is_some() {
            found.clear();
        }
        Ok(found)
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let mut found = self.connection.first_parked(reader, keys).await?;
        if self.bug == Bug::ParkedUnseen {
            found.clear();
        }
        Ok(found)
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        match self.bug {
            Bug::NewerProgramUnseen => Ok(Vec::new()),
            Bug::WithdrawalUnseen => {
                let mut programs = self.connection.programs(after).await?;
                programs.retain(|program| !program.declaration.contains("withdrawn_program"));
                Ok(programs)
            }
            _ => self.connection.programs(after).await,
        }
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        if matches!(self.bug, Bug::LeaseToEverybody | Bug::SkipLocked) {
            let at = self.connection.checkpoints(&[reader.to_owned()]).await?;
            let position = Position(at.first().copied().unwrap_or_default());
            return Ok(Some(Lease { epoch: 0, position }));
        }
        self.connection.lease(reader, owner, ttl).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        let mut switch = switch.clone();
        if self.bug == Bug::SwitchedBehind {
            for of in &mut switch.checkpoints {
                let at = self.connection.checkpoints(&[of.live.clone(), of.filled.clone()]).await?;
                if at[1] < at[0] {
                    of.filled.clone_from(&of.live);
                }
            }
        }
        self.connection.switch_view(&switch).await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        match self.bug {
            Bug::LeaseWithoutEpoch => {
                let of_relay = |step: &&mut CheckpointMove| step.reader.starts_with("relay/");
                batch.checkpoint_moves.iter_mut().filter(of_relay).for_each(|step| step.epoch = None);
            }
            Bug::WaitingPassed => {
                let to =
                    |reader: &str| batch.checkpoint_moves.iter().find(|step| step.reader == reader).map(|step| step.to);
                let ahead = |step: &CheckpointMove| to(&format!("{}/ahead", step.reader)).unwrap_or(step.to);
                let ahead: Vec<_> = batch.checkpoint_moves.iter().map(ahead).collect();
                batch.checkpoint_moves.iter_mut().zip(ahead).for_each(|(step, to)| step.to = step.to.max(to));
            }
            Bug::InboxRecordApart if !batch.events.is_empty() => {
                let inbox_records = std::mem::take(&mut batch.inbox_records);
                if !inbox_records.is_empty() {
                    self.connection.commit(Batch { inbox_records, ..Batch::default() }).await?;
                }
            }
            Bug::InlineChangesApart if !batch.events.is_empty() && !batch.views.is_empty() => {
                let views = std::mem::take(&mut batch.views);
                let position = self.connection.commit(batch).await?;
                self.connection.commit(Batch { views, ..Batch::default() }).await?;
                return Ok(position);
            }
            Bug::CopyUnfenced => {
                let serving = self.connection.serving_copy("tally").await?;
                let moves = batch.checkpoint_moves.iter_mut().filter(|step| step.reader == "projection/tally");
                moves.for_each(|step| step.epoch = Some(serving));
            }
            Bug::NoInbox => batch.inbox_records.clear(),
            Bug::LeftIsPassed => batch.parks.retain(|park| park.error != LEFT_TO_NEWER_PROGRAM),
            Bug::LeftWithoutReason => {
                let left = batch.parks.iter_mut().filter(|park| park.error == LEFT_TO_NEWER_PROGRAM);
                left.for_each(|park| park.error = "no reason".to_owned());
            }
            Bug::IndexSetClaimed => self.claim_index_sets(&mut batch.views),
            // The job that fills in entries writes views alone.
            Bug::FilledWithoutEntries if batch.checkpoint_moves.is_empty() && batch.unparks.is_empty() => {
                batch.views.iter_mut().for_each(|write| write.entries.clear());
            }
            Bug::FieldOfStateDropped if self.is_former() => {
                batch.rows.iter_mut().filter_map(|row| row.state.as_mut()).for_each(without_newer_field);
            }
            Bug::FieldOfViewDropped if self.is_former() => {
                batch.views.iter_mut().filter_map(|write| write.value.as_mut()).for_each(without_newer_field);
            }
            Bug::PositionNotCompared => {
                for step in batch.checkpoint_moves.iter_mut().filter(|step| step.reader.starts_with("projection/")) {
                    let at = self.connection.checkpoints(std::slice::from_ref(&step.reader)).await?;
                    step.from = at.first().copied().unwrap_or_default();
                }
            }
            _ => (),
        }
        let inbox_records: Vec<_> =
            batch.inbox_records.iter().map(|record| (record.group.clone(), record.message)).collect();
        let position = self.connection.commit(batch).await?;
        lock(&self.bug_state.handled).extend(inbox_records);
        Ok(position)
    }
}
