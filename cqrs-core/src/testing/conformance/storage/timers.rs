//! Cases for timers: they are due at their times and in order, a firing is committed once, and a refused batch changes none.
use super::draft::{Draft, at, batch, commit, refused, row};
use super::{Harness, sleep};
use crate::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    metadata::{ConsistencyToken, Metadata},
    storage::{
        Batch, CommitError, DueTime, DueTimers, Firing, NewTimer, Storage, Timer, TimerChange, TimerCounts, TimerPage,
        TimerState, TimerWrite,
    },
};
use chrono::TimeDelta;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn new(key: &str, due: DueTime) -> NewTimer {
    let metadata = Metadata::default().caller("kim").key("not stored").caused_by(SystemEnvironment.id(), None);
    NewTimer {
        id: SystemEnvironment.id(),
        due,
        key: key.to_owned(),
        command: "Remind".to_owned(),
        body: vec![0, 200, b'{'],
        metadata: metadata.token(ConsistencyToken::default()),
        calendar: None,
        set_by: "Order".to_owned(),
    }
}
fn write(name: &str, fired: Option<Firing>, change: TimerChange) -> Batch {
    Batch { timers: vec![TimerWrite { name: name.to_owned(), fired, change }], ..batch() }
}
fn set(name: &str, due: DueTime) -> Batch {
    write(name, None, TimerChange::Set(new(name, due)))
}
/// Returns a time of the past, later for a later number.
fn past(number: i64) -> DueTime {
    DueTime::At(at(0) + TimeDelta::seconds(number))
}
async fn due(storage: &dyn Storage) -> DueTimers {
    storage.due_timers(None, 100).await.expect("due timers can be read")
}
async fn due_names(storage: &dyn Storage) -> Vec<String> {
    due(storage).await.timers.into_iter().map(|timer| timer.name).collect()
}
async fn listed(storage: &dyn Storage, page: TimerPage<'_>) -> Vec<Timer> {
    storage.timers(&page).await.expect("timers can be read")
}
async fn stored(storage: &dyn Storage, name: &str) -> Option<Timer> {
    listed(storage, TimerPage { name: Some(name), ..TimerPage::default() }).await.pop()
}

pub(super) async fn unchanged(mut harness: Box<dyn Harness>) {
    let storage = harness.storage();
    let time = at(123_456_789);
    let timer = NewTimer { calendar: Some("UTC 0 0 * * *".to_owned()), ..new("order 7", DueTime::At(time)) };
    let kept = Metadata { key: None, ..timer.metadata.clone() };
    commit(&*storage, write("remind/7", None, TimerChange::Set(timer.clone()))).await;
    let storage = harness.reopen().await;
    let found = due(&*storage).await;
    let stored = &found.timers[0];
    assert_eq!(found.timers.len(), 1);
    assert_eq!(stored.due, at(123_456_000), "times have microseconds");
    assert_eq!((&*stored.name, stored.id, &*stored.key), ("remind/7", timer.id, "order 7"));
    assert_eq!((&*stored.command, &stored.body, &*stored.set_by), ("Remind", &timer.body, "Order"));
    assert_eq!((&stored.metadata, &stored.calendar, &stored.error), (&kept, &timer.calendar, &None));
    assert!((found.now - stored.set_at).num_seconds().abs() < 60, "{found:?}");
    assert_eq!(listed(&*storage, TimerPage::default()).await, found.timers);
}

/// The database's clock decides, and the time of this process may differ from it.
pub(super) async fn waits(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let before = due(storage).await;
    assert_eq!((before.timers.len(), before.next), (0, None));
    commit(storage, set("soon", DueTime::After(Duration::from_millis(150)))).await;
    commit(storage, set("later", DueTime::After(HOUR))).await;
    let found = due(storage).await;
    let next = found.next.expect("a timer waits");
    assert!(found.timers.is_empty(), "a timer is due too early: {found:?}");
    assert!(next > before.now && (next - before.now).num_seconds() < 60, "{before:?} {found:?}");
    sleep(300).await;
    let found = due(storage).await;
    assert_eq!(found.timers.iter().map(|timer| &*timer.name).collect::<Vec<_>>(), ["soon"]);
    assert_eq!(found.timers[0].due, next);
    let hours = (found.next.expect("a timer waits") - found.now).num_minutes();
    assert!((58..=60).contains(&hours), "{found:?}");
}

pub(super) async fn replaced(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, set("remind", past(1))).await;
    let former = stored(storage, "remind").await.expect("the timer is stored");
    commit(storage, set("remind", DueTime::After(HOUR))).await;
    let later = stored(storage, "remind").await.expect("the timer is stored");
    assert_ne!(former.id, later.id);
    assert!(due_names(storage).await.is_empty(), "the former timer is still due");
    let late = write("remind", Some(former.firing()), TimerChange::Remove).row("kim", 0, Some(b"1"));
    assert!(matches!(refused(storage, late).await, CommitError::Moved(what) if what.contains("remind")));
    assert_eq!(row(storage, "kim").await.version, 0, "the effect of a replaced timer was stored");
    assert_eq!(listed(storage, TimerPage::default()).await, [later]);
}

pub(super) async fn cancelled(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, set("remind", past(1))).await;
    let firing = stored(storage, "remind").await.expect("the timer is stored").firing();
    commit(storage, write("remind", None, TimerChange::Remove)).await;
    commit(storage, write("remind", None, TimerChange::Remove)).await;
    assert!(due_names(storage).await.is_empty() && stored(storage, "remind").await.is_none());
    let late = write("remind", Some(firing), TimerChange::Remove);
    assert!(matches!(refused(storage, late).await, CommitError::Moved(_)), "a cancelled timer was fired");
}

pub(super) async fn ordered(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut all = batch();
    for (name, number) in [("d", 4), ("b", 2), ("c", 3), ("a", 1), ("e", 5)] {
        all.timers.extend(set(name, past(number)).timers);
    }
    // Two of one time are ordered by their ids.
    let (first, second) = (new("f", past(6)), new("g", past(6)));
    let ids = if first.id < second.id { ["f", "g"] } else { ["g", "f"] };
    all.timers.extend(write("g", None, TimerChange::Set(second)).timers);
    all.timers.extend(write("f", None, TimerChange::Set(first)).timers);
    commit(storage, all).await;
    assert_eq!(due_names(storage).await, ["a", "b", "c", "d", "e", ids[0], ids[1]]);
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = storage.due_timers(after, 2).await.expect("due timers can be read").timers;
        assert!(page.len() <= 2, "the limit was not kept");
        let Some(last) = page.last() else { break };
        after = Some(last.firing());
        names.extend(page.into_iter().map(|timer| timer.name));
        assert!(names.len() <= 7, "a page repeats timers: {names:?}");
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", ids[0], ids[1]]);
}

pub(super) async fn fired_once(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    commit(&*storage, set("remind", past(1))).await;
    let firing = stored(&*storage, "remind").await.expect("the timer is stored").firing();
    let effects: Vec<_> = (0..8)
        .map(|number| {
            let (storage, batch) = (storage.clone(), write("remind", Some(firing), TimerChange::Remove));
            tokio::spawn(async move { storage.commit(batch.row(&format!("effect {number}"), 0, Some(b"1"))).await })
        })
        .collect();
    let mut committed = 0;
    for effect in effects {
        match effect.await.expect("no task panics") {
            Ok(_) => committed += 1,
            Err(CommitError::Moved(_)) => (),
            Err(other) => panic!("another refusal: {other:?}"),
        }
    }
    assert_eq!(committed, 1, "a timer was fired {committed} times");
    let mut stored_effects = 0;
    for number in 0..8 {
        stored_effects += row(&*storage, &format!("effect {number}")).await.version;
    }
    assert_eq!(stored_effects, 1);
    assert!(due_names(&*storage).await.is_empty(), "the fired timer is still due");
}

/// Of a firing and a replacement at the same time, both may be committed, the firing first; or the firing is refused.
pub(super) async fn raced(harness: Box<dyn Harness>) {
    let storage = harness.storage();
    for round in 0..20 {
        commit(&*storage, set("remind", past(round))).await;
        let firing = stored(&*storage, "remind").await.expect("the timer is stored").firing();
        let replacement = new("remind", past(round));
        let id = replacement.id;
        let fires = write("remind", Some(firing), TimerChange::Remove);
        let replaces = write("remind", None, TimerChange::Set(replacement));
        let (fires, replaces) = tokio::join!(storage.commit(fires), storage.commit(replaces));
        assert!(replaces.is_ok() && matches!(fires, Ok(_) | Err(CommitError::Moved(_))), "{fires:?} {replaces:?}");
        assert_eq!(stored(&*storage, "remind").await.map(|timer| timer.id), Some(id), "the new timer was lost");
    }
}

pub(super) async fn refusal(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, set("kept", past(1)).row("kim", 0, Some(b"1"))).await;
    let kept = stored(storage, "kept").await.expect("the timer is stored");
    let mut all = set("new", past(2)).row("kim", 0, Some(b"2"));
    all.timers.extend(write("kept", Some(kept.firing()), TimerChange::Remove).timers);
    assert!(matches!(refused(storage, all).await, CommitError::Conflict { .. }));
    assert_eq!(listed(storage, TimerPage::default()).await, [kept], "a refused batch has changed timers");
}

pub(super) async fn recurring(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, set("daily", past(1))).await;
    let first = stored(storage, "daily").await.expect("the timer is stored");
    let again = at(0) + TimeDelta::seconds(2);
    let update = || TimerChange::Update { due: again, error: None };
    commit(storage, write("daily", Some(first.firing()), update())).await;
    let second = stored(storage, "daily").await.expect("the timer is stored");
    assert_eq!(second, Timer { due: again, ..first.clone() });
    let twice = write("daily", Some(first.firing()), update());
    assert!(matches!(refused(storage, twice).await, CommitError::Moved(_)), "one time of a timer was fired twice");
    // The command can set its own timer anew, or cancel it.
    commit(storage, write("daily", Some(second.firing()), TimerChange::Set(new("daily", past(9))))).await;
    let third = stored(storage, "daily").await.expect("the timer is stored");
    assert!(third.id != second.id && third.due == at(0) + TimeDelta::seconds(9), "{third:?}");
    commit(storage, write("daily", Some(third.firing()), TimerChange::Remove)).await;
    assert!(stored(storage, "daily").await.is_none());
}

pub(super) async fn failed(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut all = batch();
    for (name, key, number) in [("first", "a", 1), ("second", "a", 2), ("other", "b", 3)] {
        all.timers.extend(write(name, None, TimerChange::Set(new(key, past(number)))).timers);
    }
    commit(storage, all).await;
    let first = stored(storage, "first").await.expect("the timer is stored");
    let error = Some("it failed".to_owned());
    let change = TimerChange::Update { due: first.due, error: error.clone() };
    commit(storage, write("first", Some(first.firing()), change)).await;
    assert_eq!(due_names(storage).await, ["other"], "a failed timer does not hold up its key alone");
    let failed = listed(storage, TimerPage { state: TimerState::Failed, ..TimerPage::default() }).await;
    assert_eq!(failed, [Timer { error, ..first.clone() }]);
    let retry = TimerChange::Update { due: first.due, error: None };
    commit(storage, write("first", Some(first.firing()), retry)).await;
    assert_eq!(due_names(storage).await, ["first", "second", "other"]);
}

pub(super) async fn pages(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let counts = async |limit| storage.timer_counts(limit).await.expect("timers can be counted");
    assert_eq!(counts(9).await, TimerCounts::default());
    for number in 1..=4 {
        commit(storage, set(&format!("past {number}"), past(number))).await;
    }
    for number in 1..=3 {
        commit(storage, set(&format!("later {number}"), DueTime::After(HOUR * number))).await;
    }
    let broken = stored(storage, "past 2").await.expect("the timer is stored");
    let change = TimerChange::Update { due: broken.due, error: Some("it failed".to_owned()) };
    commit(storage, write("past 2", Some(broken.firing()), change)).await;
    let all = ["past 1", "past 2", "past 3", "past 4", "later 1", "later 2", "later 3"];
    for (state, expected) in [
        (TimerState::All, &all[..]),
        (TimerState::Overdue, &["past 1", "past 3", "past 4"][..]),
        (TimerState::Failed, &["past 2"][..]),
    ] {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = listed(storage, TimerPage { state, after, limit: 2, name: None }).await;
            let Some(last) = page.last() else { break };
            after = Some(last.firing());
            names.extend(page.into_iter().map(|timer| timer.name));
            assert!(names.len() <= all.len(), "a page repeats timers: {names:?}");
        }
        assert_eq!(names, expected, "{state:?}");
    }
    let found = counts(9).await;
    assert_eq!((found.waiting, found.overdue, found.failed), (3, 3, 1));
    assert!(found.overdue_for > HOUR, "{found:?}");
    assert_eq!((counts(2).await.waiting, counts(2).await.overdue), (2, 2), "the limit was not kept");
}

pub(super) async fn bounds(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let century = Duration::from_secs(36_600 * 86_400);
    for due in [DueTime::After(century), DueTime::After(Duration::MAX), DueTime::At(Timestamp::MAX_UTC)] {
        let fault = refused(storage, set("far", due)).await;
        assert!(matches!(&fault, CommitError::Fault(fault) if fault.to_string().contains("100 years")), "{fault:?}");
    }
    let unfired = write("far", None, TimerChange::Update { due: at(0), error: None });
    assert!(matches!(refused(storage, unfired).await, CommitError::Fault(_)));
    let nul = refused(storage, set("n\0", past(1))).await;
    assert!(matches!(nul, CommitError::Fault(_)), "{nul:?}");
    assert!(storage.timers(&TimerPage { name: Some("n\0"), ..TimerPage::default() }).await.is_err());
    commit(storage, set("now", DueTime::After(Duration::ZERO))).await;
    commit(storage, set("", past(1))).await;
    sleep(20).await;
    assert_eq!(due_names(storage).await, ["", "now"]);
    assert!(listed(storage, TimerPage { limit: 0, ..TimerPage::default() }).await.is_empty());
}
