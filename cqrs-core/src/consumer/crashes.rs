//! Counts how often a process has ended while it handled a message, so that such a message is parked in the end.
//!
//! Each member of a group stores which partitions it holds in a note, and takes them out when it gives them up. When a
//! partition is still in the note of another member, that member may have died with one of its messages. Only then the
//! next holder stores which messages it tries. Where nothing has died, no message costs a write.
use crate::{
    environment::within,
    error::{BoxError, Fault, describe, permanent},
    runtime::Runtime,
    storage::Storage,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use uuid::Uuid;

/// The prefix of the notes, `attempt/<reader>/<member>`.
const ATTEMPT: &str = "attempt/";

/// The number of received messages of a partition within which those of a dead member are. A member reads fewer messages
/// ahead of the last acknowledged one.
const WINDOW: usize = 10_000;

/// The time after which a partition without a message in progress is no longer watched.
const QUIET: Duration = Duration::from_secs(5);

/// The smallest number of crashes for which a message is parked. The first one can be that of a message beside it.
const FEWEST: u32 = 2;

/// The note of one member, by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note(BTreeMap<String, Holding>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Holding {
    /// Set until the member gives up the partition.
    held: bool,
    /// The messages that are being tried.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    trying: BTreeSet<Uuid>,
    /// The number of times that a process has ended while it tried the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    crashes: BTreeMap<Uuid, u32>,
}

/// A partition whose former holder may have died.
#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    received: usize,
    /// The uptime at which the last message was received.
    last: Duration,
}

/// The messages with which a process may have died, as one member of a group knows them.
#[derive(Debug)]
pub(crate) struct Crashes {
    prefix: String,
    name: String,
    known: Mutex<Known>,
    /// The note as the database has it.
    stored: AsyncMutex<Note>,
    /// Set while a partition is watched.
    is_watching: AtomicBool,
}
#[derive(Debug, Default)]
struct Known {
    note: Note,
    watched: HashMap<String, Watch>,
}

/// The error of a message with which the process has ended too often.
#[derive(Debug, thiserror::Error)]
#[error("the process ended {0} times while it handled this message")]
struct ProcessEnded(u32);

/// A message that an earlier process may have died with.
pub(crate) struct Suspect {
    partition: String,
    message: Uuid,
    crashes: u32,
    /// Held while a message is tried with which a process has ended before. One of them is tried at a time, so that
    /// the next crash is attributed to one message.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Crashes {
    pub(crate) fn new(runtime: &Runtime, reader: &str) -> Arc<Self> {
        let prefix = format!("{ATTEMPT}{reader}/");
        let name = format!("{prefix}{}", runtime.environment.id());
        let (known, stored, is_watching) = (Mutex::default(), AsyncMutex::default(), AtomicBool::new(false));
        Arc::new(Crashes { prefix, name, known, stored, is_watching })
    }
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns whether a partition is watched. Otherwise there is nothing to do for a message.
    pub(crate) fn is_watching(&self) -> bool {
        self.is_watching.load(Ordering::Relaxed)
    }

    /// Stores that this member holds the partitions. It watches those that were not given up by their former holder, and
    /// counts a crash for each message which that one tried.
    pub(crate) async fn claim(&self, runtime: &Runtime, partitions: &[String]) -> Result<(), Fault> {
        let (storage, mut stored) = (&*runtime.storage, self.stored.lock().await);
        let mut claims: BTreeMap<&str, Holding> =
            partitions.iter().map(|name| (name.as_str(), Holding::default())).collect();
        let (mut others, mut watched) = (Vec::new(), BTreeSet::new());
        *stored = Note::default();
        for (name, value) in storage.notes(&self.prefix).await? {
            // The name of another group can begin with that of this group and a slash.
            let Some(note) = name
                .strip_prefix(&self.prefix)
                .filter(|member| !member.contains('/'))
                .and_then(|_| parse(&name, &value))
            else {
                continue;
            };
            let is_own = name == self.name;
            let mut left = note.clone();
            for (partition, claim) in &mut claims {
                let Some(found) = left.0.remove(*partition) else { continue };
                let has_died = found.held && !is_own;
                if has_died || !found.crashes.is_empty() {
                    watched.insert((*partition).to_owned());
                }
                claim.take_over(found, has_died);
            }
            match is_own {
                true => *stored = note,
                false if left != note => others.push((name, value, left)),
                false => (),
            }
        }
        {
            let mut known = self.known();
            for (partition, claim) in claims {
                let died: Vec<_> = claim.crashes.keys().collect();
                if watched.contains(partition) {
                    tracing::warn!(
                        partition,
                        messages = ?died,
                        "the process that held this partition has not given it up; its messages are watched"
                    );
                    known.watched.insert(partition.to_owned(), Watch::default());
                }
                known.note.0.insert(partition.to_owned(), Holding { held: true, ..claim });
            }
            self.is_watching.store(!known.watched.is_empty(), Ordering::Relaxed);
        }
        self.store(storage, &mut stored).await?;
        for (name, value, left) in others {
            // If that member is alive after all, it learns that it has lost the partitions.
            storage.replace_note(&name, Some(&value), text(&left)?.as_deref()).await?;
        }
        Ok(())
    }
    /// Stores that this member no longer holds the partitions, so that its end is no crash.
    pub(crate) async fn give_up(&self, runtime: &Runtime, partitions: &[String]) {
        {
            let mut known = self.known();
            for partition in partitions {
                known.watched.remove(partition);
                let Some(claim) = known.note.0.get_mut(partition) else { continue };
                (claim.held, claim.trying) = (false, BTreeSet::new());
                if claim.crashes.is_empty() {
                    known.note.0.remove(partition);
                }
            }
            self.is_watching.store(!known.watched.is_empty(), Ordering::Relaxed);
        }
        self.store_or_log(&*runtime.storage).await;
    }
    pub(crate) async fn give_up_all(&self, runtime: &Runtime) {
        let all: Vec<_> = self.known().note.0.keys().cloned().collect();
        self.give_up(runtime, &all).await;
    }

    /// Records that a message was received. `is_idle` says that no earlier one of the partition is in progress. The
    /// partition is no longer watched after a pause, since the messages of the dead member come first.
    pub(crate) fn received(self: &Arc<Self>, runtime: &Arc<Runtime>, partition: &str, is_idle: bool) {
        let (mut known, now) = (self.known(), runtime.environment.uptime());
        let Some(watch) = known.watched.get_mut(partition) else { return };
        if is_idle && watch.received > 0 && (now >= watch.last + QUIET || watch.received > WINDOW) {
            self.end_watch(&mut known, partition);
            drop(known);
            self.store_soon(runtime);
        } else {
            *watch = Watch { received: watch.received + 1, last: now };
        }
    }
    fn end_watch(&self, known: &mut Known, partition: &str) {
        known.watched.remove(partition);
        if let Some(claim) = known.note.0.get_mut(partition) {
            *claim = Holding { held: claim.held, ..Holding::default() };
        }
        self.is_watching.store(!known.watched.is_empty(), Ordering::Relaxed);
    }
    /// Returns the message if an earlier process may have died with it.
    pub(crate) fn suspect(&self, partition: &str, message: Uuid) -> Option<Suspect> {
        let known = self.known();
        let watch = known.watched.get(partition)?;
        let crashes = known.note.0.get(partition).and_then(|claim| claim.crashes.get(&message).copied()).unwrap_or(0);
        let suspect = Suspect { partition: partition.to_owned(), message, crashes, alone: None };
        (crashes > 0 || watch.received <= WINDOW).then_some(suspect)
    }
    /// Records that a message was handled or parked.
    pub(crate) async fn handled(&self, runtime: &Runtime, partition: &str, message: Uuid) {
        let claimed = self.known().note.0.get_mut(partition).map(|claim| claim.crashes.remove(&message));
        if claimed.flatten().is_some() {
            self.store_or_log(&*runtime.storage).await;
        }
    }
    /// Ends the watch of a partition, because every message that the dead member can have tried was handled or parked.
    pub(crate) async fn all_handled(&self, runtime: &Runtime, partition: &str) {
        self.end_watch(&mut self.known(), partition);
        self.store_or_log(&*runtime.storage).await;
    }

    /// Stores the note beside the caller, unless the process has crashed.
    fn store_soon(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        let (crashes, storage) = (self.clone(), runtime.storage.clone());
        runtime.environment.detach(Box::pin(async move { crashes.store_or_log(&*storage).await }));
    }
    async fn store_or_log(&self, storage: &dyn Storage) {
        let mut stored = self.stored.lock().await;
        if let Err(fault) = self.store(storage, &mut stored).await {
            let error = describe(&fault);
            tracing::debug!(
                note = self.name,
                error,
                "the note on attempts was not stored; the partitions are watched longer"
            );
        }
    }
    async fn store(&self, storage: &dyn Storage, stored: &mut Note) -> Result<(), Fault> {
        let note = self.known().note.clone();
        if *stored == note {
            return Ok(());
        }
        let replaced = storage.replace_note(&self.name, text(stored)?.as_deref(), text(&note)?.as_deref()).await;
        if let Ok(true) = replaced {
            *stored = note;
            return Ok(());
        }
        // Another member has taken over a partition, or the response of an earlier write was lost.
        let found = storage.notes(&self.name).await?;
        *stored = found.into_iter().find_map(|(name, value)| parse(&name, &value)).unwrap_or_default();
        self.known().note.0.retain(|partition, _| stored.0.contains_key(partition));
        replaced?;
        Err(Fault::unavailable("another member has taken over a partition"))
    }
}

impl Holding {
    /// Adds the knowledge of another member. If it has died, that counts for each message which it tried. A claim that is
    /// taken over twice, because the first time failed half-way, counts once.
    fn take_over(&mut self, mut other: Holding, has_died: bool) {
        if has_died {
            for message in other.trying {
                *other.crashes.entry(message).or_default() += 1;
            }
        }
        for (message, crashes) in other.crashes {
            let count = self.crashes.entry(message).or_default();
            *count = crashes.max(*count);
        }
    }
}

impl Suspect {
    /// Returns whether it must be tried alone, because a process has ended while it tried this message.
    pub(crate) fn is_tried_alone(&self) -> bool {
        self.crashes > 0
    }
    /// Waits until no other such message is tried in this process. Returns `false` if that takes longer than `longest`.
    pub(crate) async fn wait_alone(&mut self, runtime: &Runtime, longest: Duration) -> bool {
        self.alone = within(&*runtime.environment, longest, runtime.alone.clone().lock_owned()).await;
        self.alone.is_some()
    }
    /// Returns the error of a message that is not tried again.
    pub(crate) fn check(&self, runtime: &Runtime) -> Result<(), BoxError> {
        match self.crashes >= runtime.retry_policy.crashes.max(FEWEST) {
            true => Err(permanent(ProcessEnded(self.crashes))),
            false => Ok(()),
        }
    }
    /// Stores that the message is tried, for as long as the result exists.
    pub(crate) async fn begin(self, runtime: &Arc<Runtime>, crashes: &Arc<Crashes>) -> Result<Trying, Fault> {
        let trying = Trying { suspect: self, runtime: runtime.clone(), crashes: crashes.clone() };
        let Suspect { partition, message, .. } = &trying.suspect;
        let is_tried = |note: &Note| note.0.get(partition).is_some_and(|claim| claim.trying.contains(message));
        if let Some(claim) = crashes.known().note.0.get_mut(partition).filter(|claim| claim.held) {
            claim.trying.insert(*message);
        }
        let mut stored = crashes.stored.lock().await;
        // Messages that begin together are stored together.
        if !is_tried(&stored) {
            crashes.store(&*runtime.storage, &mut stored).await?;
        }
        drop(stored);
        Ok(trying)
    }
}

/// A message that is being tried.
#[must_use = "the message counts as tried until it is dropped"]
pub(crate) struct Trying {
    suspect: Suspect,
    runtime: Arc<Runtime>,
    crashes: Arc<Crashes>,
}
impl Drop for Trying {
    fn drop(&mut self) {
        let Suspect { partition, message, alone, .. } = &self.suspect;
        if let Some(claim) = self.crashes.known().note.0.get_mut(partition) {
            claim.trying.remove(message);
        }
        // Those of a whole batch are removed with the next write. If the process ends before, each counts once and is
        // tried alone.
        if alone.is_some() {
            self.crashes.store_soon(&self.runtime);
        }
    }
}

/// Returns the stored form of a note; a note without partitions is removed.
fn text(note: &Note) -> Result<Option<String>, Fault> {
    if note.0.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(note).map(Some).map_err(|error| Fault::internal("a note cannot be encoded").because(error))
}
fn parse(name: &str, value: &str) -> Option<Note> {
    let parsed = serde_json::from_str(value);
    if let Err(error) = &parsed {
        tracing::warn!(note = name, %error, "a stored note on attempts cannot be read; its crashes are not counted");
    }
    parsed.ok()
}
