//! Counts how often a process has ended while it handled a message, so that such a message is parked in the end.
//!
//! Each member of a group stores which partitions it holds in a note, and takes them out when it gives them up. When a
//! partition is still in the note of another member, that member may have died with one of its messages. Only then the
//! next holder stores which messages it tries. Where nothing has died, no message costs a write.
//!
//! A projection of the own log runs in every process. Its note is that of the process which has started last, and the
//! processes before it are not recorded. While messages are recorded as tried, another process waits until the note does
//! not change any more.
mod note;
mod suspect;

pub(crate) use suspect::{Suspect, Trying};

use crate::{
    error::{Fault, describe},
    runtime::Runtime,
    storage::Storage,
};
use note::{Holding, Note, parse, text};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

/// The prefix of the notes, `attempt/<reader>/<member>`.
const ATTEMPT: &str = "attempt/";

/// The number of received messages of a partition within which those of a dead member are. A member reads fewer messages
/// ahead of the last acknowledged one.
const WINDOW: usize = 10_000;

/// The largest number of watched messages that are tried together.
const TOGETHER: usize = 500;

/// The time after which a partition without a message in progress is no longer watched.
const QUIET: Duration = Duration::from_secs(5);

/// The time for which the note of a member that tries messages does not change until it counts as dead.
const PATIENCE: Duration = Duration::from_secs(3);

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
    /// The notes of members that may be alive, each with the uptime at which its value was first seen.
    doubtful: Mutex<HashMap<String, (String, Duration)>>,
}
#[derive(Debug, Default)]
struct Known {
    note: Note,
    watched: HashMap<String, Watch>,
}

impl Crashes {
    pub(crate) fn new(runtime: &Runtime, reader: &str) -> Arc<Self> {
        let prefix = format!("{ATTEMPT}{reader}/");
        let name = format!("{prefix}{}", runtime.environment.id());
        let (known, stored, is_watching) = (Mutex::default(), AsyncMutex::default(), AtomicBool::new(false));
        Arc::new(Crashes { prefix, name, known, stored, is_watching, doubtful: Mutex::default() })
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
        let mut stored = self.stored.lock().await;
        let notes = self.read(&*runtime.storage).await?;
        self.claim_from(runtime, partitions, notes, &mut stored, false).await
    }
    /// Does the same with a partition that other members hold as well, since each of them handles its messages. Returns
    /// `false` while another one tries messages and may be alive: then this member should not try them.
    pub(crate) async fn claim_shared(&self, runtime: &Runtime, partition: &str) -> Result<bool, Fault> {
        let mut stored = self.stored.lock().await;
        let notes = self.read(&*runtime.storage).await?;
        // Where only one process can open the database, all others are dead.
        if !runtime.storage.is_exclusive() && self.is_one_alive(runtime, partition, &notes) {
            return Ok(false);
        }
        self.claim_from(runtime, &[partition.to_owned()], notes, &mut stored, true).await?;
        Ok(true)
    }
    fn is_one_alive(&self, runtime: &Runtime, partition: &str, notes: &[(String, String, Note)]) -> bool {
        let now = runtime.environment.uptime();
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *doubtful);
        let tries = |note: &Note| note.0.get(partition).is_some_and(|claim| claim.held && !claim.trying.is_empty());
        let others = notes.iter().filter(|(name, _, note)| *name != self.name && tries(note));
        for (name, value, _) in others {
            let same = before.remove(name).filter(|(last, _)| last == value);
            doubtful.insert(name.clone(), same.unwrap_or_else(|| (value.clone(), now)));
        }
        doubtful.values().any(|(_, since)| now < *since + PATIENCE)
    }
    /// Returns the notes of all members of the group, with their names and values.
    async fn read(&self, storage: &dyn Storage) -> Result<Vec<(String, String, Note)>, Fault> {
        let notes = storage.notes(&self.prefix).await?.into_iter();
        // The name of another group can begin with that of this group and a slash.
        let of_member = |(name, value): (String, String)| {
            name.strip_prefix(&self.prefix).filter(|member| !member.contains('/'))?;
            let note = parse(&name, &value)?;
            Some((name, value, note))
        };
        Ok(notes.filter_map(of_member).collect())
    }
    async fn claim_from(
        &self,
        runtime: &Runtime,
        partitions: &[String],
        notes: Vec<(String, String, Note)>,
        stored: &mut Note,
        others_may_live: bool,
    ) -> Result<(), Fault> {
        let storage = &*runtime.storage;
        let mut claims: BTreeMap<&str, Holding> =
            partitions.iter().map(|name| (name.as_str(), Holding::default())).collect();
        let (mut others, mut watched) = (Vec::new(), BTreeSet::new());
        *stored = Note::default();
        for (name, value, note) in notes {
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
                    if !others_may_live || !died.is_empty() {
                        tracing::warn!(
                            partition,
                            messages = ?died,
                            "the process that held this partition has not given it up; its messages are watched"
                        );
                    }
                    let watch = Watch { received: 0, last: runtime.environment.uptime() };
                    known.watched.insert(partition.to_owned(), watch);
                }
                known.note.0.insert(partition.to_owned(), Holding { held: true, ..claim });
            }
            self.is_watching.store(!known.watched.is_empty(), Ordering::Relaxed);
        }
        self.store(storage, stored).await?;
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
    /// Records that the follower of a partition has nothing to do. The partition is no longer watched after a pause.
    pub(crate) async fn idle(&self, runtime: &Runtime, partition: &str) {
        let now = runtime.environment.uptime();
        let is_over = self.known().watched.get(partition).is_some_and(|watch| now >= watch.last + QUIET);
        if is_over {
            self.end_watch(&mut self.known(), partition);
            self.store_or_log(&*runtime.storage).await;
        }
    }
    /// Returns the time after which the watch on a partition without messages ends, or `None` where there is no watch.
    pub(crate) fn until_quiet(&self, runtime: &Runtime, partition: &str) -> Option<Duration> {
        let since = self.known().watched.get(partition)?.last;
        Some((since + QUIET).saturating_sub(runtime.environment.uptime()))
    }
    /// Stores that the messages of a failed attempt are not tried any more. Another process may have handled them, and this
    /// one may have nothing more to do: a note with messages that are tried and does not change is that of a dead process.
    pub(crate) async fn no_longer_tried(&self, runtime: &Runtime) {
        self.store_or_log(&*runtime.storage).await;
    }
    /// Returns the largest number of the next messages of a partition to try together, at least 1: a message with which a
    /// process has died is tried alone.
    pub(crate) fn together(&self, partition: &str, messages: &[Uuid]) -> usize {
        let known = self.known();
        if messages.is_empty() || !known.watched.contains_key(partition) {
            return usize::MAX;
        }
        let crashes = known.note.0.get(partition).map(|claim| &claim.crashes);
        let suspect = messages.iter().position(|message| crashes.is_some_and(|all| all.contains_key(message)));
        suspect.unwrap_or(messages.len()).clamp(1, TOGETHER)
    }
    /// Returns the messages, which are tried together, if an earlier process may have died with one of them.
    pub(crate) fn suspect(&self, partition: &str, messages: &[Uuid]) -> Option<Suspect> {
        let known = self.known();
        let watch = known.watched.get(partition)?;
        let crashes = match messages {
            [message] => known.note.0.get(partition).and_then(|claim| claim.crashes.get(message).copied()).unwrap_or(0),
            _ => 0,
        };
        let (partition, messages) = (partition.to_owned(), messages.to_vec());
        let is_watched = !messages.is_empty() && (crashes > 0 || watch.received <= WINDOW);
        is_watched.then_some(Suspect { partition, messages, crashes, alone: None })
    }
    /// Records that messages were handled or parked.
    pub(crate) async fn handled(&self, runtime: &Runtime, partition: &str, messages: &[Uuid]) {
        if self.forget(&mut self.known(), partition, messages) {
            self.store_or_log(&*runtime.storage).await;
        }
    }
    /// Records that the follower of a partition has handled or parked these messages, the next ones in order. The watch
    /// ends after `window` messages, because the dead member can have tried these only.
    pub(crate) async fn passed(&self, runtime: &Runtime, partition: &str, messages: &[Uuid], window: usize) {
        {
            let mut known = self.known();
            self.forget(&mut known, partition, messages);
            let Some(watch) = known.watched.get_mut(partition) else { return };
            *watch = Watch { received: watch.received + messages.len(), last: runtime.environment.uptime() };
            if watch.received >= window {
                self.end_watch(&mut known, partition);
            }
        }
        // At once, since another process waits for a note with messages that are tried.
        self.store_or_log(&*runtime.storage).await;
    }
    /// Forgets the messages of a partition with a single crash.
    pub(crate) fn keep_repeated(&self, partition: &str) {
        if let Some(claim) = self.known().note.0.get_mut(partition) {
            claim.crashes.retain(|_, crashes| *crashes > 1);
        }
    }
    /// Removes the crashes of these messages, and returns whether there were any.
    fn forget(&self, known: &mut Known, partition: &str, messages: &[Uuid]) -> bool {
        let Some(claim) = known.note.0.get_mut(partition) else { return false };
        messages.iter().filter(|message| claim.crashes.remove(message).is_some()).count() > 0
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
        for _ in 0..2 {
            let note = self.known().note.clone();
            if *stored == note {
                return Ok(());
            }
            let replaced = storage.replace_note(&self.name, text(stored)?.as_deref(), text(&note)?.as_deref()).await;
            if let Ok(true) = replaced {
                *stored = note;
                return Ok(());
            }
            // Another member has taken over a partition, or an earlier write was carried out and its response was lost.
            let found = storage.notes(&self.name).await?;
            *stored = found.into_iter().find_map(|(name, value)| parse(&name, &value)).unwrap_or_default();
            let is_lost = {
                let mut known = self.known();
                let before = known.note.0.len();
                known.note.0.retain(|partition, _| stored.0.contains_key(partition));
                known.watched.retain(|partition, _| stored.0.contains_key(partition));
                self.is_watching.store(!known.watched.is_empty(), Ordering::Relaxed);
                known.note.0.len() < before
            };
            replaced?;
            if is_lost {
                break;
            }
        }
        Err(Fault::unavailable("another member has taken over a partition"))
    }
}
