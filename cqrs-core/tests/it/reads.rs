//! A rule over two aggregates: without a checked read two concurrent commands break it, and with it they cannot.
use crate::trials::trial;
use cqrs_core::{
    Aggregate, App, Command, Dep, DomainError, Error, Event, EventSourced, Evolve, HandlerResult, Metadata, Repo,
    StateStored, handler,
    storage::{Memory, Storage},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::sync::Barrier;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one list"))]
    let mut trials = vec![
        trial("reads: memory: a rule over two aggregates holds", async || on(Memory::new).await),
        trial("reads: a conflict that lasts names the versions and the winner", lasting_conflict),
        trial("reads: a command that changes nothing checks nothing", changes_nothing),
    ];
    #[cfg(feature = "sqlite")]
    trials.push(trial("reads: sqlite: a rule over two aggregates holds", async || {
        let directory = tempfile::tempdir().expect("a temporary directory for the database");
        let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("reads.db")).await;
        let storage = storage.expect("a new database opens");
        storage.migrate().await.expect("the schema can be created");
        on(move || storage.clone()).await;
    }));
    trials
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "doctor", event = DoctorEvent)]
struct Doctor {
    #[id]
    id: String,
    on_call: bool,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "doctor", version = 1)]
enum DoctorEvent {
    CameOnCall,
    LeftCall,
}
impl Evolve<DoctorEvent> for Doctor {
    fn create(id: String, _: &DoctorEvent) -> Option<Self> {
        Some(Doctor { id, on_call: true })
    }
    fn apply(&mut self, event: &DoctorEvent) {
        self.on_call = matches!(event, DoctorEvent::CameOnCall);
    }
}
#[derive(Debug, thiserror::Error, DomainError)]
enum DoctorError {
    #[error("the colleague is not on call")]
    #[kind(precondition)]
    LastOnCall,
    #[error("the colleague is on call")]
    #[kind(precondition)]
    ColleagueOnCall,
}

/// Lets the first two commands wait for each other after their reads, so that each has read before the other one commits.
struct Meeting {
    calls: AtomicUsize,
    barrier: Barrier,
}
impl Meeting {
    fn new() -> Arc<Self> {
        Arc::new(Meeting { calls: AtomicUsize::new(0), barrier: Barrier::new(2) })
    }
    async fn meet(&self) {
        if self.calls.fetch_add(1, SeqCst) < 2 {
            self.barrier.wait().await;
        }
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct ComeOnCall(String);
#[handler]
async fn come_on_call(command: ComeOnCall, doctors: Repo<Doctor>) -> HandlerResult<(), DoctorError> {
    doctors.create(command.0, DoctorEvent::CameOnCall)?;
    Ok(())
}
/// Leaves the call if the colleague stays, with a checked read of the colleague or without.
#[derive(Clone, Serialize, Deserialize, Command)]
struct LeaveCall {
    id: String,
    colleague: String,
    is_checked: bool,
}
#[handler]
async fn leave_call(
    command: LeaveCall,
    doctors: Repo<Doctor>,
    meeting: Dep<Meeting>,
) -> HandlerResult<(), DoctorError> {
    let colleague = match command.is_checked {
        true => doctors.read(&command.colleague).await?,
        false => doctors.get(&command.colleague).await?,
    };
    meeting.meet().await;
    let leave = |_: &Doctor| if colleague.on_call { Ok(DoctorEvent::LeftCall) } else { Err(DoctorError::LastOnCall) };
    doctors.update(&command.id, leave).await?;
    Ok(())
}
/// Comes on call if the colleague does not exist, with a checked absence or without.
#[derive(Clone, Serialize, Deserialize, Command)]
struct ComeAlone {
    id: String,
    colleague: String,
    is_checked: bool,
}
#[handler]
async fn come_alone(
    command: ComeAlone,
    doctors: Repo<Doctor>,
    meeting: Dep<Meeting>,
) -> HandlerResult<(), DoctorError> {
    let colleague = match command.is_checked {
        true => doctors.read_or_none(&command.colleague).await?,
        false => doctors.find(&command.colleague).await?,
    };
    meeting.meet().await;
    if colleague.is_some() {
        return Err(DoctorError::ColleagueOnCall.into());
    }
    doctors.create(command.id, DoctorEvent::CameOnCall)?;
    Ok(())
}

/// Runs both rules with both kinds of persistence, each with the checked read and without it.
pub(crate) async fn on<S: Storage>(storage: impl Fn() -> S) {
    for (is_state_stored, is_checked) in [(true, false), (true, true), (false, false), (false, true)] {
        let app = |meeting| {
            let app = App::builder("reads").discover_part(module_path!()).storage(storage()).provide(meeting);
            let app = app.provide(Arc::new(Rival::default()));
            let app = match is_state_stored {
                true => app.aggregate(StateStored::<Doctor>::new()),
                false => app.aggregate(EventSourced::<Doctor>::new()),
            };
            app.build().expect("the app builds")
        };
        let ids = || (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
        let both = if is_checked { 1 } else { 2 };
        let name = format!("state-stored: {is_state_stored}, checked: {is_checked}");

        let (app_of_changes, (one, other)) = (app(Meeting::new()), ids());
        for id in [&one, &other] {
            app_of_changes.send(ComeOnCall(id.clone())).await.expect("the doctor is new");
        }
        let leave = |id: &String, colleague: &String| {
            app_of_changes.send(LeaveCall { id: id.clone(), colleague: colleague.clone(), is_checked })
        };
        let left = tokio::join!(leave(&one, &other), leave(&other, &one));
        let left = [left.0, left.1];
        assert_eq!(left.iter().filter(|result| result.is_ok()).count(), both, "{name}: {left:?}");
        let refused = left.iter().flat_map(|result| result.as_ref().err());
        refused.for_each(|error| assert!(matches!(error, Error::Domain(DoctorError::LastOnCall)), "{name}: {error}"));

        let (app_of_absence, (one, other)) = (app(Meeting::new()), ids());
        let come = |id: &String, colleague: &String| {
            app_of_absence.send(ComeAlone { id: id.clone(), colleague: colleague.clone(), is_checked })
        };
        let came = tokio::join!(come(&one, &other), come(&other, &one));
        let came = [came.0, came.1];
        assert_eq!(came.iter().filter(|result| result.is_ok()).count(), both, "{name}, absence: {came:?}");
        let refused = came.iter().flat_map(|result| result.as_ref().err());
        refused.for_each(|error| {
            assert!(matches!(error, Error::Domain(DoctorError::ColleagueOnCall)), "{name}, absence: {error}");
        });
    }
}

/// Changes the doctor by another app while the handler runs, in every attempt.
#[derive(Clone, Serialize, Deserialize, Command)]
struct Outrun(String);
#[handler]
async fn outrun(command: Outrun, doctors: Repo<Doctor>, rival: Dep<Rival>) -> HandlerResult<(), DoctorError> {
    doctors.read(&command.0).await?;
    rival.toggle(command.0).await?;
    doctors.create("new".into(), DoctorEvent::CameOnCall)?;
    Ok(())
}
#[derive(Default)]
struct Rival {
    app: Option<App>,
    correlation: Uuid,
}
impl Rival {
    async fn toggle(&self, id: String) -> HandlerResult<(), DoctorError> {
        let app = self.app.as_ref().expect("this app has a rival");
        app.with(Metadata::default().caused_by(Uuid::nil(), Some(self.correlation))).send(Toggle(id)).await
    }
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Toggle(String);
#[handler]
async fn toggle(command: Toggle, doctors: Repo<Doctor>) -> HandlerResult<(), DoctorError> {
    doctors.update(&command.0, |_| Ok(DoctorEvent::LeftCall)).await?;
    Ok(())
}

async fn lasting_conflict() {
    let (memory, correlation) = (Memory::new(), Uuid::now_v7());
    let builder = || {
        let app = App::builder("reads").discover_part(module_path!()).storage(memory.clone());
        app.aggregate(StateStored::<Doctor>::new()).provide(Meeting::new())
    };
    let app = builder().provide(Arc::new(Rival::default())).build().expect("the app builds");
    app.send(ComeOnCall("kim".into())).await.expect("the doctor is new");
    let app = builder().provide(Arc::new(Rival { app: Some(app), correlation })).build().expect("the app builds");
    let error = app.send(Outrun("kim".into())).await.expect_err("each attempt meets a conflict");
    let Error::Conflict { what, versions: Some(versions) } = &error else { panic!("{error:?}") };
    assert_eq!((&**what, versions.winner), ("doctor/kim", Some(correlation)));
    assert_eq!((versions.expected, versions.found), (16, 17), "the last of sixteen attempts");
    assert_eq!(
        error.to_string(),
        format!(
            "doctor/kim was changed by another request at the same time (expected version 16, found 17, written by the \
             request with correlation id {correlation}); try again"
        )
    );
    assert!(memory.row("doctor", "new", None).await.expect("memory responds").found.state.is_none());
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct OnlyRead(String);
#[handler]
async fn only_read(command: OnlyRead, doctors: Repo<Doctor>, rival: Dep<Rival>) -> HandlerResult<bool, DoctorError> {
    let doctor = doctors.read(&command.0).await?;
    rival.toggle(command.0).await?;
    Ok(doctor.on_call)
}
async fn changes_nothing() {
    let memory = Memory::new();
    let builder = || {
        let app = App::builder("reads").discover_part(module_path!()).storage(memory.clone());
        app.aggregate(StateStored::<Doctor>::new()).provide(Meeting::new())
    };
    let app = builder().provide(Arc::new(Rival::default())).build().expect("it builds");
    app.send(ComeOnCall("kim".into())).await.expect("the doctor is new");
    let app = builder()
        .provide(Arc::new(Rival { app: Some(app), correlation: Uuid::nil() }))
        .build()
        .expect("the app builds");
    assert!(app.send(OnlyRead("kim".into())).await.expect("nothing is committed that could be refused"));
}
