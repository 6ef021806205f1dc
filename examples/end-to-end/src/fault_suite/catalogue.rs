//! The catalogue of every fault and every seeded bug, with the expected result of each.
use super::{
    check::Invariant::{self, I1, I2, I3, I4, I5, I6, I7, I9, I10, I11, I12, I13, I14},
    faults::{
        broker, consumer, database, deploy, fatal, mock, network, pace, parked, poison, pooler, process, query_side,
        rebuild, relay, shutdown, third_party, timers, topic,
    },
    fixture::{Fixture, Needs},
    layers::SeededBug,
    seeded_bugs,
};
use anyhow::Result;
use futures_util::future::LocalBoxFuture;

/// The expected result of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// All invariants hold.
    Holds,
    /// This invariant must break.
    Breaks(Invariant),
    /// This invariant must be reported, because the scenario does something that is not allowed. Others may break as
    /// well.
    Reports(Invariant),
}

/// A scenario.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    /// Displayed as `fault 7` or `seeded-bug naive-cursor`.
    pub(super) name: Name,
    pub(super) description: &'static str,
    pub(super) expects: Expect,
    /// Servers that the scenario does not share with others.
    pub(super) needs: Needs,
    /// True if `--short` includes the scenario.
    pub(super) short: bool,
    /// The seeded bugs that show that the fault is detected; `None` for a seeded bug itself.
    pub(super) shown_by: Option<ShownBy>,
    /// Starts the processes and injects the fault.
    pub(super) run: RunScenario,
}
pub(super) type RunScenario = for<'a> fn(&'a mut Fixture) -> LocalBoxFuture<'a, Result<()>>;

/// The evidence that a fault would be detected if a safeguard were missing.
#[derive(Debug, Clone, Copy)]
pub(super) enum ShownBy {
    /// These seeded bugs each remove a safeguard that the fault needs.
    Bugs(&'static [&'static str]),
    /// There is no seeded bug, for this reason.
    Reason(&'static str),
}
impl std::fmt::Display for ShownBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ShownBy::Bugs(bugs) => write!(f, "seeded bug: {}", bugs.join(", ")),
            ShownBy::Reason(reason) => write!(f, "no seeded bug: {reason}"),
        }
    }
}

/// The name of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A fault, by its number in the catalogue.
    Fault(u8),
    /// A seeded bug, by its name on the command line.
    SeededBug(&'static str, SeededBug),
}
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Fault(number) => write!(f, "fault {number}"),
            Name::SeededBug(name, _) => write!(f, "seeded-bug {name}"),
        }
    }
}

const NONE: Needs = Needs { postgres: false, kafka: false, rights: false, pooler: false, redis: false, mock: 0 };
const POOLER: Needs = Needs { postgres: true, pooler: true, ..NONE };
const POSTGRES: Needs = Needs { postgres: true, ..NONE };
const KAFKA: Needs = Needs { kafka: true, ..NONE };
const RIGHTS: Needs = Needs { rights: true, ..NONE };
const REDIS: Needs = Needs { redis: true, ..NONE };
const MOCK: Needs = Needs { mock: 1, ..NONE };
const MOCKS: Needs = Needs { mock: 3, ..NONE };
use Expect::{Holds, Reports};
use ShownBy::{Bugs, Reason};

macro_rules! fault {
    ($number:literal, $description:literal, $expects:expr, $needs:expr, $short:literal, $run:path, $shown_by:expr) => {
        Scenario {
            name: Name::Fault($number),
            description: $description,
            expects: $expects,
            needs: $needs,
            short: $short,
            shown_by: Some($shown_by),
            run: |fixture| Box::pin($run(fixture)),
        }
    };
}
macro_rules! seeded_bug {
    ($name:literal, $seeded_bug:ident, $description:literal, $breaks:ident, $needs:expr, $short:literal, $run:path) => {
        Scenario {
            name: Name::SeededBug($name, SeededBug::$seeded_bug),
            description: $description,
            expects: Expect::Breaks($breaks),
            needs: $needs,
            short: $short,
            shown_by: None,
            run: |fixture| Box::pin($run(fixture)),
        }
    };
}

/// Every fault, by number.
pub(super) const FAULTS: &[Scenario] = &[
    fault!(
        1,
        "kill -9 of the relay between publish and checkpoint",
        Holds,
        NONE,
        true,
        relay::before_checkpoint,
        Bugs(&["cursor-first"])
    ),
    fault!(
        2,
        "kill -9 of the relay between read and publish",
        Holds,
        NONE,
        false,
        relay::before_publish,
        Bugs(&["cursor-first"])
    ),
    fault!(
        3,
        "a relay is frozen past its lease and resumes",
        Holds,
        NONE,
        false,
        relay::zombie,
        Bugs(&["lease-without-epoch"])
    ),
    fault!(
        4,
        "three relays compete for leases and are killed, frozen and terminated at any moment",
        Holds,
        NONE,
        false,
        relay::flapping,
        Bugs(&["skip-locked", "lease-for-all"])
    ),
    fault!(
        5,
        "kill -9 of the consumer before its commit, and between commit and offset",
        Holds,
        NONE,
        true,
        consumer::killed,
        Bugs(&["commit-first", "acknowledge-highest", "inbox-outside"])
    ),
    fault!(6, "the broker is killed and frozen", Holds, KAFKA, false, broker::down_and_up, Bugs(&["outage-parks"])),
    fault!(
        7,
        "acknowledgements of the broker are lost",
        Holds,
        NONE,
        false,
        network::acknowledgements_lost,
        Bugs(&["projection-blind"])
    ),
    fault!(
        8,
        "the broker responds with errors, also fatal ones (mock cluster)",
        Holds,
        MOCK,
        false,
        mock::error_codes,
        Bugs(&["outage-parks"])
    ),
    fault!(
        9,
        "partitions change their leader, and responses take 2 s (mock cluster)",
        Holds,
        MOCKS,
        false,
        mock::leaders_move,
        Reason("librdkafka keeps the order of a key while leaders move, and no layer is beneath it")
    ),
    fault!(
        10,
        "PostgreSQL is restarted, crashes, and loses backends",
        Holds,
        POSTGRES,
        true,
        database::restarts,
        Bugs(&["without-key"])
    ),
    fault!(
        11,
        "PostgreSQL crashes with synchronous_commit off in its settings",
        Holds,
        POSTGRES,
        false,
        database::crash_without_sync,
        Bugs(&["async-commit"])
    ),
    fault!(
        12,
        "the networks to PostgreSQL and Kafka drop, cut, refuse and delay connections",
        Holds,
        NONE,
        false,
        network::cut,
        Bugs(&["without-key", "cursor-first"])
    ),
    fault!(13, "responses to COMMIT are lost", Holds, NONE, true, network::responses_lost, Bugs(&["without-key"])),
    fault!(
        14,
        "a tenth of the topic is sent again, and the group's offsets are reset to 0",
        Holds,
        NONE,
        false,
        consumer::duplicates,
        Bugs(&["projection-blind"])
    ),
    fault!(
        15,
        "one of five calls of the handler fails",
        Holds,
        NONE,
        false,
        poison::failing_handlers,
        Bugs(&["without-retries"])
    ),
    fault!(16, "one account is slow", Holds, NONE, false, pace::one_slow_key, Bugs(&["one-queue"])),
    fault!(
        17,
        "members join and leave every two seconds, with work in flight",
        Holds,
        NONE,
        false,
        consumer::rebalances,
        Bugs(&["acknowledge-highest", "projection-blind"])
    ),
    fault!(
        18,
        "members are frozen past their session, or stop polling, and then resume",
        Holds,
        NONE,
        false,
        consumer::zombie,
        Bugs(&["projection-blind"])
    ),
    fault!(
        19,
        "unreadable records are parked unchanged",
        Holds,
        NONE,
        false,
        poison::records,
        Bugs(&["unreadable-dropped"])
    ),
    fault!(
        20,
        "records to be parked cannot be stored",
        Holds,
        NONE,
        false,
        poison::cannot_be_parked,
        Bugs(&["commit-unnoticed"])
    ),
    fault!(21, "clocks are an hour wrong, and jump", Holds, NONE, false, pace::wrong_clocks, Bugs(&["lease-for-all"])),
    fault!(
        22,
        "the database's files cannot grow (SQLSTATE 53100)",
        Holds,
        POSTGRES,
        false,
        database::full_disk,
        Bugs(&["commit-unnoticed"])
    ),
    fault!(
        23,
        "fifty concurrent commands share two connections",
        Holds,
        NONE,
        false,
        pace::small_pool,
        Reason("the driver's pool lends its connections, and no layer is beneath it")
    ),
    fault!(
        24,
        "an append is held open for eight seconds",
        Holds,
        NONE,
        false,
        pace::held_append,
        Bugs(&["naive-cursor"])
    ),
    fault!(
        25,
        "callers drop commands at any await point",
        Holds,
        NONE,
        false,
        pace::dropped_commands,
        Bugs(&["without-key"])
    ),
    fault!(26, "SIGTERM under load, twenty times", Holds, NONE, true, shutdown::under_load, Bugs(&["exit-at-once"])),
    fault!(
        27,
        "partitions are added to the topic",
        Reports(I5),
        NONE,
        false,
        broker::more_partitions,
        Reason("the fault itself breaks the rule, and the report shows that it is detected")
    ),
    fault!(
        28,
        "the log's sequence or an event was changed by hand, and the start is refused",
        Holds,
        NONE,
        false,
        database::by_hand,
        Reason("the changes by hand are the bugs, and the refused starts show that they are detected")
    ),
    fault!(
        29,
        "a rolling deploy of a program with a new event, a rollback, and the deploy again, under load",
        Holds,
        NONE,
        true,
        deploy::rolling,
        Bugs(&["newer-hidden"])
    ),
    fault!(
        30,
        "every process of PostgreSQL is frozen and resumes, before and after the time limit of calls",
        Holds,
        POSTGRES,
        false,
        database::frozen,
        Bugs(&["without-time-limit"])
    ),
    fault!(
        31,
        "the topic is deleted and created again, and is read once an operator accepts it",
        Holds,
        NONE,
        false,
        topic::created_again,
        Bugs(&["topic-unchecked"])
    ),
    fault!(
        32,
        "the right to write the topic, then the right to read the group, is taken away and given back",
        Holds,
        RIGHTS,
        false,
        broker::rights,
        Bugs(&["outage-parks"])
    ),
    fault!(
        33,
        "PostgreSQL is lost, and its synchronous standby is promoted",
        Holds,
        POSTGRES,
        false,
        database::failover,
        Bugs(&["async-commit-standby"])
    ),
    fault!(
        34,
        "a third party that the subscriber calls refuses connections, then answers with errors, for half a minute each",
        Holds,
        NONE,
        false,
        third_party::outage,
        Bugs(&["without-breaker"])
    ),
    fault!(
        35,
        "one message aborts every process that handles it, under load, until it is parked",
        Holds,
        NONE,
        true,
        fatal::message,
        Bugs(&["ends-forgotten"])
    ),
    fault!(
        36,
        "PgBouncer is killed, is paused for a restart of PostgreSQL, and is frozen",
        Holds,
        POOLER,
        false,
        pooler::killed_and_paused,
        Bugs(&["without-key-pooler"])
    ),
    fault!(
        37,
        "a million messages are parked: services start, handle others, and redeliver at a rate, stopped and continued",
        Holds,
        NONE,
        false,
        parked::a_million,
        Bugs(&["stays-parked"])
    ),
    fault!(
        38,
        "kill -9 of a rebuild of a view at any moment, before and after a batch, and before and after the switch",
        Holds,
        NONE,
        false,
        rebuild::killed,
        Bugs(&["copy-checkpoint-apart", "switched-behind"])
    ),
    fault!(
        39,
        "two query servers on one Redis are killed, frozen and terminated at any moment",
        Holds,
        REDIS,
        false,
        query_side::killed,
        Bugs(&["views-before-checkpoint"])
    ),
    fault!(
        40,
        "Redis is killed and starts empty, is frozen, and is emptied, while query servers answer from it",
        Holds,
        REDIS,
        false,
        query_side::redis_lost,
        Bugs(&["checkpoints-remembered"])
    ),
    fault!(
        41,
        "kill -9 between the steps of a process manager over two services, while orders are placed",
        Holds,
        NONE,
        false,
        process::killed,
        Bugs(&["reaction-without-state"])
    ),
    fault!(
        42,
        "ten thousand timers are due at once, and the replicas that fire them are killed and frozen",
        Holds,
        NONE,
        false,
        timers::due_at_once,
        Bugs(&["timer-ended-after", "timer-ended-before"])
    ),
    fault!(
        43,
        "timers are due while the clocks of the replicas are an hour wrong, and jump",
        Holds,
        NONE,
        false,
        timers::wrong_clocks,
        Bugs(&["timers-of-the-process"])
    ),
];

/// Every seeded bug.
pub(super) const SEEDED_BUGS: &[Scenario] = &[
    seeded_bug!(
        "naive-cursor",
        NaiveCursor,
        "readers of the log follow the highest committed position",
        I10,
        NONE,
        true,
        seeded_bugs::late_commits
    ),
    seeded_bug!(
        "skip-locked",
        SkipLocked,
        "relays take any rows that no other relay has taken",
        I3,
        NONE,
        true,
        seeded_bugs::two_relays
    ),
    seeded_bug!(
        "lease-for-all",
        LeaseForAll,
        "every relay holds every shard",
        I6,
        NONE,
        false,
        seeded_bugs::two_relays
    ),
    seeded_bug!(
        "lease-without-epoch",
        LeaseWithoutEpoch,
        "checkpoints are moved without a lease",
        I6,
        NONE,
        false,
        relay::zombie
    ),
    seeded_bug!(
        "cursor-first",
        CursorFirst,
        "the checkpoint moves before the broker has acknowledged",
        I1,
        NONE,
        false,
        seeded_bugs::killed_relay
    ),
    seeded_bug!(
        "publish-first",
        PublishFirst,
        "events are published before their commit",
        I2,
        NONE,
        true,
        seeded_bugs::busy_writers
    ),
    seeded_bug!(
        "async-commit",
        AsyncCommit,
        "writers commit without waiting for the disk",
        I1,
        POSTGRES,
        false,
        database::crash_without_sync
    ),
    seeded_bug!(
        "commit-first",
        CommitFirst,
        "a record is acknowledged when it is received",
        I7,
        NONE,
        false,
        seeded_bugs::killed_consumer
    ),
    seeded_bug!(
        "acknowledge-highest",
        AcknowledgeHighest,
        "the highest record is acknowledged although earlier ones are not handled",
        I7,
        NONE,
        false,
        seeded_bugs::killed_consumer
    ),
    seeded_bug!(
        "inbox-outside",
        InboxOutside,
        "the inbox record is written after the effect has been committed",
        I4,
        NONE,
        false,
        seeded_bugs::killed_consumer
    ),
    seeded_bug!(
        "projection-blind",
        ProjectionBlind,
        "a projection does not check its checkpoint",
        I4,
        NONE,
        false,
        consumer::zombie
    ),
    seeded_bug!(
        "without-key",
        WithoutKey,
        "a command with an unknown outcome is sent again without an idempotency key",
        I4,
        NONE,
        true,
        network::responses_lost
    ),
    seeded_bug!(
        "exit-at-once",
        ExitAtOnce,
        "a process exits at once on SIGTERM",
        I6,
        NONE,
        false,
        seeded_bugs::ended_relay
    ),
    seeded_bug!(
        "newer-hidden",
        NewerHidden,
        "a program does not see newer programs of its service",
        I1,
        NONE,
        false,
        deploy::rolling
    ),
    seeded_bug!(
        "topic-unchecked",
        TopicUnchecked,
        "readers do not notice that a topic is another one",
        I1,
        NONE,
        false,
        topic::created_again
    ),
    seeded_bug!(
        "outage-parks",
        OutageParks,
        "a relay parks every record that the broker refuses for a time",
        I11,
        RIGHTS,
        false,
        broker::rights
    ),
    seeded_bug!(
        "async-commit-standby",
        AsyncCommit,
        "writers commit without waiting for the standby",
        I1,
        POSTGRES,
        false,
        database::failover
    ),
    seeded_bug!(
        "without-breaker",
        WithoutBreaker,
        "a subscriber parks key by key while a third party is down",
        I11,
        NONE,
        false,
        third_party::outage
    ),
    seeded_bug!(
        "without-retries",
        WithoutRetries,
        "a message is parked after its first failure",
        I11,
        NONE,
        false,
        poison::failing_handlers
    ),
    seeded_bug!(
        "one-queue",
        OneQueue,
        "the messages of all keys wait for each other",
        I9,
        NONE,
        false,
        pace::one_slow_key
    ),
    seeded_bug!(
        "unreadable-dropped",
        UnreadableDropped,
        "records that cannot be read are dropped",
        I1,
        NONE,
        false,
        poison::records
    ),
    seeded_bug!(
        "commit-unnoticed",
        CommitUnnoticed,
        "a failed commit is taken for a success",
        I1,
        NONE,
        false,
        poison::cannot_be_parked
    ),
    seeded_bug!(
        "without-time-limit",
        WithoutTimeLimit,
        "calls to the database have no time limit",
        I9,
        POSTGRES,
        false,
        database::frozen
    ),
    seeded_bug!(
        "ends-forgotten",
        EndsForgotten,
        "the ends of a process with a message are not counted",
        I9,
        NONE,
        false,
        fatal::message
    ),
    seeded_bug!(
        "without-key-pooler",
        WithoutKey,
        "a command whose connection to the pooler was lost is sent again without an idempotency key",
        I4,
        POOLER,
        false,
        pooler::killed_and_paused
    ),
    seeded_bug!("stays-parked", StaysParked, "a redelivered message stays parked", I4, NONE, false, parked::a_million),
    seeded_bug!(
        "copy-checkpoint-apart",
        CopyCheckpointApart,
        "a rebuild stores the checkpoint of its copy after the changes",
        I4,
        NONE,
        false,
        rebuild::killed
    ),
    seeded_bug!(
        "switched-behind",
        SwitchedBehind,
        "a view is switched to a copy that is behind",
        I1,
        NONE,
        false,
        rebuild::killed
    ),
    seeded_bug!(
        "views-before-checkpoint",
        ViewsBeforeCheckpoint,
        "a query server stores the checkpoint of a view after the changes",
        I4,
        REDIS,
        false,
        query_side::killed
    ),
    seeded_bug!(
        "checkpoints-remembered",
        CheckpointsRemembered,
        "a query server trusts the checkpoints that it remembers",
        I12,
        REDIS,
        false,
        query_side::redis_lost
    ),
    seeded_bug!(
        "reaction-without-state",
        ReactionWithoutState,
        "some reactions of a process manager are committed without their state",
        I14,
        NONE,
        false,
        process::killed
    ),
    seeded_bug!(
        "timer-ended-after",
        TimerEndedAfter,
        "a timer is ended after the commit of its effect",
        I13,
        NONE,
        false,
        timers::due_at_once
    ),
    seeded_bug!(
        "timer-ended-before",
        TimerEndedBefore,
        "a timer is ended before the commit of its effect",
        I13,
        NONE,
        false,
        timers::due_at_once
    ),
    seeded_bug!(
        "timers-of-the-process",
        TimersOfTheProcess,
        "timers go by the clock of the process, which is an hour ahead",
        I13,
        NONE,
        false,
        timers::wrong_clocks
    ),
];

/// Returns every fault and every seeded bug.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    FAULTS.iter().chain(SEEDED_BUGS)
}
