//! Tests of the checker: a small run without violations, and changes to it that each must break a certain invariant.
use anyhow::{Result, ensure};
use end_to_end::fault_suite::{
    account::{Posted, id_of},
    check::{
        Alarms, Answer, Command, Copied, Crash, Instance,
        Invariant::{self, I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14},
        Moved, Orders, Outcome, Posting, Ring, Seen, check,
    },
    tally::Tally,
};
use std::collections::{BTreeMap, BTreeSet};
use test_support::Trials;

type Change = fn(&mut Seen);

/// Title, broken invariant, and the change that breaks it.
const CHANGES: &[(&str, Invariant, Change)] = &[
    ("a returned credit is missing in the log", I1, |seen| drop(seen.log.pop())),
    ("a credit is not on the broker", I1, |seen| drop(seen.topic.pop())),
    ("a credit was not applied by the subscriber", I1, |seen| drop(seen.applied.as_mut().map(Vec::pop))),
    ("a credit was not applied by the projection", I1, |seen| tally(seen, |tally| tally.count -= 1)),
    ("a credit was not applied by the projection on the own log", I1, |seen| {
        seen.ledger = seen.tallies.clone();
        seen.ledger.get_or_insert_default().get_mut("kim").into_iter().for_each(|tally| tally.count -= 1);
    }),
    ("a credit was not applied on the query side", I1, |seen| query_side(seen, |tally| tally.count -= 1)),
    ("an account is not on the query side", I1, |seen| drop(seen.query_side.as_mut().map(BTreeMap::pop_first))),
    ("an account is not in the projection", I1, |seen| drop(seen.tallies.as_mut().map(BTreeMap::pop_first))),
    ("a credit is on the broker and not in the log", I2, |seen| {
        let ghost = Copied { offset: 9, seq: 9, id: id_of(9, 0), ..seen.topic[0].clone() };
        seen.topic.push(ghost);
    }),
    ("a credit is on the broker under another number", I2, |seen| seen.topic[3].seq = 7),
    ("a refused command is in the log", I2, |seen| seen.commands[0].outcome = Outcome::Fail),
    ("an applied credit is not on the broker", I2, |seen| {
        let ghost = Posting { at: 9, seq: 5, id: id_of(9, 0), ..seen.log[0].clone() };
        seen.applied.get_or_insert_default().push(ghost);
    }),
    ("the projection has an account without credits", I2, |seen| {
        seen.tallies.get_or_insert_default().insert("unknown".into(), Tally::default());
    }),
    ("two credits are on the broker in the wrong order", I3, |seen| {
        (seen.topic[0].offset, seen.topic[1].offset) = (1, 0);
        seen.topic.swap(0, 1);
    }),
    ("two credits were applied in the wrong order", I3, |seen| seen.applied.get_or_insert_default().swap(0, 1)),
    ("the projection skipped a credit", I3, |seen| tally(seen, |tally| tally.gaps = 1)),
    ("the projection applied other credits", I3, |seen| tally(seen, |tally| tally.digest += 1)),
    ("a credit is in the log twice", I4, |seen| {
        let again = Posting { at: 9, seq: 5, ..seen.log[0].clone() };
        seen.log.push(again);
    }),
    ("a credit was applied twice by the subscriber", I4, |seen| {
        let again = seen.applied.get_or_insert_default()[0].clone();
        seen.applied.get_or_insert_default().push(again);
    }),
    ("an effect has no inbox record", I4, |seen| seen.inbox_records = Some(5)),
    ("a credit was applied twice by the projection", I4, |seen| {
        tally(seen, |tally| (tally.count, tally.repeats) = (tally.count + 1, 1));
    }),
    ("a credit was applied twice on the query side", I4, |seen| {
        query_side(seen, |tally| (tally.count, tally.repeats) = (tally.count + 1, 1));
    }),
    ("the projection's sum is wrong", I4, |seen| tally(seen, |tally| tally.sum += 1)),
    ("a key is in two partitions", I5, |seen| seen.topic.last_mut().into_iter().for_each(|copy| copy.partition = 1)),
    ("there are more duplicates than the faults explain", I6, |seen| {
        let again = Copied { offset: 9, ..seen.topic[0].clone() };
        seen.topic.extend([again.clone(), again]);
    }),
    ("a checkpoint went back", I6, |seen| seen.went_back.push("relay/3 (7 to 5)".into())),
    ("an acknowledged message was not applied", I7, |seen| {
        seen.crashes[0].committed.insert(0, 3);
    }),
    ("a number is missing in the log", I8, |seen| {
        seen.log.iter_mut().filter(|posting| posting.seq > 2).for_each(|posting| posting.seq += 1);
    }),
    ("two callers were given the same number", I8, |seen| seen.commands[1].outcome = Outcome::Ok(1)),
    ("only half of a command is in the log", I8, |seen| seen.commands[2].count += 1),
    ("a message is still parked", I11, |seen| seen.stuck.push("faults.mirror still has k7 parked".into())),
    ("an event never arrived", I9, |seen| seen.left.push("nothing moved for 30s".into())),
    ("a scenario has observed a loss", I1, |seen| {
        seen.observed.push((I1, "a record is neither handled nor parked".into()))
    }),
    ("a scenario has observed a call without a limit", I9, |seen| {
        seen.observed.push((I9, "a call did not end".into()))
    }),
    ("a reader of the log missed an entry", I10, |seen| drop(seen.log_reads[0].remove(1))),
    ("a reader of the log saw two entries in the wrong order", I10, |seen| seen.log_reads[0].swap(0, 1)),
    ("a reader of the log saw an entry that does not exist", I10, |seen| {
        let ghost = Posting { at: 9, ..seen.log[0].clone() };
        seen.log_reads[0].push(ghost);
    }),
    ("an answer lacks a credit that its caller has seen", I12, |seen| seen.answers[1].at = 3),
    ("an answer has no account that its caller has seen", I12, |seen| seen.answers[1].tally = None),
    ("an answer has a credit twice", I12, |seen| {
        let posted = Posted { key: "kim".into(), seq: 2, amount: 10, id: id_of(1, 1) };
        seen.answers[1].tally.get_or_insert_default().post(&posted);
    }),
    ("an answer has a credit that is not in the log", I12, |seen| {
        let posted = Posted { key: "lee".into(), seq: 1, amount: 10, id: id_of(9, 0) };
        let mut tally = Tally::default();
        tally.post(&posted);
        seen.answers[0].tally = Some(tally);
    }),
    ("an alarm has rung twice", I13, |seen| {
        let again = alarms(seen).rung[0].clone();
        alarms(seen).rung.push(again);
    }),
    ("an alarm has not rung, and its timer is gone", I13, |seen| drop(alarms(seen).rung.pop())),
    ("an alarm is due and has not rung", I13, |seen| {
        alarms(seen).rung.pop();
        alarms(seen).waiting.insert("alarm/1".into(), true);
    }),
    ("an alarm has rung before its time", I13, |seen| {
        alarms(seen).waiting.remove("alarm/2");
        alarms(seen).rung.push(Ring { bell: "bell-0".into(), number: 2 });
    }),
    ("two alarms of a bell have rung in the wrong order", I13, |seen| alarms(seen).rung.swap(0, 1)),
    ("an alarm has rung, and its timer is still there", I13, |seen| {
        alarms(seen).waiting.insert("alarm/0".into(), true);
    }),
    ("a placed order is not in the log", I1, |seen| orders(seen).placed.push("max".into())),
    ("a command of a process was carried out without its reaction", I14, |seen| {
        orders(seen).moved[0].sent.clear();
    }),
    ("a command of a process was carried out twice", I14, |seen| {
        orders(seen).events.insert(1, ("kim".into(), "order.goods_requested".into()));
    }),
    ("a command of a process was not carried out", I14, |seen| {
        orders(seen).events.retain(|(_, name)| name != "order.rejected")
    }),
    ("a reaction of a process has no state", I14, |seen| {
        orders(seen).instances.remove("kim");
    }),
    ("a state of a process is older than its reactions", I14, |seen| {
        orders(seen).instances.values_mut().for_each(|instance| instance.steps -= 1);
    }),
    ("a reaction of a process was not noted", I14, |seen| drop(orders(seen).moved.remove(0))),
    ("a process has no deadline", I14, |seen| orders(seen).timers.clear()),
    ("a process that has ended has a deadline", I14, |seen| {
        orders(seen).timers.insert("process/orders.fulfilment/lee/deadline".into(), false);
    }),
    ("an order was given up, and its goods are still reserved", I14, |seen| drop(orders(seen).stock.pop())),
];

pub(crate) fn trials() -> Trials {
    let trials = Trials::new()
        .test("a run without violations passes", async || holds(&run()))
        .test("explained duplicates and unknown outcomes pass", async || holds(&excused()))
        .test("every invariant has a change that breaks it", every_invariant);
    CHANGES.iter().fold(trials, |trials, (title, invariant, change)| {
        trials.test(format!("{invariant}: {title}"), async move || {
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
    ensure!(findings.events == 18 && findings.lost + findings.doubled + findings.inverted == 0, "{findings:?}");
    Ok(())
}

async fn every_invariant() -> Result<()> {
    for invariant in [I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14] {
        ensure!(CHANGES.iter().any(|(_, broken, _)| *broken == invariant), "no change breaks {invariant}");
    }
    Ok(())
}

/// Returns a run of three commands with two credits each, on two accounts, in which every event is relayed and applied
/// once.
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
    seen.query_side = seen.tallies.clone();
    // A caller who has seen the first two credits of Kim, and one who has seen nothing of Lee.
    let mut kim = Tally::default();
    for posting in &seen.log[..2] {
        kim.post(&Posted { key: "kim".into(), seq: posting.seq, amount: posting.amount, id: posting.id });
    }
    let unseen = Answer { key: "lee".into(), at: 4, tally: None };
    seen.answers = vec![unseen, Answer { key: "kim".into(), at: 2, tally: Some(kim) }];
    seen.applied = Some(seen.log.clone());
    seen.inbox_records = Some(6);
    seen.log_reads = vec![seen.log.clone()];
    let applied: BTreeSet<u64> = seen.log.iter().take(2).map(|posting| posting.id).collect();
    seen.crashes = vec![Crash { committed: [(0, 2)].into(), applied }];
    (seen.alarms, seen.orders) = (Some(two_alarms()), Some(two_orders()));
    seen
}

/// Returns two alarms that have rung, and one that is not due yet.
fn two_alarms() -> Alarms {
    let rung = [0, 1].map(|number| Ring { bell: "bell-0".into(), number });
    Alarms { due: 2, far: 1, rung: rung.into(), waiting: [("alarm/2".into(), false)].into() }
}

/// Returns the order of Kim, which is confirmed, and that of Lee, which was given up after its goods were reserved.
fn two_orders() -> Orders {
    let named = |order: &str, names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| (order.to_owned(), (*name).to_owned())).collect()
    };
    let moved = |key: &str, step, [from, to]: [&str; 2], sent: &[&str]| Moved {
        key: key.into(),
        step,
        from: from.into(),
        to: to.into(),
        sent: sent.iter().map(|sent| (*sent).to_owned()).collect(),
    };
    let instance = |status: &str, state: &str| Instance { status: status.into(), state: state.into(), steps: 2 };
    let kim = named("kim", &["order.placed", "order.goods_requested", "order.confirmed"]);
    let lee = ["order.placed", "order.goods_requested", "order.goods_returned", "order.rejected"];
    Orders {
        placed: vec!["kim".into(), "lee".into()],
        events: [kim, named("lee", &lee)].concat(),
        moved: vec![
            moved("kim", 1, ["", "Reserving"], &["RequestGoods"]),
            moved("kim", 2, ["Reserving", "Confirmed"], &["ConfirmOrder"]),
            moved("lee", 1, ["", "Reserving"], &["RequestGoods"]),
            moved("lee", 2, ["Reserving", "end"], &["ReturnGoods", "RejectOrder"]),
        ],
        instances: [("kim".into(), instance("running", "Confirmed")), ("lee".into(), instance("ended", "Reserving"))]
            .into(),
        timers: [("process/orders.fulfilment/kim/deadline".into(), false)].into(),
        stock: [named("kim", &["stock.reserved"]), named("lee", &["stock.reserved", "stock.released"])].concat(),
    }
}

/// Returns a run in which a killed relay sent two records again, two outcomes are unknown, and one command was refused.
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

fn alarms(seen: &mut Seen) -> &mut Alarms {
    seen.alarms.get_or_insert_default()
}
fn orders(seen: &mut Seen) -> &mut Orders {
    seen.orders.get_or_insert_default()
}
fn query_side(seen: &mut Seen, change: fn(&mut Tally)) {
    seen.query_side.get_or_insert_default().get_mut("kim").into_iter().for_each(change);
}
fn tally(seen: &mut Seen, change: fn(&mut Tally)) {
    seen.tallies.get_or_insert_default().get_mut("kim").into_iter().for_each(change);
}
