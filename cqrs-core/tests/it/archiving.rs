//! Old events are moved out of the log, and every reader of an app still finds them.
use crate::{
    bank::{self, BANK, Card, FindCard, opened as opens_account, paid_in},
    clock::Clock,
    purse::{Add, AtVersion, Find, StoredAs, on_each, opened, purses, shared},
    trials::trial,
};
use cqrs_core::{
    App, ErrorKind, StateStored,
    storage::{Memory, Storage},
};
use libtest_mimic::Trial;
use std::{sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each(
        "archiving: commands, history and another program's fold find archived events",
        &[StoredAs::State, StoredAs::Snapshots(10)],
        found,
    );
    trials.push(trial("archiving: a projection that has not passed an event keeps it in the log", bounded));
    // The memory has one list of entries, so only a database shows that both tables are read.
    let begins = "archiving: a new projection begins with the archived events";
    trials.extend(on_each(begins, &[StoredAs::State], new_projection));
    trials.push(trial("archiving: an age below an hour is refused", age));
    trials
}

async fn archived(app: &App) -> u64 {
    let mut archive = app.archive(HOUR).await.expect("the database responds");
    while archive.step().await.expect("the database responds") {}
    archive.archived()
}

/// Also run on PostgreSQL.
pub(crate) async fn found(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let clock = Clock::default();
    let app = purses(shared(&storage), stored_as, false)
        .environment(Arc::new(clock.clone()))
        .build()
        .expect("the app builds");
    opened(&app, "kim").await;
    for _ in 0..24 {
        app.send(Add("kim".into(), 1)).await.expect("the amount is added");
    }
    clock.set(3_600_000);
    assert_eq!(archived(&app).await, 0, "no event is older than an hour");
    clock.set(3_600_001);
    // The last snapshot has version 20, and its event stays.
    assert_eq!(archived(&app).await, if stored_as == StoredAs::State { 24 } else { 19 });
    assert_eq!(archived(&app).await, 0);
    assert_eq!(app.send(Add("kim".into(), 1)).await.expect("commands go on"), 25);
    assert_eq!(app.send(AtVersion("kim".into(), 3)).await.expect("the history can be read"), Some(2));
    assert_eq!(app.send(AtVersion("kim".into(), 26)).await.expect("the history can be read"), Some(25));
    let other = if stored_as == StoredAs::State { StoredAs::State } else { StoredAs::Events };
    let other = purses(shared(&storage), other, false).build().expect("the app builds");
    assert_eq!(other.send(Find("kim".into())).await.expect("it is found"), Some(("name of kim".into(), 25)));
}

fn bank(storage: &Arc<dyn Storage>, clock: &Clock) -> App {
    let app = App::builder("bank").discover_part(BANK).aggregate(StateStored::<bank::Account>::new());
    app.storage(shared(storage)).environment(Arc::new(clock.clone())).build().expect("the app builds")
}
async fn renamed(app: &App, name: &str) {
    app.send(bank::Rename { id: "kim".into(), name: name.into() }).await.expect("the account is renamed");
}
async fn bounded() {
    let (storage, clock): (Arc<dyn Storage>, _) = (Arc::new(Memory::new()), Clock::default());
    let app = bank(&storage, &clock);
    opens_account(&app, "kim").await;
    renamed(&app, "a").await;
    let mut followers = app.log_followers();
    for follower in &mut followers {
        follower.step().await.expect("the projection runs");
    }
    for name in ["b", "c", "d"] {
        renamed(&app, name).await;
    }
    clock.set(7_200_000);
    assert_eq!(archived(&app).await, 2, "the projection has passed two events");
    paid_in(&app, "kim", 1).await;
    for follower in &mut followers {
        follower.step().await.expect("the projection runs");
    }
    assert_eq!(archived(&app).await, 3, "the last event is younger and the last of its stream");
}

async fn new_projection(storage: Arc<dyn Storage>, _: StoredAs) {
    let clock = Clock::default();
    let app = bank(&storage, &clock);
    opens_account(&app, "kim").await;
    for name in ["a", "b", "c"] {
        renamed(&app, name).await;
    }
    clock.set(7_200_000);
    // As another program without the projection.
    let upto = storage.high_water_mark().await.expect("the database responds");
    let range = cqrs_core::storage::ArchiveRange {
        after: cqrs_core::Position(0),
        upto,
        before: cqrs_core::Timestamp::UNIX_EPOCH + chrono::TimeDelta::hours(1),
    };
    assert_eq!(storage.archive(&range, 99).await.expect("the database responds").moved, 3);
    for follower in &mut app.log_followers() {
        follower.step().await.expect("the projection runs");
    }
    let card = app.send(FindCard("kim".into())).await.expect("the view can be read");
    assert_eq!(card, Some(Card { name: "c".into(), balance: 0 }));
}

async fn age() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let app = purses(shared(&storage), StoredAs::State, false).build().expect("the app builds");
    for age in [Duration::ZERO, HOUR - Duration::from_millis(1)] {
        assert_eq!(app.archive(age).await.expect_err("the age is refused").kind(), ErrorKind::Invalid);
    }
    app.archive(Duration::MAX).await.expect_err("the age is before all times");
}
