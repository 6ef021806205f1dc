//! Checked reads of aggregates that are deleted, and whose ids are used again.
use crate::{
    deleting::ALL,
    purse::{StoredAs, on_each, shared},
};
use cqrs_core::{
    Aggregate, App, Command, Dep, DomainError, Error, Event, EventSourced, Evolve, HandlerResult, Repo, StateStored,
    handler, storage::Storage,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("reads: the end of an aggregate is a change of it", ALL, ended);
    trials.extend(on_each("reads: the absence of a deleted aggregate is compared", ALL, absent));
    trials
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "seat", event = SeatEvent)]
struct Seat {
    #[id]
    id: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "seat", version = 1)]
enum SeatEvent {
    Taken,
    Left,
}
impl Evolve<SeatEvent> for Seat {
    fn create(id: String, _: &SeatEvent) -> Option<Self> {
        Some(Seat { id })
    }
    fn apply(&mut self, _: &SeatEvent) {}
}
#[derive(Debug, thiserror::Error, DomainError)]
enum SeatError {
    #[error("the other seat is taken")]
    #[kind(precondition)]
    OtherTaken,
    #[error("the other seat is free")]
    #[kind(precondition)]
    OtherFree,
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Take(String);
#[handler]
async fn take(Take(id): Take, seats: Repo<Seat>) -> HandlerResult<(), SeatError> {
    seats.create(id, SeatEvent::Taken)?;
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Leave(String);
#[handler]
async fn leave(Leave(id): Leave, seats: Repo<Seat>) -> HandlerResult<(), SeatError> {
    seats.delete(&id, |_| Ok(SeatEvent::Left)).await?;
    Ok(())
}
/// Takes a seat if another one is taken, or if it is free.
#[derive(Clone, Serialize, Deserialize, Command)]
struct TakeIf {
    id: String,
    other: String,
    is_taken: bool,
    is_checked: bool,
}
#[handler]
async fn take_if(command: TakeIf, seats: Repo<Seat>, meanwhile: Dep<Meanwhile>) -> HandlerResult<(), SeatError> {
    let other = match command.is_checked {
        true => seats.read_or_none(&command.other).await?,
        false => seats.find(&command.other).await?,
    };
    meanwhile.run().await;
    match other {
        Some(_) if !command.is_taken => return Err(SeatError::OtherTaken.into()),
        None if command.is_taken => return Err(SeatError::OtherFree.into()),
        _ => (),
    }
    seats.create(command.id, SeatEvent::Taken)?;
    Ok(())
}
/// Takes a seat and reads it in the same unit of work.
#[derive(Clone, Serialize, Deserialize, Command)]
struct TakeAndRead(String);
#[handler]
async fn take_and_read(
    TakeAndRead(id): TakeAndRead,
    seats: Repo<Seat>,
    meanwhile: Dep<Meanwhile>,
) -> HandlerResult<(), SeatError> {
    meanwhile.run().await;
    seats.create(id.clone(), SeatEvent::Taken)?;
    seats.read::<SeatError>(&id).await?;
    Ok(())
}

/// The changes that another app makes in the middle of the first attempt of a command.
#[derive(Default)]
struct Meanwhile {
    changes: Vec<Change>,
    app: Option<App>,
    attempts: AtomicUsize,
}
#[derive(Debug, Clone, Copy)]
enum Change {
    Take(&'static str),
    Leave(&'static str),
}
impl Meanwhile {
    async fn run(&self) {
        if self.attempts.fetch_add(1, SeqCst) > 0 {
            return;
        }
        for change in &self.changes {
            let app = self.app.as_ref().expect("the changes have an app");
            match *change {
                Change::Take(id) => app.send(Take(id.into())).await.expect("the seat is free"),
                Change::Leave(id) => app.send(Leave(id.into())).await.expect("the seat is taken"),
            }
        }
    }
}

fn app(storage: &Arc<dyn Storage>, stored_as: StoredAs, meanwhile: Arc<Meanwhile>) -> App {
    let app = App::builder("seats").discover_part(module_path!()).storage(shared(storage)).provide(meanwhile);
    let app = match stored_as {
        StoredAs::State => app.aggregate(StateStored::<Seat>::new().reuses_ids()),
        StoredAs::Events => app.aggregate(EventSourced::<Seat>::new().reuses_ids()),
        StoredAs::Snapshots(every) => app.aggregate(EventSourced::<Seat>::new().snapshot_every(every).reuses_ids()),
    };
    app.build().expect("the app builds")
}
/// Returns an app whose first attempt of a command meets these changes.
fn app_with(storage: &Arc<dyn Storage>, stored_as: StoredAs, changes: &[Change]) -> (App, Arc<Meanwhile>) {
    let rival = Some(app(storage, stored_as, Arc::default()));
    let meanwhile = Arc::new(Meanwhile { changes: changes.to_vec(), app: rival, attempts: AtomicUsize::new(0) });
    (app(storage, stored_as, meanwhile.clone()), meanwhile)
}
/// Takes a seat while these changes are made. Returns the result, and the number of attempts.
async fn take_if_meanwhile(
    storage: &Arc<dyn Storage>,
    stored_as: StoredAs,
    changes: &[Change],
    [id, other]: [&str; 2],
    is_taken: bool,
    is_checked: bool,
) -> (Result<(), Error<SeatError>>, usize) {
    let (app, meanwhile) = app_with(storage, stored_as, changes);
    let result = app.send(TakeIf { id: id.into(), other: other.into(), is_taken, is_checked }).await;
    (result, meanwhile.attempts.load(SeqCst))
}

/// Also run on PostgreSQL.
pub(crate) async fn ended(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let plain = app(&storage, stored_as, Arc::default());
    for (id, is_checked) in [("unchecked", false), ("checked", true)] {
        plain.send(Take("a".into())).await.expect("the seat is free");
        let (result, attempts) =
            take_if_meanwhile(&storage, stored_as, &[Change::Leave("a")], [id, "a"], true, is_checked).await;
        match is_checked {
            false => assert!(result.is_ok() && attempts == 1, "without a check: {result:?} in {attempts} attempts"),
            true => {
                assert!(matches!(result, Err(Error::Domain(SeatError::OtherFree))), "{result:?}");
                assert_eq!(attempts, 2);
            }
        }
    }
}

/// Also run on PostgreSQL.
pub(crate) async fn absent(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let plain = app(&storage, stored_as, Arc::default());
    plain.send(Take("b".into())).await.expect("the seat is free");
    plain.send(Leave("b".into())).await.expect("the seat is taken");
    // An absence that stays is no conflict.
    let (result, attempts) = take_if_meanwhile(&storage, stored_as, &[], ["first", "b"], false, true).await;
    assert!(result.is_ok() && attempts == 1, "{result:?} in {attempts} attempts");
    // The id is used again meanwhile.
    for (id, is_checked) in [("unchecked", false), ("checked", true)] {
        let (result, attempts) =
            take_if_meanwhile(&storage, stored_as, &[Change::Take("b")], [id, "b"], false, is_checked).await;
        match is_checked {
            false => assert!(result.is_ok() && attempts == 1, "without a check: {result:?} in {attempts} attempts"),
            true => {
                assert!(matches!(result, Err(Error::Domain(SeatError::OtherTaken))), "{result:?}");
                assert_eq!(attempts, 2);
            }
        }
        plain.send(Leave("b".into())).await.expect("the seat is taken");
    }
    // A decision relies on the absence of the aggregate that it creates.
    let (result, attempts) = take_if_meanwhile(&storage, stored_as, &[], ["b", "b"], false, true).await;
    assert!(result.is_ok() && attempts == 1, "{result:?} in {attempts} attempts");
    let between = [Change::Take("c"), Change::Leave("c")];
    let (result, attempts) = take_if_meanwhile(&storage, stored_as, &between, ["c", "c"], false, true).await;
    assert!(result.is_ok() && attempts == 2, "{result:?} in {attempts} attempts");
    // An aggregate that was created is read in the same unit of work, under a new id and under one that is used again.
    for round in 0..2 {
        let (app, meanwhile) = app_with(&storage, stored_as, &[]);
        app.send(TakeAndRead("d".into())).await.expect("the seat is free");
        assert_eq!(meanwhile.attempts.load(SeqCst), 1, "round {round}");
        plain.send(Leave("d".into())).await.expect("the seat is taken");
    }
}
