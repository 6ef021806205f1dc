//! Inline projections: a view is as new as the commit of each command, and no change is lost or made twice.
#![cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "some functions are for the tests on PostgreSQL"))]
use crate::trials::trial;
use cqrs_core::{
    Aggregate, App, AppBuilder, BoxError, Bus, Change, Command, Error, ErrorKind, Event, EventSourced, Evolve,
    HandlerResult, Metadata, Position, Query, Recorded, Repo, View, Views,
    app::RebuildError,
    handler,
    job::Step,
    projection,
    storage::{Memory, ReadLimit, Storage},
    subscriber,
    testing::TestApp,
};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) fn trials() -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one list"))]
    let mut trials = vec![
        trial("inline: a query sees the change of a command while no projection runs: memory", || {
            at_once(Memory::new())
        }),
        trial("inline: concurrent commands on one value lose no change: memory", || concurrent(Memory::new())),
        trial("inline: the events of other programs are applied once, at the next start: memory", || {
            other_programs(Memory::new())
        }),
        trial("inline: a command whose projection fails commits nothing", failing),
        trial("inline: a command whose projection changes a range commits nothing", of_a_range),
        trial("inline: the metadata of another event does not count as its projection", passed_on),
        trial("inline: the commands and the own events of a subscriber change the view", by_subscribers),
        trial("inline: the view of an inline projection is not rebuilt", not_rebuilt),
        trial("inline: an app with two inline projections of a view, or with a half of one, is not built", unfit),
    ];
    #[cfg(feature = "sqlite")]
    trials.extend([
        trial("inline: a query sees the change of a command while no projection runs: sqlite", || on_sqlite(at_once)),
        trial("inline: concurrent commands on one value lose no change: sqlite", || on_sqlite(concurrent)),
        trial("inline: the events of other programs are applied once, at the next start: sqlite", || {
            on_sqlite(other_programs)
        }),
    ]);
    trials
}
#[cfg(feature = "sqlite")]
async fn on_sqlite<F: Future<Output = ()>>(test: fn(cqrs_core::storage::Sqlite) -> F) {
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = cqrs_core::storage::Sqlite::open(directory.path().join("league.db")).await;
    test(storage.expect("a new database opens")).await;
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "player", event = PlayerEvent)]
struct Player {
    #[id]
    id: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "player", version = 1)]
enum PlayerEvent {
    Joined,
    Scored { team: String, points: i64 },
}
impl Evolve<PlayerEvent> for Player {
    fn create(id: String, _: &PlayerEvent) -> Option<Self> {
        Some(Player { id })
    }
    fn apply(&mut self, _: &PlayerEvent) {}
}

/// Points for several teams, by one command of one player.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct Score {
    player: String,
    points: Vec<(String, i64)>,
}
#[derive(Clone, Query)]
struct FindTeam(String);
#[derive(Clone, Query)]
struct BestTeams;

/// The points of a team, from the events of all players.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, View)]
#[view(name = "team", key = String)]
#[index(best(-points))]
struct Team {
    points: i64,
    scores: u32,
}
fn scored(event: &PlayerEvent) -> Change<Team> {
    let PlayerEvent::Scored { team, points } = event.clone() else { return Change::none() };
    assert_ne!(team, "panicking", "seeded: the projection cannot apply this event");
    if team == "everybody" {
        return Team::update_where(Team::best(), move |team| team.points += points);
    }
    Change::none().and(team, move |found: Option<Team>| {
        let Team { points: before, scores } = found.unwrap_or_default();
        Some(Team { points: before + points, scores: scores + 1 })
    })
}

mod league {
    use super::{HandlerResult, Player, PlayerEvent, Repo, Score, handler};

    #[handler]
    async fn score(command: Score, players: Repo<Player>) -> HandlerResult<()> {
        let Score { player, points } = command;
        if players.find(&player).await?.is_none() {
            players.create(player.clone(), PlayerEvent::Joined)?;
        }
        let scored = |(team, points)| PlayerEvent::Scored { team, points };
        players.update(&player, |_| points.into_iter().map(scored).collect::<Vec<_>>()).await?;
        Ok(())
    }
}
mod queries {
    use super::{BestTeams, FindTeam, HandlerResult, Team, Views, handler};

    #[handler]
    async fn find_team(query: FindTeam, teams: Views<Team>) -> HandlerResult<Option<Team>> {
        Ok(teams.find(&query.0).await?)
    }
    #[handler]
    async fn best_teams(_: BestTeams, teams: Views<Team>) -> HandlerResult<Vec<Team>> {
        Ok(teams.page(Team::best(), None, 10).await?.items)
    }
}
mod in_commit {
    use super::{Change, PlayerEvent, Team, projection, scored};

    #[projection(name = "team", inline)]
    fn team(event: &PlayerEvent) -> Change<Team> {
        scored(event)
    }
}
/// The same projection in a program in which it is not inline.
mod behind {
    use super::{Change, PlayerEvent, Team, projection, scored};

    #[projection(name = "team")]
    fn team(event: &PlayerEvent) -> Change<Team> {
        scored(event)
    }
}

fn without_projection(storage: impl Storage) -> AppBuilder {
    let app = App::builder("league").discover_part("it::inline::league").storage(storage);
    app.aggregate(EventSourced::<Player>::new())
}
fn with(part: &'static str, storage: impl Storage) -> App {
    without_projection(storage)
        .discover_part("it::inline::queries")
        .discover_part(part)
        .build()
        .expect("the app builds")
}
fn inline(storage: impl Storage) -> App {
    with("it::inline::in_commit", storage)
}
async fn score(app: &App, player: &str, points: &[(&str, i64)]) {
    let points = points.iter().map(|(team, points)| ((*team).to_owned(), *points)).collect();
    app.send(Score { player: player.to_owned(), points }).await.expect("the command succeeds");
}
async fn team(app: &App, name: &str) -> Option<Team> {
    app.send(FindTeam(name.to_owned())).await.expect("the query waits for nothing")
}
/// Lets the followers of the log handle everything.
async fn follow(app: &App) {
    for mut follower in app.log_followers() {
        while !matches!(follower.step().await.expect("the step succeeds"), Step::Idle(_) | Step::IdleFor(..)) {}
        follower.release().await;
    }
}

/// No follower runs, so a query that waits for one fails after a second.
pub(crate) async fn at_once<S: Storage>(storage: S) {
    let app = inline(storage);
    app.migrate().await.expect("the database is new");
    score(&app, "kim", &[("red", 2), ("blue", 1), ("red", 3)]).await;
    score(&app, "lee", &[("red", -1)]).await;
    assert_eq!(team(&app, "red").await, Some(Team { points: 4, scores: 3 }));
    assert_eq!(team(&app, "blue").await, Some(Team { points: 1, scores: 1 }));
    assert_eq!(team(&app, "green").await, None);
    let best = app.send(BestTeams).await.expect("the index is as new as the values");
    assert_eq!(best, [Team { points: 4, scores: 3 }, Team { points: 1, scores: 1 }]);
    // The follower passes what the commands have applied.
    follow(&app).await;
    assert_eq!(team(&app, "red").await, Some(Team { points: 4, scores: 3 }));
    assert!(app.lag().await.expect("the storage responds").is_empty());
}

/// Two processes change three values, each command two of them, in both orders.
pub(crate) async fn concurrent<S: Storage + Clone>(storage: S) {
    const COMMANDS: usize = 60;
    let apps = [inline(storage.clone()), inline(storage)];
    apps[0].migrate().await.expect("the database is new");
    let commands = (0..COMMANDS).map(|n| {
        let app = apps[n % 2].clone();
        let teams = [["red", "blue"], ["blue", "red"], ["green", "red"]][n % 3];
        tokio::spawn(async move { score(&app, &format!("player-{n}"), &teams.map(|team| (team, 1))).await })
    });
    for done in join_all(commands).await {
        done.expect("every command succeeds");
    }
    follow(&apps[0]).await;
    let count = COMMANDS as u32;
    for (name, scores) in [("red", count), ("blue", count / 3 * 2), ("green", count / 3)] {
        assert_eq!(team(&apps[1], name).await, Some(Team { points: scores.into(), scores }), "{name}");
    }
}

/// The projection is added to a program that has run, made inline, not inline, and inline again. After each start the view has
/// every event once.
pub(crate) async fn other_programs<S: Storage + Clone>(storage: S) {
    let old = without_projection(storage.clone()).build().expect("the app builds");
    old.migrate().await.expect("the database is new");
    let mut expected = BTreeMap::from([("red", Team::default()), ("blue", Team::default())]);
    let mut plays = async |app: &App, player: &str| {
        for (name, points) in [("red", 2), ("blue", 1), ("red", 1)] {
            score(app, player, &[(name, points)]).await;
            let team = expected.get_mut(name).expect("both teams are there");
            *team = Team { points: team.points + points, scores: team.scores + 1 };
        }
        expected.clone()
    };
    let check = async |app: &App, expected: BTreeMap<&str, Team>, program: &str| {
        for (name, value) in expected {
            assert_eq!(team(app, name).await, Some(value), "{name} after {program}");
        }
    };
    plays(&old, "kim").await;

    let first = inline(storage.clone());
    first.migrate().await.expect("the program fits");
    let all = plays(&first, "kim").await;
    check(&first, all, "the first inline program").await;

    let between = with("it::inline::behind", storage.clone());
    between.migrate().await.expect("the program fits");
    let all = plays(&between, "kim").await;
    follow(&between).await;
    check(&between, all.clone(), "the program in which the projection is not inline").await;
    let all_but_followed = plays(&between, "lee").await;

    let last = inline(storage);
    last.migrate().await.expect("the program fits");
    check(&last, all_but_followed, "the start of the last inline program").await;
    let all = plays(&last, "kim").await;
    check(&last, all.clone(), "the last inline program").await;
    follow(&last).await;
    check(&last, all, "its follower").await;
}

async fn events(app: &App) -> u64 {
    app.storage().high_water_mark().await.expect("the memory answers").0
}

async fn failing() {
    let app = inline(Memory::new());
    score(&app, "kim", &[("red", 1)]).await;
    let before = events(&app).await;
    let points = vec![("red".to_owned(), 5), ("panicking".to_owned(), 5)];
    let failed = app.send(Score { player: "kim".into(), points }).await;
    let Err(Error::Fault(fault)) = failed else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), ErrorKind::Internal);
    assert!(fault.to_string().starts_with("projection team cannot apply event"), "{fault}");
    assert_eq!((events(&app).await, team(&app, "red").await), (before, Some(Team { points: 1, scores: 1 })));
}

async fn of_a_range() {
    let app = inline(Memory::new());
    score(&app, "kim", &[("red", 1)]).await;
    let before = events(&app).await;
    let points = vec![("everybody".to_owned(), 5)];
    let failed = app.send(Score { player: "kim".into(), points }).await.expect_err("the command fails");
    let causes = std::iter::successors(Some(&failed as &(dyn std::error::Error + 'static)), |error| error.source());
    let causes = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(causes.contains("not by a range of an index: leave `inline` out"), "{causes}");
    assert_eq!((events(&app).await, team(&app, "red").await), (before, Some(Team { points: 1, scores: 1 })));
}

/// A command is sent with the metadata of an event that its projection has applied, to a program without the projection.
async fn passed_on() {
    let memory = Memory::new();
    let first = inline(memory.clone());
    first.migrate().await.expect("the database is new");
    score(&first, "kim", &[("red", 1)]).await;
    let old = without_projection(memory.clone()).build().expect("the app builds");
    let metadata = Metadata { applied_by: vec!["team".into()], ..Metadata::default() };
    let again = Score { player: "kim".into(), points: vec![("red".into(), 1)] };
    old.with(metadata).send(again).await.expect("the command succeeds");
    follow(&first).await;
    assert_eq!(team(&first, "red").await, Some(Team { points: 2, scores: 2 }));
}

mod subscribed {
    use super::{BoxError, Bus, Player, PlayerEvent, Recorded, Repo, subscriber};

    /// Gives each goal of the red team a point for the fans, by a command.
    #[subscriber(group = "league.fans", from = "beginning")]
    async fn fans(event: Recorded<PlayerEvent>, bus: Bus) -> Result<(), BoxError> {
        if let PlayerEvent::Scored { team, .. } = &event.event
            && team == "red"
        {
            bus.send(super::Score { player: "fans".into(), points: vec![("fans".into(), 1)] }).await?;
        }
        Ok(())
    }
    /// The same in the subscriber's own batch.
    #[subscriber(group = "league.bookmaker", from = "beginning")]
    async fn bookmaker(event: Recorded<PlayerEvent>, players: Repo<Player>) -> Result<(), BoxError> {
        if let PlayerEvent::Scored { team, .. } = &event.event
            && team == "red"
        {
            let id = format!("bets-{}", event.id);
            players.create(id.clone(), PlayerEvent::Scored { team: "bets".into(), points: 1 })?;
        }
        Ok(())
    }
}
async fn by_subscribers() {
    let app = without_projection(Memory::new()).discover_part("it::inline::queries");
    let app = app.discover_part("it::inline::in_commit");
    let app = TestApp::start(app.discover_part("it::inline::subscribed")).await.expect("the app starts");
    for player in ["kim", "lee", "kim"] {
        score(&app, player, &[("red", 1)]).await;
    }
    app.settle().await;
    for name in ["red", "fans", "bets"] {
        assert_eq!(team(&app, name).await, Some(Team { points: 3, scores: 3 }), "{name}");
    }
    // None of them was left to the follower.
    let end = app.storage().high_water_mark().await.expect("the memory answers");
    let log = app.storage().log(Position(0), end, ReadLimit::entries(100)).await.expect("the memory answers");
    let left: Vec<_> = log.iter().filter(|entry| entry.metadata.applied_by != ["team"]).collect();
    assert!(left.is_empty() && log.len() > 9, "{left:#?}");
    assert!(app.stop().await);
}

async fn not_rebuilt() {
    let app = inline(Memory::new());
    app.migrate().await.expect("the database is new");
    let rebuilt = app.rebuild("team").run().await;
    assert!(matches!(&rebuilt, Err(RebuildError::Inline(name)) if name == "team"), "{rebuilt:?}");
    assert_eq!(app.view_copies().await.expect("the memory answers")[0].other, None);
}

/// A second inline projection of the view, and one that is inline in half of its functions.
mod unfit_parts {
    use super::{Change, PlayerEvent, Team, projection};
    use crate::bank::AccountEvent;

    #[projection(name = "team-of-accounts", inline)]
    fn accounts(_: &AccountEvent) -> Change<Team> {
        Change::none()
    }
    #[projection(name = "halves", inline)]
    fn first(_: &PlayerEvent) -> Change<Half> {
        Change::none()
    }
    #[projection(name = "halves")]
    fn second(_: &AccountEvent) -> Change<Half> {
        Change::none()
    }
    #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::View)]
    #[view(name = "half", key = String)]
    struct Half;
}
async fn unfit() {
    let app = without_projection(Memory::new()).discover_part("it::inline::in_commit");
    let error = app.discover_part("it::inline::unfit_parts").build().expect_err("the app is not built");
    assert_eq!(
        error.problems,
        [
            "the functions of projection `halves` share one view and one order: write `inline` in each, or in none",
            "view `team` has two inline projections: give their functions one name, so that they are one projection",
        ]
    );
}
