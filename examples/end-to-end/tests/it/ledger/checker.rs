//! A small run in which everything holds, and what is changed in it: each change must be found, by the invariant that it breaks.
use anyhow::{Result, ensure};
use end_to_end::ledger::{
    account::{Posted, id_of},
    check::{
        Command, Copied, Crash,
        Invariant::{self, I1, I2, I3, I4, I5, I6, I7, I8, I9, I10},
        Outcome, Posting, Seen, check,
    },
    tally::Tally,
};
use std::collections::{BTreeMap, BTreeSet};
use test_support::Trials;

type Change = fn(&mut Seen);

/// What is broken, by which change.
const CHANGES: &[(&str, Invariant, Change)] = &[
    ("an answered credit is not in the log", I1, |it| drop(it.log.pop())),
    ("a credit is not on the broker", I1, |it| drop(it.topic.pop())),
    ("a credit was not applied by the subscriber", I1, |it| drop(it.applied.as_mut().map(Vec::pop))),
    ("a credit was not applied by the projection", I1, |it| tally(it, |tally| tally.count -= 1)),
    ("an account is not in the projection", I1, |it| drop(it.tallies.as_mut().map(BTreeMap::pop_first))),
    ("a credit is on the broker and not in the log", I2, |it| {
        let ghost = Copied { offset: 9, seq: 9, id: id_of(9, 0), ..it.topic[0].clone() };
        it.topic.push(ghost);
    }),
    ("a credit is on the broker under another number", I2, |it| it.topic[3].seq = 7),
    ("a refused command happened", I2, |it| it.commands[0].outcome = Outcome::Fail),
    ("a credit was applied that nobody sent", I2, |it| {
        let ghost = Posting { at: 9, seq: 5, id: id_of(9, 0), ..it.log[0].clone() };
        it.applied.get_or_insert_default().push(ghost);
    }),
    ("an account is in the projection that nobody credited", I2, |it| {
        it.tallies.get_or_insert_default().insert("nobody".into(), Tally::default());
    }),
    ("two credits are on the broker in the wrong order", I3, |it| {
        (it.topic[0].offset, it.topic[1].offset) = (1, 0);
        it.topic.swap(0, 1);
    }),
    ("two credits were applied in the wrong order", I3, |it| it.applied.get_or_insert_default().swap(0, 1)),
    ("the projection passed over a credit", I3, |it| tally(it, |tally| tally.gaps = 1)),
    ("the projection took other credits", I3, |it| tally(it, |tally| tally.digest += 1)),
    ("a command happened twice", I4, |it| {
        let again = Posting { at: 9, seq: 5, ..it.log[0].clone() };
        it.log.push(again);
    }),
    ("a credit was applied twice by the subscriber", I4, |it| {
        let again = it.applied.get_or_insert_default()[0].clone();
        it.applied.get_or_insert_default().push(again);
    }),
    ("an effect has no mark", I4, |it| it.marks = Some(5)),
    ("a credit was applied twice by the projection", I4, |it| {
        tally(it, |tally| (tally.count, tally.repeats) = (tally.count + 1, 1));
    }),
    ("the projection's sum is wrong", I4, |it| tally(it, |tally| tally.sum += 1)),
    ("a copy of a key lies in another partition", I5, |it| {
        it.topic.last_mut().into_iter().for_each(|it| it.partition = 1)
    }),
    ("there are more duplicates than anything explains", I6, |it| {
        let again = Copied { offset: 9, ..it.topic[0].clone() };
        it.topic.extend([again.clone(), again]);
    }),
    ("a cursor went back", I6, |it| it.went_back.push("relay/3 (7 to 5)".into())),
    ("what was acknowledged was not applied", I7, |it| {
        it.crashes[0].committed.insert(0, 3);
    }),
    ("a number is missing in the log", I8, |it| it.log.iter_mut().filter(|it| it.seq > 2).for_each(|it| it.seq += 1)),
    ("two callers were answered the same", I8, |it| it.commands[1].outcome = Outcome::Ok(1)),
    ("half a command happened", I8, |it| it.commands[2].count += 1),
    ("something never arrived", I9, |it| it.left.push("nothing moved for 30s".into())),
    ("a reader of the feed missed an entry", I10, |it| drop(it.feeds[0].remove(1))),
    ("a reader of the feed saw two in the wrong order", I10, |it| it.feeds[0].swap(0, 1)),
    ("a reader of the feed saw what is not there", I10, |it| {
        let ghost = Posting { at: 9, ..it.log[0].clone() };
        it.feeds[0].push(ghost);
    }),
];

pub(crate) fn trials() -> Trials {
    let trials = Trials::new()
        .test("a run in which everything holds", async || holds(&run()))
        .test("duplicates that are explained, and what nobody knows", async || holds(&excused()))
        .test("every invariant has a change that breaks it", every_invariant);
    CHANGES.iter().fold(trials, |trials, (what, invariant, change)| {
        trials.test(format!("{invariant}: {what}"), async move || {
            let mut seen = run();
            change(&mut seen);
            let findings = check(&seen);
            ensure!(findings.breaks(*invariant), "{invariant} holds: {findings:?}");
            Ok(())
        })
    })
}

fn holds(seen: &Seen) -> Result<()> {
    let findings = check(seen);
    ensure!(findings.broken.is_empty(), "{findings:?}");
    ensure!(findings.events == 6 && findings.lost + findings.doubled + findings.inverted == 0, "{findings:?}");
    Ok(())
}

async fn every_invariant() -> Result<()> {
    for invariant in [I1, I2, I3, I4, I5, I6, I7, I8, I9, I10] {
        ensure!(CHANGES.iter().any(|(_, it, _)| *it == invariant), "{invariant}");
    }
    Ok(())
}

/// Three commands of two credits, on two accounts; everything carried on once.
fn run() -> Seen {
    let mut seen = Seen { tallies: Some(BTreeMap::new()), ..Seen::default() };
    for (number, key, first) in [(1_u64, "kim", 1_u64), (2, "kim", 3), (3, "lee", 1)] {
        seen.commands.push(Command { number, key: key.into(), count: 2, outcome: Outcome::Ok(first) });
        for place in 0..2 {
            let (seq, id, at) = (first + place as u64, id_of(number, place), seen.log.len() as u64 + 1);
            seen.log.push(Posting { at, key: key.into(), seq, amount: 10, id });
            seen.topic.push(Copied { partition: 0, offset: at as i64 - 1, key: key.into(), seq, id });
            let posted = Posted { key: key.into(), seq, amount: 10, id };
            seen.tallies.get_or_insert_default().entry(key.into()).or_default().post(&posted);
        }
    }
    seen.applied = Some(seen.log.clone());
    seen.marks = Some(6);
    seen.feeds = vec![seen.log.clone()];
    let applied: BTreeSet<u64> = seen.log.iter().take(2).map(|it| it.id).collect();
    seen.crashes = vec![Crash { committed: [(0, 2)].into(), applied }];
    seen
}

/// A relay died and sent two again; a caller died and never knew; another was refused.
fn excused() -> Seen {
    let mut seen = run();
    for number in 0..2 {
        let again = Copied { offset: 6 + number, ..seen.topic[number as usize].clone() };
        seen.topic.push(again);
    }
    seen.allowed = 2;
    seen.commands[0].outcome = Outcome::Info;
    seen.commands.push(Command { number: 4, key: "kim".into(), count: 2, outcome: Outcome::Info });
    seen.commands.push(Command { number: 5, key: "kim".into(), count: 2, outcome: Outcome::Fail });
    seen
}

fn tally(seen: &mut Seen, change: fn(&mut Tally)) {
    seen.tallies.get_or_insert_default().get_mut("kim").into_iter().for_each(change);
}
