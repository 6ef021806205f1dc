//! The catalogue: every fault and every planted bug, what each does and what is expected of it.
use super::{
    check::Invariant::{self, I1, I2, I3, I4, I5, I6, I7, I10},
    faults::{broker, consumer, database, mock, network, pace, poison, relay, shutdown},
    layers::Plant,
    plants,
    stage::{Needs, Stage},
};
use anyhow::Result;
use futures_util::future::LocalBoxFuture;

/// What is expected of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// All invariants hold.
    Holds,
    /// This one must be seen to break.
    Breaks(Invariant),
    /// This one must be reported: what was done to the run is not to be done. What follows from it may break as well.
    Reports(Invariant),
}

/// A scenario.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    /// `fault 7` or `plant naive-cursor`.
    pub(super) name: Name,
    /// What is done.
    pub(super) what: &'static str,
    /// What is expected.
    pub(super) expects: Expect,
    /// What it needs of its own.
    pub(super) needs: Needs,
    /// Whether it is part of the short form.
    pub(super) short: bool,
    /// Does it.
    pub(super) play: Play,
}
pub(super) type Play = for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<()>>;

/// What a scenario is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
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
const MOCK: Needs = Needs { mock: 1, ..NONE };
const MOCKS: Needs = Needs { mock: 3, ..NONE };
use Expect::{Holds, Reports};

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
pub(super) const FAULTS: &[Scenario] = &[
    fault!(1, "kill -9 of the relay between publish and cursor", Holds, NONE, true, relay::before_cursor),
    fault!(2, "kill -9 of the relay between read and publish", Holds, NONE, false, relay::before_publish),
    fault!(3, "a relay frozen past its lease wakes up again", Holds, NONE, false, relay::zombie),
    fault!(
        4,
        "three relays race for leases: killed, frozen and ended at any moment",
        Holds,
        NONE,
        false,
        relay::flapping
    ),
    fault!(
        5,
        "kill -9 of the consumer before its commit, and between commit and offset",
        Holds,
        NONE,
        true,
        consumer::killed
    ),
    fault!(6, "the broker is killed and frozen", Holds, KAFKA, false, broker::down_and_up),
    fault!(7, "acknowledgements of the broker are lost", Holds, NONE, false, network::acknowledgements_lost),
    fault!(8, "the broker answers with errors, fatal ones too (mock cluster)", Holds, MOCK, false, mock::error_codes),
    fault!(
        9,
        "partitions change their leader, and answers take 2 s (mock cluster)",
        Holds,
        MOCKS,
        false,
        mock::leaders_move
    ),
    fault!(10, "PostgreSQL is restarted, crashed, and loses backends", Holds, POSTGRES, true, database::restarts),
    fault!(
        11,
        "PostgreSQL crashes with synchronous_commit off in its settings",
        Holds,
        POSTGRES,
        false,
        database::crash_without_sync
    ),
    fault!(
        12,
        "the networks to PostgreSQL and Kafka swallow, break, refuse and delay",
        Holds,
        NONE,
        false,
        network::cut
    ),
    fault!(13, "answers to COMMIT are lost", Holds, NONE, true, network::answers_lost),
    fault!(
        14,
        "a tenth of the topic is sent again, and the group put back to 0",
        Holds,
        NONE,
        false,
        consumer::duplicates
    ),
    fault!(15, "one of five calls of the handler fails", Holds, NONE, false, poison::failing_handlers),
    fault!(16, "one account is slow", Holds, NONE, false, pace::one_slow_key),
    fault!(17, "members come and go every two seconds, with work in flight", Holds, NONE, false, consumer::rebalances),
    fault!(
        18,
        "members are frozen past their session, one only polls no more, and they go on",
        Holds,
        NONE,
        false,
        consumer::zombie
    ),
    fault!(19, "records that nobody can read are parked as they came", Holds, NONE, false, poison::records),
    fault!(20, "what is to be parked cannot be", Holds, NONE, false, poison::cannot_be_parked),
    fault!(21, "clocks are an hour wrong, and jump", Holds, NONE, false, pace::wrong_clocks),
    fault!(22, "the database's files cannot grow (SQLSTATE 53100)", Holds, POSTGRES, false, database::full_disk),
    fault!(23, "fifty commands at once share two connections", Holds, NONE, false, pace::small_pool),
    fault!(24, "an append is held open for eight seconds", Holds, NONE, false, pace::held_append),
    fault!(25, "commands are dropped at any of their awaits", Holds, NONE, false, pace::dropped_commands),
    fault!(26, "SIGTERM under load, twenty times", Holds, NONE, true, shutdown::under_load),
    fault!(27, "the topic gets more partitions", Reports(I5), NONE, false, broker::more_partitions),
    fault!(
        28,
        "the log was changed by hand, its sequence or an event: the start is refused",
        Holds,
        NONE,
        false,
        database::by_hand
    ),
];

/// Every planted bug.
pub(super) const PLANTS: &[Scenario] = &[
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
        true,
        plants::two_relays
    ),
    plant!("lease-for-all", LeaseForAll, "every relay holds every lane", I6, NONE, false, plants::two_relays),
    plant!(
        "lease-without-epoch",
        LeaseWithoutEpoch,
        "cursors are moved by whoever wants to",
        I6,
        NONE,
        false,
        relay::zombie
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
        true,
        plants::busy_writers
    ),
    plant!(
        "async-commit",
        AsyncCommit,
        "writers do not wait for the disk",
        I1,
        POSTGRES,
        false,
        database::crash_without_sync
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
        "acknowledge-highest",
        AcknowledgeHighest,
        "the highest record is acknowledged, whatever lies before it",
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
        false,
        plants::killed_consumer
    ),
    plant!(
        "projection-blind",
        ProjectionBlind,
        "a projection does not look where it was",
        I4,
        NONE,
        false,
        consumer::zombie
    ),
    plant!(
        "without-key",
        WithoutKey,
        "a command of which nobody knows is sent again, without a key",
        I4,
        NONE,
        true,
        network::answers_lost
    ),
    plant!(
        "exit-at-once",
        ExitAtOnce,
        "a process that is asked to end does so at once",
        I6,
        NONE,
        false,
        plants::ended_relay
    ),
];

/// All of it.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    FAULTS.iter().chain(PLANTS)
}
