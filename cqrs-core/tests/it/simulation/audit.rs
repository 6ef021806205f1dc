//! The ledger of a schedule: it sees every commit, every record stored and every offset committed, at once, and says which
//! invariant does not hold.
mod facts;

pub(crate) use facts::Written;

use super::{database::Database, machine::Machine, process::Process, trace::Broken};
use crate::listener::lock;
use cqrs_core::{
    batch::{Entry, Move},
    log::lane_of,
    transport::Partition,
};
use facts::{Facts, Lane, Told, in_words, reader_of};
use serde::Deserialize;
use std::sync::Mutex;
use uuid::Uuid;

/// What must hold, and what it is called where it does not.
pub(crate) const NO_LOSS: &str = "no loss";
pub(crate) const NO_GHOST: &str = "no ghost";
pub(crate) const IN_ORDER: &str = "in order";
pub(crate) const ONCE: &str = "an effect once";
pub(crate) const ONE_PARTITION: &str = "one partition per key";
pub(crate) const CONTIGUOUS: &str = "nothing acknowledged past the first that is not handled";
pub(crate) const VERSIONS: &str = "versions without gap or repeat";
pub(crate) const FENCED: &str = "a lane is moved by the holder of its lease";
pub(crate) const NO_NEEDLESS: &str = "no duplicate without a cause";
pub(crate) const NO_NEEDLESS_PARKING: &str = "nothing parked without a cause";
pub(crate) const DRAINS: &str = "drains";

pub(crate) struct Audit {
    machine: Machine,
    facts: Mutex<Facts>,
}
/// What every event and contract of the simulated services holds.
#[derive(Deserialize)]
struct Happened {
    id: String,
    number: u32,
}
#[derive(Deserialize)]
struct Listed {
    numbers: Vec<u32>,
}

impl Audit {
    pub(crate) fn new(machine: &Machine) -> Self {
        Audit { machine: machine.clone(), facts: Mutex::default() }
    }
    fn broken(&self, invariant: &'static str, what: String) {
        self.machine.broken(Broken { invariant, what });
    }
    /// Something went wrong on purpose: from now on a record may come twice.
    pub(crate) fn disturbed(&self) {
        lock(&self.facts).disturbances += 1;
    }

    /// Messages fail: some will be parked.
    pub(crate) fn may_park(&self) {
        lock(&self.facts).may_park = true;
    }

    /// A batch is visible from now on.
    pub(crate) fn committed(&self, database: &Database, process: &Process, entries: &[Entry], written: &Written) {
        self.machine.note(|| in_words(database, process, entries, written));
        for entry in entries {
            self.appended(database, entry);
        }
        for park in &written.parks {
            let mut facts = lock(&self.facts);
            facts.parked.insert((park.reader.clone(), park.message));
            if !facts.may_park {
                drop(facts);
                let what = format!("{} parks {} {}: {}", park.reader, park.key, park.at, park.error);
                self.broken(NO_NEEDLESS_PARKING, what);
            }
        }
        for view in &written.views {
            if let Some(value) = &view.value {
                self.view_written(view.view, &view.key, value);
            }
        }
        if database.name == "shop" {
            written.moves.iter().for_each(|it| self.moved(process, it));
        }
    }
    fn appended(&self, database: &Database, entry: &Entry) {
        if entry.name == "parked.replayed" {
            // A relay that still thinks the key parked is refused, and sends again what it could not move over.
            self.disturbed();
        }
        let Ok(Happened { id, number }) = serde_json::from_slice(&entry.payload) else { return };
        if entry.name != "credited" {
            return self.effect(&entry.name, &id, number);
        }
        let mut facts = lock(&self.facts);
        let at = entry.position.0;
        let lane = lane_of(&id);
        let reads = |reader: &str| Lane::of(reader).is_none_or(|it| it.number == lane);
        let passed = facts.positions.iter().find(|(reader, passed)| reads(reader) && **passed >= at);
        if let Some((reader, passed)) = passed {
            let what = format!("{id} {number} appears at {at}, and {reader} is at {passed} already");
            drop(facts);
            return self.broken(NO_LOSS, what);
        }
        let last = facts.told.entry(id.clone()).or_default();
        *last += 1;
        let place = *last;
        if entry.version != place {
            let what = format!("{id} has version {} as its event number {place} in {}", entry.version, database.name);
            drop(facts);
            return self.broken(VERSIONS, what);
        }
        facts.by_id.insert(entry.id, (id.clone(), place));
        facts.entries.push(Told { at, lane, id: entry.id, key: id.clone(), place });
        let twice = facts.by_number.insert((id.clone(), number), place).is_some();
        let ghost = facts.failed.contains(&(number / 10));
        drop(facts);
        if twice {
            self.broken(ONCE, format!("command {} on {id} was done twice", number / 10));
        }
        if ghost {
            self.broken(NO_GHOST, format!("command {} on {id} was said to have failed", number / 10));
        }
    }
    fn effect(&self, effect: &str, key: &str, number: u32) {
        let mut facts = lock(&self.facts);
        let Some(place) = facts.by_number.get(&(key.to_owned(), number)).copied() else {
            drop(facts);
            return self.broken(NO_GHOST, format!("{effect}: {key} {number} never happened"));
        };
        let last = facts.effects.entry((effect.to_owned(), key.to_owned())).or_default();
        let before = *last;
        *last = place;
        drop(facts);
        self.follows(effect, key, before, place);
    }
    /// An effect comes after the one before it.
    fn follows(&self, effect: &str, key: &str, before: u64, place: u64) {
        let what = || format!("{effect}: {key} {place} comes after {before}");
        if place <= before {
            self.broken(ONCE, what());
        } else if place != before + 1 {
            self.broken(IN_ORDER, what());
        }
    }
    fn view_written(&self, view: &str, key: &str, value: &[u8]) {
        let Ok(Listed { numbers }) = serde_json::from_slice(value) else { return };
        let mut before = 0;
        for number in &numbers {
            let place = lock(&self.facts).by_number.get(&(key.to_owned(), *number)).copied();
            let Some(place) = place else {
                return self.broken(NO_GHOST, format!("{view}: {key} {number} never happened"));
            };
            self.follows(view, key, before, place);
            before = place;
        }
        lock(&self.facts).effects.insert((view.to_owned(), key.to_owned()), before);
    }
    /// A reader of the shop's log has moved.
    fn moved(&self, process: &Process, step: &Move) {
        let mut facts = lock(&self.facts);
        facts.positions.insert(step.reader.clone(), step.to);
        let mut found = None;
        if let Some(lane) = Lane::of(&step.reader) {
            let passed = facts.entries.iter().filter(|it| it.at <= step.to && it.lane == lane.number);
            let arrived = |it: &Told| match lane.group {
                None => {
                    facts.sent.get(&it.key).is_some_and(|(sent, _)| *sent >= it.place)
                        || facts.is_parked(&step.reader, it.id)
                }
                Some(group) => facts.has_effect(group, &it.key) >= it.place || facts.is_parked(reader_of(group), it.id),
            };
            if let Some(Told { at, key, place, .. }) = passed.into_iter().find(|it| !arrived(it)) {
                let passed = format!("{} is moved to {}", step.reader, step.to);
                found = Some((NO_LOSS, format!("{passed}, and {key} {place} at {at} has not arrived")));
            }
            match facts.lessees.get(&step.reader) {
                Some((holder, epoch)) if *holder != process.id => {
                    let moved = format!("{} is moved by {}", step.reader, process.name);
                    found = Some((FENCED, format!("{moved}, and its lease {epoch} is another's")));
                }
                _ => (),
            }
        }
        drop(facts);
        if let Some((invariant, what)) = found {
            self.broken(invariant, what);
        }
    }
    pub(crate) fn leased(&self, database: &Database, reader: &str, process: &Process, epoch: u64) {
        let before = lock(&self.facts).lessees.insert(reader.to_owned(), (process.id, epoch));
        if before != Some((process.id, epoch)) {
            self.machine.note(|| format!("{}: {} holds {reader} as {epoch}", database.name, process.name));
        }
    }

    /// A record is on the broker from now on.
    pub(crate) fn stored(&self, partition: &Partition, offset: u64, key: &str, id: Option<Uuid>) {
        let mut facts = lock(&self.facts);
        let known = id.and_then(|id| facts.by_id.get(&id).cloned());
        let Some((_, place)) = known else {
            drop(facts);
            return self.broken(NO_GHOST, format!("{partition} {offset}: a record of {key} that is not committed"));
        };
        self.machine.note(|| format!("broker: {partition} {offset} is {key} {place}"));
        let (sent, at) = facts.sent.entry(key.to_owned()).or_insert_with(|| (0, partition.clone()));
        let mut found = None;
        if at != partition {
            found = Some((ONE_PARTITION, format!("{key} {place} lies in {partition}, others of it in {at}")));
        }
        if place == *sent + 1 {
            *sent = place;
        } else if place > *sent {
            found = Some((IN_ORDER, format!("broker: {key} {place} comes after {sent}")));
        } else {
            facts.duplicates += 1;
            if facts.disturbances == 0 {
                found = Some((NO_NEEDLESS, format!("broker: {key} {place} comes again, and nothing went wrong")));
            }
        }
        drop(facts);
        if let Some((invariant, what)) = found {
            self.broken(invariant, what);
        }
    }
    /// A group says that everything of a partition is done up to here.
    pub(crate) fn acknowledged(&self, effect: &str, partition: &Partition, upto: u64, records: &[(u64, Uuid)]) {
        let facts = lock(&self.facts);
        let undone = records.iter().filter(|(offset, _)| *offset <= upto).find_map(|(offset, id)| {
            let (key, place) = facts.by_id.get(id)?;
            let done = facts.has_effect(effect, key);
            let open = done < *place && !facts.is_parked(reader_of(effect), *id);
            open.then(|| format!("{effect}: {partition} up to {upto}, and of {key} {done}; {offset} is {key} {place}"))
        });
        drop(facts);
        if let Some(what) = undone {
            self.broken(CONTIGUOUS, what);
        }
    }

    /// A caller was answered: it is done, and nobody can take it back.
    pub(crate) fn answered(&self, key: &str, command: u32) {
        if !lock(&self.facts).by_number.contains_key(&(key.to_owned(), command * 10)) {
            self.broken(NO_LOSS, format!("command {command} on {key} was answered and is not in the log"));
        }
    }
    /// A caller was told that it is not done.
    pub(crate) fn failed(&self, key: &str, command: u32) {
        let mut facts = lock(&self.facts);
        facts.failed.insert(command);
        if facts.by_number.contains_key(&(key.to_owned(), command * 10)) {
            drop(facts);
            self.broken(NO_GHOST, format!("command {command} on {key} failed and is in the log"));
        }
    }

    /// What has not arrived everywhere.
    pub(crate) fn missing(&self, effects: &[&str], broker: bool) -> Option<String> {
        let facts = lock(&self.facts);
        for Told { at, lane, key, place, .. } in &facts.entries {
            let mut readers =
                facts.positions.iter().filter(|(it, _)| Lane::of(it).is_some_and(|it| it.number == *lane));
            if let Some((reader, _)) = readers.find(|(_, passed)| *passed < at) {
                return Some(format!("{reader} has not moved over {key} {place} at {at}"));
            }
        }
        for (key, told) in &facts.told {
            let sent = facts.sent.get(key).map_or(0, |(sent, _)| *sent);
            if broker && sent < *told {
                return Some(format!("{key}: {told} are committed and {sent} on the broker"));
            }
            for effect in effects {
                let done = facts.has_effect(effect, key);
                if done < *told {
                    return Some(format!("{key}: {told} are committed and {done} have the effect `{effect}`"));
                }
            }
        }
        None
    }
}
