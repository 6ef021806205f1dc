//! Personal data: values that are unreadable in every place once their subject is forgotten.
use crate::{
    bank::until,
    listener::lock,
    logs::{Lines, logged_trial},
    processes::settled,
    trials::{trial, trial_on_one_thread},
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Error, ErrorKind, EventSourced, Metadata, Position, Secret, StateStored, Timestamp,
    app::PersonalError,
    personal::{MasterKeys, MissingMasterKey, PersonalData},
    storage::{Batch, CommitError, KeyStore, Memory, ReadLimit, Storage, TimerPage},
    testing::{StorageLayer, TestApp, VirtualTime},
};
use libtest_mimic::Trial;
use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        logged_trial("personal: no log line, error or debug output shows a personal value", logged),
        trial("personal: a forgotten subject reads as its placeholders: memory", || async {
            forgotten(Memory::new()).await;
        }),
        trial("personal: a value of a forgotten subject is refused, and stored after it is admitted again", || async {
            comes_back(Memory::new()).await;
        }),
        trial("personal: forgetting can be repeated, and goes on after an interruption", interrupted),
        trial("personal: a failure in the middle is repaired by a repetition", failed),
        trial("personal: events that are projected afterwards are erased in the view", behind),
        trial_on_one_thread(
            "personal: a flow holds no readable value while it waits, and goes on after its subject is forgotten",
            flow,
        ),
        trial("personal: another service forgets the subject as well", shared),
        trial("personal: a unique personal value is reserved as a keyed hash, and released", unique),
        trial("personal: a response that was stored before is unreadable afterwards", response),
        trial("personal: the export has every value of the subject and none of another", export),
        trial("personal: master keys are rotated, and a missing one refuses the start", rotation),
        trial("personal: an app with personal fields and without keys is not built", unbuilt),
        trial("personal: a value whose key is unknown stops only its own stream", unknown_key),
        #[cfg(feature = "sqlite")]
        trial("personal: no value is readable in a SQLite file or its WAL", sqlite::canary),
    ]
}

pub(crate) const MEMBERS: &str = members::MODULE;
/// Texts that occur nowhere but in personal values.
pub(crate) const EMAIL: &str = "canary-2f9a@example.org";
pub(crate) const NAME: &str = "Canary Kim 7d31";
pub(crate) const NOTE: &str = "canary note 88e0";
pub(crate) const STREET: &str = "canary street 5b1c";
pub(crate) const CANARIES: [&str; 4] = [EMAIL, NAME, NOTE, STREET];
const ERASED: &str = "(erased)";

pub(crate) mod members {
    use super::{NOTE, STREET};
    use cqrs_core::{
        Aggregate, Change, Command, Event, Evolve, HandlerResult, Infallible, IntegrationEvent, Query, Recorded, Repo,
        View, Views, handler,
        personal::{Personal, PersonalFields},
        projection, publish,
    };
    use serde::{Deserialize, Serialize};
    pub(crate) const MODULE: &str = module_path!();

    /// A value inside of an event, a state and a view.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, PersonalFields)]
    pub(crate) struct Address {
        pub(crate) owner: String,
        #[personal(subject = owner, erased = "(erased)")]
        pub(crate) street: Personal<String>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "member", event = MemberEvent)]
    pub(crate) struct Member {
        #[id]
        pub(crate) id: String,
        #[unique]
        #[personal(subject = id)]
        pub(crate) email: Personal<String>,
        #[personal(subject = id, erased = "(erased)")]
        pub(crate) name: Personal<String>,
        #[personal(fields)]
        pub(crate) addresses: Vec<Address>,
        pub(crate) visits: u32,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "member", version = 1)]
    pub(crate) enum MemberEvent {
        Joined {
            id: String,
            #[personal(subject = id)]
            email: Personal<String>,
            #[personal(subject = id, erased = "(erased)")]
            name: Personal<String>,
            #[personal(fields)]
            address: Address,
        },
        Visited,
        Renamed {
            id: String,
            #[personal(subject = id, erased = "(erased)")]
            name: Personal<String>,
        },
    }
    impl Evolve<MemberEvent> for Member {
        fn create(id: String, event: &MemberEvent) -> Option<Self> {
            let MemberEvent::Joined { email, name, address, .. } = event else { return None };
            let (email, name, addresses) = (email.clone(), name.clone(), vec![address.clone()]);
            Some(Member { id, email, name, addresses, visits: 0 })
        }
        fn apply(&mut self, event: &MemberEvent) {
            match event {
                MemberEvent::Joined { .. } => (),
                MemberEvent::Visited => self.visits += 1,
                MemberEvent::Renamed { name, .. } => self.name.clone_from(name),
            }
        }
    }

    /// An event-sourced aggregate with snapshots.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "diary", event = Noted)]
    pub(crate) struct Diary {
        #[id]
        pub(crate) member: String,
        #[personal(subject = member)]
        pub(crate) last: Option<Personal<String>>,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "noted", version = 1)]
    pub(crate) struct Noted {
        pub(crate) member: String,
        #[personal(subject = member)]
        pub(crate) note: Option<Personal<String>>,
    }
    impl Evolve<Noted> for Diary {
        fn create(member: String, event: &Noted) -> Option<Self> {
            Some(Diary { member, last: event.note.clone() })
        }
        fn apply(&mut self, event: &Noted) {
            self.last.clone_from(&event.note);
        }
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Join {
        pub(crate) id: String,
        #[personal(subject = id)]
        pub(crate) email: Personal<String>,
        #[personal(subject = id)]
        pub(crate) name: Personal<String>,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Welcome(pub(crate) Personal<String>);
    #[handler]
    async fn join(command: Join, members: Repo<Member>, diaries: Repo<Diary>) -> HandlerResult<Welcome> {
        let Join { id, email, name } = command;
        let address = Address { owner: id.clone(), street: STREET.into() };
        let joined = MemberEvent::Joined { id: id.clone(), email, name: name.clone(), address };
        members.create(id.clone(), joined)?;
        let note = Noted { member: id.clone(), note: Some(NOTE.into()) };
        diaries.create(id, note)?;
        Ok(Welcome(name))
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Visit(pub(crate) String);
    #[handler]
    async fn visit(command: Visit, members: Repo<Member>) -> HandlerResult<Member> {
        members.update(&command.0, |_| Ok::<_, Infallible>(MemberEvent::Visited)).await
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Rename {
        pub(crate) id: String,
        #[personal(subject = id)]
        pub(crate) name: Personal<String>,
    }
    #[handler]
    async fn rename(command: Rename, members: Repo<Member>) -> HandlerResult<()> {
        let Rename { id, name } = command;
        let renamed = MemberEvent::Renamed { id: id.clone(), name };
        members.update(&id, |_| Ok::<_, Infallible>(renamed)).await?;
        Ok(())
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Reread(pub(crate) String);
    #[handler]
    async fn reread(command: Reread, diaries: Repo<Diary>) -> HandlerResult<bool> {
        Ok(diaries.get(&command.0).await?.last.is_some())
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "badge", key = String)]
    #[index(by_visits(-visits))]
    pub(crate) struct Badge {
        pub(crate) member: String,
        #[personal(subject = member, erased = "(erased)")]
        pub(crate) name: Personal<String>,
        #[personal(fields)]
        pub(crate) address: Option<Address>,
        pub(crate) visits: u32,
    }
    #[projection(name = "badge")]
    fn badge(event: &Recorded<MemberEvent>) -> Change<Badge> {
        let id = event.aggregate_id.clone();
        match event.event.clone() {
            MemberEvent::Joined { name, address, .. } => {
                Badge { member: id.clone(), name, address: Some(address), visits: 0 }.put(id)
            }
            MemberEvent::Visited => Badge::update(id, |badge| badge.visits += 1),
            MemberEvent::Renamed { name, .. } => Badge::update(id, move |badge| badge.name = name),
        }
    }
    #[derive(Debug, Clone, Query)]
    pub(crate) struct FindBadge(pub(crate) String);
    #[handler]
    async fn find_badge(query: FindBadge, badges: Views<Badge>) -> HandlerResult<Option<Badge>, Infallible> {
        Ok(badges.find(&query.0).await?)
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "com.example.member.joined.v1", topic = "member.events.v1", key = member)]
    pub(crate) struct MemberJoined {
        pub(crate) member: String,
        #[personal(subject = member)]
        pub(crate) email: Personal<String>,
    }
    #[publish]
    fn joined(event: &Recorded<MemberEvent>) -> Option<MemberJoined> {
        match &event.event {
            MemberEvent::Joined { id, email, .. } => Some(MemberJoined { member: id.clone(), email: email.clone() }),
            _ => None,
        }
    }
}
use members::{Badge, Diary, FindBadge, Join, Member, MemberJoined, Rename, Reread, Visit, Welcome};

/// A subscriber that can handle no message, so that each is parked with its record.
pub(crate) mod refusing {
    use super::MemberJoined;
    use cqrs_core::{BoxError, Recorded, permanent, subscriber};
    pub(crate) const MODULE: &str = module_path!();
    #[subscriber(group = "members.refusing")]
    async fn refuse(event: Recorded<MemberJoined>) -> Result<(), BoxError> {
        assert!(!event.email.is_empty(), "the message is decrypted");
        Err(permanent("seeded: the message is refused"))
    }
}

/// A flow that holds personal values while it waits: in its state, in a scheduled command, and in the commands that undo
/// its steps.
pub(crate) mod welcoming {
    use super::members::MemberEvent;
    use crate::listener::lock;
    use cqrs_core::{
        Command, Dep, HandlerResult, Process, Reaction, Recorded, RemoteCommand, handler, personal::Personal, process,
    };
    use serde::{Deserialize, Serialize};
    use std::{sync::Mutex, time::Duration};
    pub(crate) const MODULE: &str = module_path!();
    pub(crate) const NAME: &str = "members.welcome";

    /// The names in the commands that were carried out.
    #[derive(Debug, Default)]
    pub(crate) struct Greetings(pub(crate) Mutex<Vec<String>>);

    macro_rules! greeting {
        ($command:ident, $function:ident) => {
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Command)]
            pub(crate) struct $command {
                member: String,
                #[personal(subject = member, erased = "(erased)")]
                name: Personal<String>,
            }
            #[handler]
            async fn $function(command: $command, greetings: Dep<Greetings>) -> HandlerResult<()> {
                lock(&greetings.0).push(command.name.into_inner());
                Ok(())
            }
        };
    }
    greeting!(Greet, greet);
    greeting!(Apologise, apologise);
    greeting!(Remind, remind);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, RemoteCommand)]
    #[remote_command(name = "com.example.mail.welcome.v1", topic = "member.mail.v1", key = member)]
    pub(crate) struct SendWelcome {
        member: String,
        #[personal(subject = member)]
        email: Personal<String>,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, RemoteCommand)]
    #[remote_command(name = "com.example.mail.recall.v1", topic = "member.mail.v1", key = member)]
    pub(crate) struct RecallWelcome {
        member: String,
        #[personal(subject = member)]
        email: Personal<String>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
    #[process(name = "members.welcome", version = 1)]
    #[step(Greet, undone_by = Apologise)]
    #[step(Remind, irreversible)]
    #[remote_step(SendWelcome, undone_by = RecallWelcome)]
    pub(crate) enum Welcoming {
        #[deadline(secs = 7_200, then = late)]
        Waiting {
            member: String,
            #[personal(subject = member, erased = "(erased)")]
            name: Personal<String>,
        },
    }
    #[process(key = aggregate_id, unexpected = "starts", then = "Waiting", from = "beginning")]
    fn joined(event: &Recorded<MemberEvent>) -> Reaction<Welcoming> {
        let MemberEvent::Joined { id: member, email, name, .. } = event.event.clone() else { return Reaction::none() };
        let greet = Greet { member: member.clone(), name: name.clone() };
        let apologise = Apologise { member: member.clone(), name: name.clone() };
        let remind = Remind { member: member.clone(), name: name.clone() };
        let send = SendWelcome { member: member.clone(), email: email.clone() };
        let recall = RecallWelcome { member: member.clone(), email };
        Reaction::to(Welcoming::Waiting { member, name }).step(greet, apologise).remote_step(send, recall).later(
            "remind",
            Duration::from_secs(3_600),
            remind,
        )
    }
    fn late(_: Welcoming) -> Reaction<Welcoming> {
        Reaction::end().compensate()
    }
}

/// Another service, with a view of the members' addresses.
mod mailing {
    use super::MemberJoined;
    use cqrs_core::{
        BoxError, Change, Dep, HandlerResult, Infallible, Query, Recorded, View, Views,
        app::Erasure,
        handler,
        personal::{Personal, SubjectForgotten},
        projection, subscriber,
    };
    use serde::{Deserialize, Serialize};
    pub(crate) const MODULE: &str = module_path!();
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "recipient", key = String)]
    pub(crate) struct Recipient {
        pub(crate) member: String,
        #[personal(subject = member)]
        pub(crate) email: Personal<String>,
    }
    #[projection(name = "recipient")]
    fn recipient(event: &MemberJoined) -> Change<Recipient> {
        let MemberJoined { member, email } = event.clone();
        Recipient { member: member.clone(), email }.put(member)
    }
    #[derive(Debug, Clone, Query)]
    pub(crate) struct FindRecipient(pub(crate) String);
    #[handler]
    async fn find_recipient(
        query: FindRecipient,
        recipients: Views<Recipient>,
    ) -> HandlerResult<Option<Recipient>, Infallible> {
        Ok(recipients.find(&query.0).await?)
    }
    #[subscriber(group = "mailing.forgets")]
    async fn forget(event: Recorded<SubjectForgotten>, erasure: Dep<Erasure>) -> Result<(), BoxError> {
        erasure.forget(&event.subject).await?;
        Ok(())
    }
}
use mailing::{FindRecipient, Recipient};

const KEY_A: &str = "a:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const KEY_B: &str = "b:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

fn masters(text: &str) -> MasterKeys {
    MasterKeys::parse(&Secret::new(text)).expect("the keys are well formed")
}
/// The service of the members, with its keys in its own storage.
pub(crate) fn service(storage: impl Storage) -> AppBuilder {
    with(storage, PersonalData::new(masters(KEY_A)))
}
fn with(storage: impl Storage, personal: PersonalData) -> AppBuilder {
    let app = App::builder("members").discover_part(MEMBERS).storage(storage).personal_data(personal);
    app.aggregate(StateStored::<Member>::new()).aggregate(EventSourced::<Diary>::new().snapshot_every(1))
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(app).await.expect("the app starts")
}
fn join_as(id: &str, email: &str) -> Join {
    Join { id: id.into(), email: email.into(), name: NAME.into() }
}
async fn joined(app: &App, id: &str, email: &str) -> Welcome {
    let metadata = Metadata::default().key(format!("join {id}"));
    app.with(metadata).send(join_as(id, email)).await.expect("the member joins")
}
async fn badge(app: &App, id: &str) -> Badge {
    app.send(FindBadge(id.into())).await.expect("the view can be read").expect("there is a badge")
}
async fn visited(app: &App, id: &str) -> Member {
    app.send(Visit(id.into())).await.expect("the visit is stored")
}
async fn forget(app: &App, subject: &str) -> cqrs_core::app::Forgotten {
    app.forget(subject, &Metadata::default().caller("operator")).await.expect("the subject is forgotten")
}

/// Writes a canary into every kind of place, searches all of them, forgets, and searches again. `found` returns the
/// canaries that are readable in the database.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn canary(storage: impl Storage + Clone, found: impl AsyncFn(&str) -> Vec<String>) {
    let app = service(storage).discover_part(refusing::MODULE).discover_part(welcoming::MODULE);
    let app = started(app.provide(Arc::<welcoming::Greetings>::default())).await;
    let welcome = joined(&app, "kim", EMAIL).await;
    assert_eq!(welcome, Welcome(NAME.into()));
    assert_eq!(joined(&app, "kim", EMAIL).await, welcome, "the stored response is decrypted");
    app.settle().await;
    let (badge, member) = (badge(&app, "kim").await, visited(&app, "kim").await);
    assert_eq!((badge.name.as_str(), member.email.as_str()), (NAME, EMAIL));
    assert_eq!(badge.address.map(|address| address.street.into_inner()).as_deref(), Some(STREET));
    let parked = app.parked().show("members.refusing", "kim", 0, 9).await.expect("parked messages can be read");
    assert_eq!(parked.len(), 1, "the message is parked with its record");
    app.settle().await;
    assert_eq!(found("before").await, [""; 0], "a value is stored readable");
    let report = forget(&app, "kim").await;
    assert_eq!((report.keys, report.failures.len()), (1, 0), "{report:?}");
    assert_eq!(report.views.iter().map(|view| (&*view.view, view.values)).collect::<Vec<_>>(), [("badge", 1)]);
    app.settle().await;
    assert_erased(&app).await;
    assert_eq!(found("after").await, [""; 0], "a value is stored readable");
    assert!(app.stop().await);
}
async fn assert_erased(app: &App) {
    let (badge, member) = (badge(app, "kim").await, visited(app, "kim").await);
    assert_eq!(
        (badge.name.as_str(), badge.address.map(|address| address.street.into_inner())),
        (ERASED, Some(ERASED.into()))
    );
    assert_eq!(
        (member.name.as_str(), member.email.as_str(), member.addresses[0].street.as_str()),
        (ERASED, "", ERASED)
    );
    assert!(!app.send(Reread("kim".into())).await.expect("the diary can be read"), "the note is still there");
    assert!(app.export("kim", &Metadata::default()).await.expect("the export is empty").values.is_empty());
}

/// Two processes on one database: the second one has cached the key.
#[cfg(feature = "postgres")]
pub(crate) async fn two_processes(first: impl Storage, second: impl Storage) {
    let (first, second) = (started(service(first)).await, started(service(second)).await);
    joined(&first, "kim", EMAIL).await;
    assert_eq!(visited(&second, "kim").await.name.as_str(), NAME);
    forget(&first, "kim").await;
    until("the other process has dropped the key", async || visited(&second, "kim").await.name.as_str() == ERASED)
        .await;
    first.settle().await;
    assert_erased(&first).await;
    assert_erased(&second).await;
    let rename = Rename { id: "kim".into(), name: "Kim again".into() };
    assert!(second.send(rename).await.is_err(), "the subject is forgotten");
    assert!(first.stop().await && second.stop().await);
}

async fn forgotten(storage: impl Storage + Clone) {
    let app = started(service(storage.clone())).await;
    joined(&app, "kim", EMAIL).await;
    joined(&app, "lee", "lee@example.org").await;
    app.settle().await;
    forget(&app, "kim").await;
    app.settle().await;
    assert_erased(&app).await;
    assert_eq!(badge(&app, "lee").await.name.as_str(), NAME, "another subject keeps its values");
    assert_eq!(visited(&app, "lee").await.email.as_str(), "lee@example.org");
    assert!(app.stop().await);
    // Another process reads the same.
    let app = started(service(storage)).await;
    assert_erased(&app).await;
    assert!(app.stop().await);
}

async fn comes_back(storage: impl Storage + Clone) {
    let app = started(service(storage)).await;
    joined(&app, "kim", EMAIL).await;
    forget(&app, "kim").await;
    let rename = || Rename { id: "kim".into(), name: "Kim again".into() };
    let error = app.send(rename()).await.expect_err("the subject is forgotten");
    assert!(matches!(&error, Error::Rejected(rejection) if rejection.kind() == ErrorKind::Invalid), "{error:?}");
    assert!(error.to_string().contains("forgotten") && !error.to_string().contains("Kim"), "{error}");
    assert!(matches!(app.admit_again("lee").await, Err(PersonalError::NotForgotten)));
    app.admit_again("kim").await.expect("the subject comes back");
    assert!(matches!(app.admit_again("kim").await, Err(PersonalError::NotForgotten)));
    app.send(rename()).await.expect("it has a new key");
    let member = visited(&app, "kim").await;
    assert_eq!((member.name.as_str(), member.email.as_str()), ("Kim again", ""), "former values stay erased");
    assert_eq!(forget(&app, "kim").await.keys, 1);
    assert_eq!(visited(&app, "kim").await.name.as_str(), ERASED);
    assert!(app.stop().await);
}

async fn interrupted() {
    let memory = Memory::new();
    let app = started(service(memory.clone())).await;
    joined(&app, "kim", EMAIL).await;
    joined(&app, "lee", "lee@example.org").await;
    app.settle().await;
    let first = forget(&app, "kim").await;
    assert!(first.keys == 1 && first.position.is_some() && !first.is_published, "{first:?}");
    let second = forget(&app, "kim").await;
    assert!(second.keys == 0 && second.position.is_none() && second.views.is_empty(), "{second:?}");
    for bad in ["", "a\0b", "cqrs/hashes"] {
        let refused = app.forget(bad, &Metadata::default()).await;
        assert!(matches!(refused, Err(PersonalError::InvalidSubject(_))), "{refused:?}");
    }
    assert!(app.stop().await);
    // The process has ended before it removed the keys, and before it wrote the views again.
    for subject in ["kim", "lee"] {
        let noted = memory.replace_note(&format!("forget/{subject}"), None, Some("begun")).await;
        assert!(noted.expect("a note can be stored"));
    }
    let app = started(service(memory.clone())).await;
    until("the next start goes on", async || memory.notes("forget/").await.expect("the notes can be read").is_empty())
        .await;
    app.settle().await;
    assert_eq!(badge(&app, "lee").await.name.as_str(), ERASED);
    assert!(app.stop().await);
}

/// A storage that refuses the first commit of a kind.
#[derive(Clone)]
struct RefusesOnce {
    memory: Memory,
    refuses: fn(&Batch) -> bool,
    has_refused: Arc<AtomicBool>,
}
impl RefusesOnce {
    fn new(refuses: fn(&Batch) -> bool) -> Self {
        RefusesOnce { memory: Memory::new(), refuses, has_refused: Arc::default() }
    }
}
#[async_trait]
impl StorageLayer for RefusesOnce {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if (self.refuses)(&batch) && !self.has_refused.swap(true, SeqCst) {
            return Err(CommitError::unavailable("seeded: the database is down"));
        }
        self.memory.commit(batch).await
    }
}

async fn failed() {
    let is_rewrite = |batch: &Batch| !batch.views.is_empty() && batch.checkpoint_moves.is_empty();
    let storage = RefusesOnce::new(is_rewrite);
    let app = started(service(storage.clone())).await;
    joined(&app, "kim", EMAIL).await;
    app.settle().await;
    let failed = app.forget("kim", &Metadata::default()).await;
    assert!(matches!(&failed, Err(PersonalError::Fault(fault)) if fault.is_transient()), "{failed:?}");
    assert_eq!(badge(&app, "kim").await.name.as_str(), ERASED, "the keys are gone before");
    let again = forget(&app, "kim").await;
    assert_eq!((again.keys, again.position, again.views.len()), (0, None, 1), "{again:?}");
    assert!(app.stop().await);
    // With a store of its own the keys go first, and the event follows in the repetition.
    let is_event = |batch: &Batch| batch.events.iter().any(|event| event.name == "cqrs.subject_forgotten");
    let storage = RefusesOnce::new(is_event);
    let personal = PersonalData::with_keys(Memory::new(), masters(KEY_A)).publish_erasures();
    let app = started(with(storage.clone(), personal)).await;
    joined(&app, "kim", EMAIL).await;
    assert!(app.forget("kim", &Metadata::default()).await.is_err());
    let again = forget(&app, "kim").await;
    assert!(again.keys == 0 && again.position.is_some() && again.is_published, "{again:?}");
    assert!(forget(&app, "kim").await.position.is_none(), "the event is committed once");
    assert!(app.stop().await);
}

async fn behind() {
    let memory = Memory::new();
    // Without background jobs nothing is projected.
    let app = service(memory.clone()).build().expect("the app builds");
    app.migrate().await.expect("the database can be used");
    joined(&app, "kim", EMAIL).await;
    assert_eq!(forget(&app, "kim").await.views, []);
    let app = started(service(memory)).await;
    app.settle().await;
    assert_eq!(badge(&app, "kim").await.name.as_str(), ERASED);
    assert!(app.stop().await);
}

async fn flow() {
    let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
    let (memory, greetings) = (Memory::with(Arc::new(time.clone())), Arc::<welcoming::Greetings>::default());
    let app = service(memory.clone()).discover_part(welcoming::MODULE).provide(greetings.clone());
    let app = app.environment(Arc::new(time.clone())).build().expect("the app builds");
    app.migrate().await.expect("the database can be used");
    joined(&app, "kim", EMAIL).await;
    settled(&app).await;
    assert_eq!(*lock(&greetings.0), [NAME], "the command of the first step is decrypted");
    // The commands that wait, the instance with those that undo its steps, and the messages to other services.
    let stored = async || {
        let timers = memory.timers(&TimerPage::default()).await.expect("timers are read");
        let row = memory.row("process:members.welcome", "kim", None).await.expect("the instance is read");
        let log = memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(99)).await.expect("the log is read");
        let messages = log.into_iter().filter_map(|entry| entry.outgoing).map(|message| message.body);
        let bytes = timers.into_iter().map(|timer| timer.body).chain(row.found.state).chain(messages);
        bytes.map(|bytes| String::from_utf8(bytes).expect("it is text")).collect::<Vec<_>>()
    };
    let before = stored().await;
    // The later command, the instance, the message of the publisher, and the command to another service.
    assert_eq!(before.iter().filter(|text| text.contains("$sealed")).count(), 4, "{before:?}");
    assert!(!CANARIES.iter().any(|canary| before.iter().any(|text| text.contains(canary))), "{before:?}");
    let shown = app.processes().show(welcoming::NAME, "kim", 9).await.expect("the instance is read");
    assert_eq!(shown.expect("there is an instance").value["Waiting"]["name"], NAME, "an operator sees the state");
    forget(&app, "kim").await;
    for _ in 0..2 {
        time.advance(Duration::from_secs(3_600));
        settled(&app).await;
    }
    assert_eq!(*lock(&greetings.0), [NAME, ERASED, ERASED], "the reminder, and the command that undoes a step");
    let after = stored().await;
    assert_eq!(after.last().map(String::as_str), Some(r#"{"member":"kim","email":""}"#), "{after:?}");
}

async fn shared() {
    let keys = Memory::new();
    let personal = || PersonalData::with_keys(keys.clone(), masters(KEY_A)).publish_erasures();
    let mailing = App::builder("mailing").discover_part(mailing::MODULE).personal_data(personal());
    let apps = TestApp::start_all([with(Memory::new(), personal()), mailing]).await;
    let [members, mailing] = apps.expect("the apps start");
    joined(&members, "kim", EMAIL).await;
    members.settle().await;
    let recipient = async || -> Recipient {
        mailing.send(FindRecipient("kim".into())).await.expect("the view can be read").expect("there is one")
    };
    assert_eq!(recipient().await.email.as_str(), EMAIL, "the message is decrypted with the shared key");
    let report = forget(&members, "kim").await;
    assert!(report.is_published && report.position.is_some(), "{report:?}");
    members.settle().await;
    assert_eq!(recipient().await.email.as_str(), "");
    let values = mailing.storage().view_values_after("recipient", None, 9).await.expect("values can be read");
    let value = String::from_utf8(values[0].value.clone().expect("there is a value")).expect("it is text");
    assert_eq!(value, r#"{"member":"kim","email":""}"#, "the view is written again");
    assert!(members.stop().await && mailing.stop().await);
}

async fn unique() {
    let app = started(service(Memory::new())).await;
    joined(&app, "kim", EMAIL).await;
    let error = app.send(join_as("lee", EMAIL)).await.expect_err("the address is taken");
    assert!(matches!(&error, Error::Taken { index, value } if index == "member.email" && value == "***"), "{error:?}");
    let report = forget(&app, "kim").await;
    assert_eq!(report.released, 1, "{report:?}");
    app.send(join_as("lee", EMAIL)).await.expect("the address is free");
    // Two forgotten members do not collide in their placeholder.
    forget(&app, "lee").await;
    app.send(join_as("park", EMAIL)).await.expect("the address is free");
    assert!(app.stop().await);
}

async fn response() {
    let app = started(service(Memory::new())).await;
    joined(&app, "kim", EMAIL).await;
    let again = async |name: &str| {
        let join = Join { name: name.into(), ..join_as("kim", EMAIL) };
        app.with(Metadata::default().key("join kim")).send(join).await
    };
    assert!(matches!(again("other").await, Err(Error::KeyReused)), "the keyed fingerprint differs");
    forget(&app, "kim").await;
    let error = again(NAME).await.expect_err("the response is erased");
    assert!(matches!(error, Error::ResponseUnreadable), "{error:?}");
    assert!(app.stop().await);
}

async fn export() {
    let app = started(service(Memory::new())).await;
    joined(&app, "kim", EMAIL).await;
    joined(&app, "lee", "lee@example.org").await;
    app.settle().await;
    let export = app.export("kim", &Metadata::default()).await.expect("the data can be read");
    let found = |kind: &str, name: &str, field: &str| {
        let value = export.values.iter().find(|value| (value.kind, &*value.name, &*value.field) == (kind, name, field));
        value.and_then(|value| value.value.as_str()).map(str::to_owned)
    };
    assert_eq!(found("event", "member.joined", "email").as_deref(), Some(EMAIL));
    assert_eq!(found("event", "noted", "note").as_deref(), Some(NOTE));
    assert_eq!(found("state", "member", "street").as_deref(), Some(STREET));
    assert_eq!(found("view", "badge", "name").as_deref(), Some(NAME));
    let json = cqrs_core::serde_json::to_string(&export).expect("it is JSON");
    assert!(!json.contains("lee@example.org"), "{json}");
    assert!(!CANARIES.iter().any(|canary| format!("{export:?} {:?}", export.values).contains(canary)));
    assert!(app.export("park", &Metadata::default()).await.expect("there is nothing").values.is_empty());
    assert!(app.stop().await);
}

async fn rotation() {
    let memory = Memory::new();
    let of = |keys: &str| with(memory.clone(), PersonalData::new(masters(keys)));
    let app = started(of(KEY_A)).await;
    joined(&app, "kim", EMAIL).await;
    app.settle().await;
    assert!(app.stop().await);
    let missing = of(KEY_B).build().expect("the app builds").migrate().await.expect_err("key a is missing");
    let cause = missing.source().and_then(|cause| cause.downcast_ref::<MissingMasterKey>());
    assert_eq!(cause.map(|cause| cause.id.as_str()), Some("a"), "{missing}");
    let both = of(&format!("{KEY_B},{KEY_A}")).build().expect("the app builds");
    both.migrate().await.expect("both keys are known");
    // The key of the subject and the key for hashes.
    assert_eq!(both.rotate_master_key().await.expect("the keys are wrapped again"), 2);
    assert_eq!(both.rotate_master_key().await.expect("nothing is left"), 0);
    assert_eq!(memory.masters().await.expect("they can be read"), ["b"]);
    let app = started(of(KEY_B)).await;
    assert_eq!(badge(&app, "kim").await.name.as_str(), NAME);
    let error = app.send(join_as("lee", EMAIL)).await.expect_err("the hash of the address is the same");
    assert!(matches!(error, Error::Taken { .. }), "{error:?}");
    assert!(app.stop().await);
}

async fn unbuilt() {
    let app = App::builder("members").discover_part(MEMBERS).aggregate(StateStored::<Member>::new());
    let problems = app.aggregate(EventSourced::<Diary>::new()).build().expect_err("there are no keys").problems;
    let flow = App::builder("members").discover_part(welcoming::MODULE).aggregate(StateStored::<Member>::new());
    let flow = flow.provide(Arc::<welcoming::Greetings>::default()).build().expect_err("there are no keys").problems;
    for what in ["command `Greet`", "process `members.welcome`"] {
        assert!(flow.iter().any(|problem| problem.contains(what)), "{what}: {flow:?}");
    }
    for what in ["aggregate `member`", "aggregate `diary`", "view `badge`", "`com.example.member.joined.v1`"] {
        let named = problems.iter().find(|problem| problem.contains(what));
        assert!(named.is_some_and(|problem| problem.contains(".personal_data(...)")), "{what}: {problems:?}");
    }
    let side = service(Memory::new()).query_side(Memory::new()).build().expect_err("it cannot be encrypted").problems;
    assert!(side.iter().any(|problem| problem.contains("query side") && problem.contains("`badge`")), "{side:?}");
    let none = App::builder("none").build().expect("the app builds");
    assert!(matches!(none.export("kim", &Metadata::default()).await, Err(PersonalError::NotConfigured)));
}

/// The keys of a database were lost: its values cannot be read, and values of other subjects can.
async fn unknown_key() {
    let (memory, keys) = (Memory::new(), Memory::new());
    let of = |keys: &Memory| with(memory.clone(), PersonalData::with_keys(keys.clone(), masters(KEY_A)));
    let app = started(of(&keys)).await;
    joined(&app, "kim", EMAIL).await;
    app.settle().await;
    assert!(app.stop().await);
    let app = started(of(&Memory::new())).await;
    let error = app.send(Visit("kim".into())).await.expect_err("the key is unknown");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    joined(&app, "lee", "lee@example.org").await;
    assert_eq!(badge(&app, "lee").await.name.as_str(), NAME);
    assert!(app.stop().await);
}

async fn logged(lines: Lines) {
    let app = started(service(Memory::new()).discover_part(refusing::MODULE)).await;
    joined(&app, "kim", EMAIL).await;
    app.settle().await;
    let taken = app.send(join_as("lee", EMAIL)).await.expect_err("the address is taken");
    let shown = format!("{:?} {:?} {taken} {taken:?}", join_as("kim", EMAIL), visited(&app, "kim").await);
    forget(&app, "kim").await;
    assert!(app.stop().await);
    let logged = lines.text();
    assert!(logged.contains("a subject was forgotten"), "{logged}");
    for canary in CANARIES {
        assert!(!logged.contains(canary) && !shown.contains(canary), "{canary}: {shown}\n{logged}");
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::CANARIES;
    use cqrs_core::storage::sqlite::{Sqlite, transaction};
    use cqrs_core::storage::{Batch, Storage};

    pub(super) async fn canary() {
        let directory = tempfile::tempdir().expect("a temporary directory for the database");
        let path = directory.path().join("members.db");
        let storage = Sqlite::open(&path).await.expect("a new database opens");
        let (searched, folder) = (storage.clone(), directory.path().to_owned());
        super::canary(storage, async |_| {
            let mut found = in_files(&folder);
            // A checkpoint moves the pages of the WAL into the file. It cannot run inside of a transaction.
            let mut tx = searched.begin().await.expect("a transaction begins");
            sqlx::query("commit").execute(&mut *transaction(&mut *tx)).await.expect("the transaction ends");
            let checkpoint = sqlx::query("pragma wal_checkpoint(truncate)");
            checkpoint.fetch_all(&mut *transaction(&mut *tx)).await.expect("the WAL is moved");
            let _ = tx.commit(Batch::default()).await;
            found.extend(in_files(&folder));
            found
        })
        .await;
    }
    /// Returns the canaries that are readable in the files of the folder.
    fn in_files(folder: &std::path::Path) -> Vec<String> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).expect("the folder can be read") {
            let file = file.expect("a file");
            let bytes = std::fs::read(file.path()).expect("the file can be read");
            let is_in = |canary: &&&str| bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            let name = file.file_name().to_string_lossy().into_owned();
            found.extend(CANARIES.iter().filter(is_in).map(|canary| format!("{canary} in {name}")));
        }
        found
    }
}
