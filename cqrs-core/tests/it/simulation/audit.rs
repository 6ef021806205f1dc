//! The audit of a schedule checks every commit, stored record and committed offset against the invariants.
mod facts;

pub(crate) use facts::Written;

use super::{
    database::Database,
    environment::SimulatedEnvironment,
    fleet::Release,
    process::Process,
    programs::{IndexPages, IndexedTally},
    trace::Violation,
};
use crate::listener::lock;
use cqrs_core::{
    event::{Entry, shard_of},
    storage::{CheckpointMove, LEFT_TO_NEWER_PROGRAM, Park, ViewSwitch},
    transport::Partition,
};
use facts::{Facts, OutgoingEntry, ParkedMessage, Shard, effect_of, in_words, reader_of};
use serde::Deserialize;
use std::sync::Mutex;
use uuid::Uuid;

// The invariants, by the names that violations are reported under.
pub(crate) const NO_LOSS: &str = "no loss";
pub(crate) const NO_GHOST: &str = "no ghost";
pub(crate) const IN_ORDER: &str = "in order";
pub(crate) const ONCE: &str = "an effect once";
pub(crate) const ONE_PARTITION: &str = "one partition per key";
pub(crate) const CONTIGUOUS: &str = "nothing is acknowledged past the first unhandled message";
pub(crate) const VERSIONS: &str = "versions without gaps or repetitions";
pub(crate) const FENCED: &str = "a relay shard is moved by the holder of its lease";
pub(crate) const NO_NEEDLESS: &str = "no duplicate without a cause";
pub(crate) const NO_NEEDLESS_PARKING: &str = "nothing is parked without a cause";
pub(crate) const NOT_UNSEEN: &str = "nothing is passed that is neither handled nor parked";
pub(crate) const KEPT: &str = "a parked message is removed only with its effect";
pub(crate) const FIELDS_KEPT: &str = "fields of a newer program are kept";
pub(crate) const PAGES_COMPLETE: &str = "pages by every index return every value";
pub(crate) const INLINE: &str = "an inline view is as new as each commit";
pub(crate) const DRAINS: &str = "drains";

pub(crate) struct Audit {
    environment: SimulatedEnvironment,
    facts: Mutex<Facts>,
}
/// The field of every event of the simulated services.
#[derive(Deserialize)]
struct Happened {
    number: u32,
}
#[derive(Deserialize)]
struct Numbers {
    numbers: Vec<u32>,
}
/// The field of a state and of a view that only the newer program has.
#[derive(Deserialize)]
struct NewerField {
    last: Option<u64>,
}

impl Audit {
    pub(crate) fn new(environment: &SimulatedEnvironment) -> Self {
        Audit { environment: environment.clone(), facts: Mutex::default() }
    }
    fn report(&self, invariant: &'static str, details: String) {
        self.environment.report(Violation { invariant, details });
    }
    /// Records that a fault was injected. From now on a record may be sent twice.
    pub(crate) fn disturbed(&self) {
        lock(&self.facts).disturbances += 1;
    }

    /// Records that messages may fail, so that some may be parked.
    pub(crate) fn may_park(&self) {
        lock(&self.facts).may_park = true;
    }

    /// Checks a batch that has become visible.
    pub(crate) fn committed(&self, database: &Database, process: &Process, entries: &[Entry], written: &Written) {
        self.environment.note(|| in_words(database, process, entries, written));
        for entry in entries {
            self.appended(database, entry);
        }
        let removed: Vec<_> = {
            let parked_now = &mut lock(&self.facts).parked_now;
            written.unparks.iter().filter_map(|number| parked_now.remove(&(database.name, *number))).collect()
        };
        written.parks.iter().for_each(|park| self.parked(database, process, park));
        for view in &written.views {
            if let Some(value) = &view.value {
                self.field_written(process, view.view, &view.key, value);
                self.view_written(view.view, &view.key, value);
            }
        }
        entries.iter().for_each(|entry| self.applied_inline(entry));
        for row in &written.rows {
            if let Some(state) = &row.state {
                self.field_written(process, row.kind, &row.id, state);
            }
        }
        removed.iter().for_each(|message| self.removed(message));
        if database.name == "shop" {
            written.checkpoint_moves.iter().for_each(|step| self.moved(process, step));
        }
    }
    /// Checks that an event which names an inline projection is in its view.
    fn applied_inline(&self, entry: &Entry) {
        let Some((_, key)) = entry.stream.split_once('/') else { return };
        for projection in &entry.metadata.applied_by {
            let seen = lock(&self.facts).has_effect(projection, key);
            if seen < entry.version {
                let details = format!("{projection}: {key} is at {seen} when event {} is committed", entry.version);
                self.report(INLINE, details);
            }
        }
    }
    /// Checks a message that is parked: it fails, or only a newer program handles it, or it waits behind another one.
    fn parked(&self, database: &Database, process: &Process, park: &Park) {
        let mut facts = lock(&self.facts);
        let is_left = park.error == LEFT_TO_NEWER_PROGRAM;
        let cause = match is_left {
            true => {
                facts.has_left(&park.reader, &park.key)
                    || process.release == Release::Former && facts.is_only_newer(&park.reader, park.message)
            }
            // A message that was left may have been released already.
            false => {
                // The first message of the key has the cause.
                let is_behind = park.error.starts_with("waits behind")
                    && facts.parked_now.values().any(|found| found.reader == park.reader && found.key == park.key);
                facts.may_park
                    || is_behind
                    || facts.has_left(&park.reader, &park.key)
                    || facts.withdrawn && facts.is_only_newer(&park.reader, park.message)
            }
        };
        facts.parked.insert((park.reader.clone(), park.message));
        let last = facts.last_parked.entry(database.name).or_default();
        *last += 1;
        let number = (database.name, *last);
        let Park { reader, key, message, error, .. } = park.clone();
        facts.parked_now.insert(number, ParkedMessage { reader, key, message, error, was_left: is_left });
        drop(facts);
        if !cause {
            let details = format!("{} parks {} {}: {}", park.reader, park.key, park.at, park.error);
            self.report(NO_NEEDLESS_PARKING, details);
        }
    }
    /// Records that the newer program of the shop was withdrawn.
    pub(crate) fn withdrawn(&self) {
        self.environment.note(|| "the newer program is withdrawn".to_owned());
        lock(&self.facts).withdrawn = true;
    }
    /// Checks a message that was left to a newer program and is parked for another reason: no other program handles it.
    pub(crate) fn reason_replaced(&self, database: &Database, number: u64, error: &str) {
        self.environment.note(|| format!("{}: parked message {number} stays parked: {error}", database.name));
        let mut facts = lock(&self.facts);
        let may_park = facts.may_park;
        let Some(message) = facts.parked_now.get_mut(&(database.name, number)) else { return };
        message.error = error.to_owned();
        let (reader, key, event) = (message.reader.clone(), message.key.clone(), message.message);
        let has_cause = may_park || facts.withdrawn && facts.is_only_newer(&reader, event);
        drop(facts);
        if !has_cause {
            self.report(NO_NEEDLESS_PARKING, format!("{reader} parks {key}: {error}"));
        }
    }
    /// Checks the field of a written state or view that only the newer program has. The former program keeps it.
    fn field_written(&self, process: &Process, kind: &str, key: &str, value: &[u8]) {
        let Ok(NewerField { last }) = serde_json::from_slice(value) else { return };
        let mut facts = lock(&self.facts);
        let of_value = (kind.to_owned(), key.to_owned());
        let before = facts.newer_fields.get(&of_value).copied();
        let is_kept = last == before || last.is_some() && process.release == Release::Newer;
        if let Some(last) = last {
            facts.newer_fields.insert(of_value, last);
        }
        drop(facts);
        if !is_kept {
            let details = format!("{} writes {kind} {key} with {last:?}, and the field was {before:?}", process.name);
            self.report(FIELDS_KEPT, details);
        }
    }
    /// Returns the number of all effects until now.
    pub(crate) fn effects(&self) -> u64 {
        lock(&self.facts).effects.values().sum()
    }
    /// Checks the pages of each index of the tallies, once everything has arrived: each value is there once, in order, in both
    /// directions, and counted.
    pub(crate) fn pages_read(&self, process: &Process, all: &[IndexPages]) {
        let facts = lock(&self.facts);
        let mut details = None;
        for IndexPages { index, values, backwards, count } in all {
            let in_order = values.is_sorted_by(|a, b| (a.column, &a.key) <= (b.column, &b.key));
            let complete = facts.committed.keys().all(|key| {
                let mut of_key = values.iter().filter(|value| value.key == *key);
                let done = facts.has_effect("tally", key);
                let found = of_key.next().map_or(0, |IndexedTally { numbers, .. }| numbers.len() as u64);
                found == done && of_key.next().is_none()
            });
            let both_ways = values.iter().map(|value| &value.key).eq(backwards.iter().rev());
            if !in_order || !complete || !both_ways || *count != values.len() as u64 {
                let name = &process.name;
                details = Some(format!("{name}: {index} has {values:?}, {backwards:?} backwards, and {count} in all"));
            }
        }
        drop(facts);
        if let Some(details) = details {
            self.report(PAGES_COMPLETE, details);
        }
    }
    /// Checks a parked message that was removed: its effect must be there.
    fn removed(&self, message: &ParkedMessage) {
        let facts = lock(&self.facts);
        let event = facts.by_id.get(&message.message);
        let (Some((key, place)), Some(effect)) = (event, effect_of(&message.reader)) else { return };
        if facts.has_effect(effect, key) < *place {
            let details = format!("{}: {key} {place} is removed without its effect", message.reader);
            drop(facts);
            self.report(KEPT, details);
        }
    }
    fn appended(&self, database: &Database, entry: &Entry) {
        if entry.name == "parked.redelivered" {
            // A relay that still considers the key parked is refused, and sends the entries again that it could not
            // move over.
            return self.disturbed();
        }
        let Ok(Happened { number }) = serde_json::from_slice(&entry.payload) else { return };
        let Some((_, id)) = entry.stream.split_once('/') else { return };
        let id = id.to_owned();
        if !matches!(&*entry.name, "credited" | "rewarded") {
            return self.effect(&entry.name, &id, number);
        }
        let mut facts = lock(&self.facts);
        let at = entry.position.0;
        let shard = shard_of(&id);
        let reads = |reader: &str| Shard::of(reader).is_none_or(|read| read.number == shard);
        let passed = facts.positions.iter().find(|(reader, passed)| reads(reader) && **passed >= at);
        if let Some((reader, passed)) = passed {
            let details = format!("{id} {number} appears at {at}, and {reader} is at {passed} already");
            drop(facts);
            return self.report(NO_LOSS, details);
        }
        let last = facts.committed.entry(id.clone()).or_default();
        *last += 1;
        let place = *last;
        if entry.version != place {
            let details =
                format!("{id} has version {} as its event number {place} in {}", entry.version, database.name);
            drop(facts);
            return self.report(VERSIONS, details);
        }
        facts.by_id.insert(entry.id, (id.clone(), place));
        if entry.name == "rewarded" || entry.schema > 1 {
            facts.only_newer.insert(entry.id);
        }
        if entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.name == "shop.rewarded.v1") {
            facts.only_newer_message.insert(entry.id);
        }
        facts.entries.push(OutgoingEntry { at, shard, id: entry.id, key: id.clone(), place });
        let twice = facts.by_number.insert((id.clone(), number), place).is_some();
        let ghost = facts.failed.contains(&(number / 10));
        drop(facts);
        if twice {
            self.report(ONCE, format!("command {} on {id} was done twice", number / 10));
        }
        if ghost {
            self.report(NO_GHOST, format!("command {} on {id} was reported as failed", number / 10));
        }
    }
    fn effect(&self, effect: &str, key: &str, number: u32) {
        let mut facts = lock(&self.facts);
        let Some(place) = facts.by_number.get(&(key.to_owned(), number)).copied() else {
            drop(facts);
            return self.report(NO_GHOST, format!("{effect}: {key} {number} never happened"));
        };
        let last = facts.effects.entry((effect.to_owned(), key.to_owned())).or_default();
        let before = *last;
        *last = place;
        drop(facts);
        self.follows(effect, key, before, place);
    }
    /// Checks that an effect follows the effect of the event before it.
    fn follows(&self, effect: &str, key: &str, before: u64, place: u64) {
        let details = || format!("{effect}: {key} {place} comes after {before}");
        if place <= before {
            self.report(ONCE, details());
        } else if place != before + 1 {
            self.report(IN_ORDER, details());
        }
    }
    fn view_written(&self, view: &str, key: &str, value: &[u8]) {
        let Ok(Numbers { numbers }) = serde_json::from_slice(value) else { return };
        let mut before = 0;
        for number in &numbers {
            let place = lock(&self.facts).by_number.get(&(key.to_owned(), *number)).copied();
            let Some(place) = place else {
                return self.report(NO_GHOST, format!("{view}: {key} {number} never happened"));
            };
            self.follows(view, key, before, place);
            before = place;
        }
        lock(&self.facts).effects.insert((view.to_owned(), key.to_owned()), before);
    }
    /// Checks a checkpoint move of a reader of the shop's log.
    fn moved(&self, process: &Process, step: &CheckpointMove) {
        let mut facts = lock(&self.facts);
        facts.positions.insert(step.reader.clone(), step.to);
        let mut violation = None;
        if let Some(shard) = Shard::of(&step.reader) {
            let passed = facts.entries.iter().filter(|entry| entry.at <= step.to && entry.shard == shard.number);
            let arrived = |entry: &OutgoingEntry| match shard.group {
                None => {
                    facts.sent.get(&entry.key).is_some_and(|(sent, _)| *sent >= entry.place)
                        || facts.is_parked(&step.reader, entry.id)
                }
                Some(group) => {
                    facts.has_effect(group, &entry.key) >= entry.place || facts.is_parked(reader_of(group), entry.id)
                }
            };
            if let Some(OutgoingEntry { at, key, place, .. }) = passed.into_iter().find(|entry| !arrived(entry)) {
                let passed = format!("{} is moved to {}", step.reader, step.to);
                violation = Some((NO_LOSS, format!("{passed}, and {key} {place} at {at} has not arrived")));
            }
            match facts.lessees.get(&step.reader) {
                Some((holder, epoch)) if *holder != process.id => {
                    let moved = format!("{} is moved by {}", step.reader, process.name);
                    violation = Some((FENCED, format!("{moved}, and another process holds its lease {epoch}")));
                }
                _ => (),
            }
        } else if let Some(effect) = effect_of(&step.reader)
            && let Some(OutgoingEntry { at, key, place, .. }) = facts.unseen(&step.reader, effect, step.to)
        {
            let passed = format!("{} is moved to {}", step.reader, step.to);
            violation = Some((NOT_UNSEEN, format!("{passed} by {}, past {key} {place} at {at}", process.name)));
        }
        drop(facts);
        if let Some((invariant, details)) = violation {
            self.report(invariant, details);
        }
    }
    /// Checks a switch of a view to another copy: each event up to the checkpoint is in the new copy, or parked.
    pub(crate) fn switched(&self, database: &Database, switch: &ViewSwitch) {
        self.environment.note(|| format!("{}: view {} is switched to copy {}", database.name, switch.view, switch.to));
        let mut facts = lock(&self.facts);
        facts.serving.insert(switch.view.clone(), switch.to);
        for of in &switch.readers {
            facts.pass_parked(database.name, &of.live, &of.kept);
            facts.pass_parked(database.name, &of.filled, &of.live);
        }
        let mut lost = None;
        for of in &switch.checkpoints {
            let reached = facts.positions.get(&of.filled).copied().unwrap_or_default();
            let live = facts.positions.get(&of.live).copied().unwrap_or_default();
            let effect = effect_of(&of.live).unwrap_or_default();
            if let Some(OutgoingEntry { at, key, place, .. }) = facts.unseen(&of.live, effect, live.max(reached)) {
                lost = Some(format!("copy {} of {} lacks {key} {place} at {at}", switch.to, switch.view));
            }
        }
        drop(facts);
        if let Some(details) = lost {
            self.report(NOT_UNSEEN, details);
        }
    }
    /// Returns whether the view was switched to another copy.
    pub(crate) fn has_switched(&self, view: &str) -> bool {
        lock(&self.facts).serving.contains_key(view)
    }
    pub(crate) fn leased(&self, database: &Database, reader: &str, process: &Process, epoch: u64) {
        let before = lock(&self.facts).lessees.insert(reader.to_owned(), (process.id, epoch));
        if before != Some((process.id, epoch)) {
            self.environment.note(|| format!("{}: {} holds {reader} as {epoch}", database.name, process.name));
        }
    }

    /// Checks a record that the broker has stored.
    pub(crate) fn stored(&self, partition: &Partition, offset: u64, key: &str, id: Option<Uuid>) {
        let mut facts = lock(&self.facts);
        let known = id.and_then(|id| facts.by_id.get(&id).cloned());
        let Some((_, place)) = known else {
            drop(facts);
            return self.report(NO_GHOST, format!("{partition} {offset}: a record of {key} that is not committed"));
        };
        self.environment.note(|| format!("broker: {partition} {offset} is {key} {place}"));
        let (sent, at) = facts.sent.entry(key.to_owned()).or_insert_with(|| (0, partition.clone()));
        let mut violation = None;
        if at != partition {
            violation =
                Some((ONE_PARTITION, format!("{key} {place} is in {partition}, other records of the key are in {at}")));
        }
        if place == *sent + 1 {
            *sent = place;
        } else if place > *sent {
            violation = Some((IN_ORDER, format!("broker: {key} {place} comes after {sent}")));
        } else {
            facts.duplicates += 1;
            if facts.disturbances == 0 {
                violation =
                    Some((NO_NEEDLESS, format!("broker: {key} {place} is stored again without an injected fault")));
            }
        }
        drop(facts);
        if let Some((invariant, details)) = violation {
            self.report(invariant, details);
        }
    }
    /// Checks a committed offset of a group: every message of the partition up to it must be handled or parked.
    pub(crate) fn acknowledged(&self, effect: &str, partition: &Partition, upto: u64, records: &[(u64, Uuid)]) {
        let facts = lock(&self.facts);
        let undone = records.iter().filter(|(offset, _)| *offset <= upto).find_map(|(offset, id)| {
            let (key, place) = facts.by_id.get(id)?;
            let done = facts.has_effect(effect, key);
            let open = done < *place && !facts.is_parked(reader_of(effect), *id);
            open.then(|| format!("{effect}: {partition} up to {upto}, and of {key} {done}; {offset} is {key} {place}"))
        });
        drop(facts);
        if let Some(details) = undone {
            self.report(CONTIGUOUS, details);
        }
    }

    /// Checks a command whose caller has received a success: it must be in the log.
    pub(crate) fn succeeded(&self, key: &str, command: u32) {
        if !lock(&self.facts).by_number.contains_key(&(key.to_owned(), command * 10)) {
            self.report(NO_LOSS, format!("command {command} on {key} succeeded and is not in the log"));
        }
    }
    /// Checks a command whose caller has received a failure: it must not be in the log, now or later.
    pub(crate) fn failed(&self, key: &str, command: u32) {
        let mut facts = lock(&self.facts);
        facts.failed.insert(command);
        if facts.by_number.contains_key(&(key.to_owned(), command * 10)) {
            drop(facts);
            self.report(NO_GHOST, format!("command {command} on {key} failed and is in the log"));
        }
    }

    /// Returns a description of an entry of another key that is not on the broker.
    pub(crate) fn missing_beside(&self, aside: &str) -> Option<String> {
        let facts = lock(&self.facts);
        let sent = |key: &String| facts.sent.get(key).map_or(0, |(sent, _)| *sent);
        let mut others = facts.committed.iter().filter(|(key, _)| *key != aside);
        let (key, committed) = others.find(|(key, committed)| sent(key) < **committed)?;
        Some(format!("{key}: {committed} are committed and {} on the broker", sent(key)))
    }
    /// Returns a description of an entry that has not arrived everywhere.
    ///
    /// An effect may wait if no newer program runs that would redeliver the messages which were left to it.
    pub(crate) fn missing(&self, effects: &[(&str, bool)], broker: bool) -> Option<String> {
        let facts = lock(&self.facts);
        for OutgoingEntry { at, shard, key, place, .. } in &facts.entries {
            let mut readers = facts
                .positions
                .iter()
                .filter(|(reader, _)| Shard::of(reader).is_some_and(|read| read.number == *shard));
            if let Some((reader, _)) = readers.find(|(_, passed)| *passed < at) {
                return Some(format!("{reader} has not moved over {key} {place} at {at}"));
            }
        }
        for (key, committed) in &facts.committed {
            let sent = facts.sent.get(key).map_or(0, |(sent, _)| *sent);
            if broker && sent < *committed {
                return Some(format!("{key}: {committed} are committed and {sent} on the broker"));
            }
            for (effect, may_wait) in effects {
                let done = facts.has_effect(effect, key);
                let waits = || facts.left_from(effect, key, done + 1) == committed - done;
                if done < *committed && !(*may_wait && waits()) {
                    return Some(format!("{key}: {committed} are committed and {done} have the effect `{effect}`"));
                }
            }
        }
        None
    }
}
