//! The catalogue: every fault and every planted bug, what each does and what is expected of it.
use super::{
    check::Invariant::{self, I1, I2, I3, I4, I7, I10},
    faults::{broker, consumer, database, relay, shutdown},
    layers::Plant,
    plants,
    stage::{Needs, Stage},
};
use anyhow::Result;
use futures_util::future::LocalBoxFuture;

/// What is expected of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// All invariants hold.
    Holds,
    /// This one must be seen to break.
    Breaks(Invariant),
    /// This one must be reported: what was done to the run is not to be done. What follows from it may break as well.
    Reports(Invariant),
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// `fault 7` or `plant naive-cursor`.
    pub name: Name,
    /// What is done.
    pub what: &'static str,
    /// What is expected.
    pub expects: Expect,
    /// What it needs of its own.
    pub needs: Needs,
    /// Whether it is part of the short form.
    pub short: bool,
    /// Does it.
    pub play: Play,
}
pub type Play = for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<()>>;

/// What a scenario is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// By its number in the table of faults.
    Fault(u8),
    /// By the bug.
    Plant(&'static str, Plant),
}
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Fault(number) => write!(f, "fault {number}"),
            Name::Plant(name, _) => write!(f, "plant {name}"),
        }
    }
}

const NONE: Needs = Needs { postgres: false, kafka: false, mock: 0 };
const POSTGRES: Needs = Needs { postgres: true, ..NONE };
const KAFKA: Needs = Needs { kafka: true, ..NONE };

macro_rules! fault {
    ($number:literal, $what:literal, $expects:expr, $needs:expr, $short:literal, $play:path) => {
        Scenario {
            name: Name::Fault($number),
            what: $what,
            expects: $expects,
            needs: $needs,
            short: $short,
            play: |stage| Box::pin($play(stage)),
        }
    };
}
macro_rules! plant {
    ($name:literal, $plant:ident, $what:literal, $breaks:ident, $needs:expr, $short:literal, $play:path) => {
        Scenario {
            name: Name::Plant($name, Plant::$plant),
            what: $what,
            expects: Expect::Breaks($breaks),
            needs: $needs,
            short: $short,
            play: |stage| Box::pin($play(stage)),
        }
    };
}

/// Every fault, by number.
pub const FAULTS: &[Scenario] = &[
    fault!(1, "kill -9 of the relay between publish and cursor", Expect::Holds, NONE, true, relay::before_cursor),
    fault!(2, "kill -9 of the relay between read and publish", Expect::Holds, NONE, false, relay::before_publish),
    fault!(3, "a relay frozen past its lease wakes up again", Expect::Holds, NONE, true, relay::zombie),
    fault!(
        4,
        "three relays race for leases while they are killed, frozen and ended",
        Expect::Holds,
        NONE,
        false,
        relay::flapping
    ),
    fault!(
        5,
        "kill -9 of the consumer between commit and offset, and before its commit",
        Expect::Holds,
        NONE,
        true,
        consumer::killed
    ),
    fault!(6, "the broker is killed and frozen", Expect::Holds, KAFKA, false, broker::down_and_up),
    fault!(
        10,
        "PostgreSQL is restarted, crashed, and loses backends",
        Expect::Holds,
        POSTGRES,
        false,
        database::restarts
    ),
    fault!(
        14,
        "a tenth of the topic is sent again, and the group put back to 0",
        Expect::Holds,
        NONE,
        false,
        consumer::duplicates
    ),
    fault!(
        17,
        "members come and go every two seconds, with work in flight",
        Expect::Holds,
        NONE,
        false,
        consumer::rebalances
    ),
    fault!(26, "SIGTERM under load, twenty times", Expect::Holds, NONE, true, shutdown::under_load),
];

/// Every planted bug.
pub const PLANTS: &[Scenario] = &[
    plant!(
        "naive-cursor",
        NaiveCursor,
        "readers of the log follow the highest committed position",
        I10,
        NONE,
        true,
        plants::late_commits
    ),
    plant!(
        "skip-locked",
        SkipLocked,
        "relays take whatever rows no other has taken",
        I3,
        NONE,
        false,
        plants::two_relays
    ),
    plant!(
        "cursor-first",
        CursorFirst,
        "the cursor moves before the broker has acknowledged",
        I1,
        NONE,
        false,
        plants::killed_relay
    ),
    plant!(
        "publish-first",
        PublishFirst,
        "events are published before their commit",
        I2,
        NONE,
        false,
        plants::busy_writers
    ),
    plant!(
        "commit-first",
        CommitFirst,
        "a record is acknowledged when it is received",
        I7,
        NONE,
        false,
        plants::killed_consumer
    ),
    plant!(
        "inbox-outside",
        InboxOutside,
        "the inbox mark is written after the effect has been committed",
        I4,
        NONE,
        true,
        plants::killed_consumer
    ),
];

/// All of it.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    FAULTS.iter().chain(PLANTS)
}
