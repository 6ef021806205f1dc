//! A field that becomes unique on stored aggregates: its values are reserved by the start, while other programs write.
#![cfg_attr(not(feature = "sqlite"), allow(dead_code, unused_mut, reason = "only the tests on SQLite use them"))]
use crate::{bank::until, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    App, Error, Fault,
    app::{DRAIN, IncompatibleProgram},
    storage::{Loaded, Memory, Storage, StoredRow, StoredValues, ValueReservation},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("unique: a start reserves the values of a field that becomes unique: memory, rows", || {
            reserved(Memory::new(), true)
        }),
        trial("unique: a start reserves the values of a field that becomes unique: memory, streams", || {
            reserved(Memory::new(), false)
        }),
        trial("unique: a start that is interrupted at any write is continued by the next one: rows", || {
            interrupted(true)
        }),
        trial("unique: a start that is interrupted at any write is continued by the next one: streams", || {
            interrupted(false)
        }),
        trial(
            "unique: duplicates refuse the start with the ids of the aggregates, until each has a value of its own",
            || duplicates(Memory::new(), true),
        ),
        trial("unique: of many duplicates twenty are named", many),
        trial("unique: a state that cannot be read is named and refuses the start", unreadable),
        trial("unique: a duplicate that a rolled-back program has stored is reported until it is resolved", || {
            reported(Memory::new())
        }),
        trial("unique: a field that is removed and becomes unique again reserves the values stored meanwhile", removed),
        trial("unique: a command during the fill keeps its value", || raced(true, false)),
        trial("unique: seeded: a fill that ignores the version gives the value of a command away", || {
            raced(true, true)
        }),
        trial("unique: a command during the fill keeps its value: streams", || raced(false, false)),
        trial("unique: seeded: a fill of streams that ignores the version gives a value away", || raced(false, true)),
    ];
    #[cfg(feature = "sqlite")]
    trials.extend([
        trial("unique: a start reserves the values of a field that becomes unique: sqlite, rows", || {
            on_sqlite(|storage| reserved(storage, true))
        }),
        trial("unique: a start reserves the values of a field that becomes unique: sqlite, streams", || {
            on_sqlite(|storage| reserved(storage, false))
        }),
        trial("unique: duplicates refuse the start with the ids of the aggregates: sqlite, streams", || {
            on_sqlite(|storage| duplicates(storage, false))
        }),
        trial("unique: a duplicate that a rolled-back program has stored is reported: sqlite", || on_sqlite(reported)),
    ]);
    trials
}
#[cfg(feature = "sqlite")]
async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(cqrs_core::storage::Sqlite) -> F) {
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = cqrs_core::storage::Sqlite::open(directory.path().join("club.db")).await;
    test(storage.expect("a new database opens")).await;
}

/// Writes a program of the club, whose members have a nickname.
macro_rules! club {
    ($module:ident, $member:item, { $($more:tt)* }) => {
        pub(crate) mod $module {
            use cqrs_core::*;
            use serde::{Deserialize, Serialize};

            #[derive(Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "member", event = MemberEvent)]
            $member
            #[derive(Clone, Serialize, Deserialize, Event)]
            #[event(name = "member", version = 1)]
            pub(crate) enum MemberEvent {
                Joined(String),
                Renamed(String),
                $($more)*
            }
            impl Evolve<MemberEvent> for Member {
                fn create(id: String, event: &MemberEvent) -> Option<Self> {
                    let MemberEvent::Joined(nickname) = event else { return None };
                    Some(Member { id, nickname: nickname.clone() })
                }
                fn apply(&mut self, event: &MemberEvent) {
                    if let MemberEvent::Renamed(nickname) = event {
                        self.nickname = nickname.clone();
                    }
                }
            }
            /// Renames a member, or adds a new one.
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(crate) struct Name(pub(crate) String, pub(crate) String);
            #[handler]
            async fn name(command: Name, members: Repo<Member>) -> HandlerResult<()> {
                let Name(id, nickname) = command;
                match members.find(&id).await? {
                    None => drop(members.create(id, MemberEvent::Joined(nickname))?),
                    Some(_) => drop(members.update(&id, |_| MemberEvent::Renamed(nickname)).await?),
                }
                Ok(())
            }
        }
    };
}
club!(
    old,
    pub(crate) struct Member {
        #[id]
        id: String,
        nickname: String,
    },
    {}
);
club!(
    new,
    pub(crate) struct Member {
        #[id]
        id: String,
        #[unique]
        nickname: String,
    },
    {}
);
club!(
    newer,
    pub(crate) struct Member {
        #[id]
        id: String,
        #[unique]
        nickname: String,
    },
    {
        #[allow(dead_code, reason = "it makes the program another one")]
        Left,
    }
);

/// Builds a program whose members are rows, or streams alone.
macro_rules! app {
    ($module:ident, $is_row:expr, $storage:expr) => {{
        use cqrs_core::{EventSourced, StateStored};
        let builder = cqrs_core::App::builder("club").storage($storage);
        let builder = builder.discover_part(concat!("it::unique::", stringify!($module)));
        let builder = match $is_row {
            true => builder.aggregate(StateStored::<crate::unique::$module::Member>::new()),
            false => builder.aggregate(EventSourced::<crate::unique::$module::Member>::new()),
        };
        builder.build().expect("the app builds")
    }};
}
#[cfg(feature = "postgres")]
pub(crate) use app;

/// Names a member by a program. Returns whether the value was free.
macro_rules! name {
    ($app:expr, $module:ident, $id:expr, $nickname:expr) => {
        match $app.send(crate::unique::$module::Name($id.to_string(), $nickname.to_string())).await {
            Ok(()) => true,
            Err(cqrs_core::Error::Taken { index, .. }) => {
                assert_eq!(index, "member.nickname");
                false
            }
            Err(error) => panic!("the member was not named: {error:?}"),
        }
    };
}
#[cfg(feature = "postgres")]
pub(crate) use name;

/// More members than one commit reserves.
const MEMBERS: usize = 250;

async fn members(old: &App, members: usize) {
    old.migrate().await.expect("the program fits");
    for number in 0..members {
        name!(old, old, format!("m{number:03}"), format!("n{number:03}"));
    }
}
fn problem(refused: &Fault) -> String {
    let source = std::error::Error::source(refused).expect("the fault has a source");
    let program = source.downcast_ref::<IncompatibleProgram>().expect("the program is refused");
    assert_eq!(program.problems.len(), 1, "{program}");
    program.problems[0].clone()
}
async fn unreserved(app: &App) -> Option<String> {
    let health = app.health().await;
    let component = health.components.into_iter().find(|component| component.name == "unique_values");
    let component = component.expect("an app has the component");
    assert!(!component.required);
    component.error
}

async fn reserved<S: Storage + Clone>(storage: S, is_row: bool) {
    let (old, new) = (app!(old, is_row, storage.clone()), app!(new, is_row, storage.clone()));
    members(&old, MEMBERS).await;
    name!(old, old, "m010", "x010");
    new.migrate().await.expect("the values are unique");
    for number in (0..MEMBERS).filter(|number| *number != 10) {
        assert!(!name!(new, new, "late", format!("n{number:03}")), "{number}");
    }
    assert!(!name!(new, new, "late", "x010") && name!(new, new, "late", "n010"));
    assert!(name!(new, new, "m005", "y005") && name!(new, new, "later", "n005"));
    // After a rollback the old program frees a value, takes one, and adds a member.
    old.migrate().await.expect("a known program fits");
    assert!(name!(old, old, "m006", "z006") && name!(old, old, "m007", "z007") && name!(old, old, "w", "w"));
    let again = app!(new, is_row, storage);
    again.migrate().await.expect("a known program fits");
    assert!(!name!(again, new, "a", "z006") && !name!(again, new, "a", "w"));
    assert!(name!(again, new, "a", "n006") && name!(again, new, "m007", "n007"));
    assert!(name!(again, new, "b", "z007"));
    assert_eq!(unreserved(&again).await, None);
}

/// A storage that fails after some writes of the fill, and counts the aggregates.
struct Interrupted {
    inner: Memory,
    left: AtomicUsize,
    aggregates: Arc<AtomicUsize>,
}
impl Interrupted {
    fn write(&self) -> Result<(), Fault> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Fault::unavailable("interrupted by the test"))
    }
}
#[async_trait]
impl StorageLayer for Interrupted {
    fn inner(&self) -> &dyn Storage {
        &self.inner
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        self.write()?;
        self.aggregates.fetch_add(values.owners.len(), Ordering::SeqCst);
        self.inner.reserve_stored(values).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        if name.starts_with("unique/") {
            self.write()?;
        }
        self.inner.replace_note(name, expected, value).await
    }
}

async fn interrupted(is_row: bool) {
    for writes in 0.. {
        let (memory, aggregates) = (Memory::new(), Arc::new(AtomicUsize::new(0)));
        let old = app!(old, is_row, memory.clone());
        members(&old, MEMBERS).await;
        let begin = |left| {
            let (inner, left) = (memory.clone(), AtomicUsize::new(left));
            app!(new, is_row, Interrupted { inner, left, aggregates: aggregates.clone() })
        };
        let started = begin(writes).migrate().await;
        if started.is_ok() {
            assert!(writes > 6, "{writes} writes");
            break;
        }
        assert_eq!(memory.programs(0).await.expect("the memory responds").len(), 1, "the new program is not declared");
        // Between the starts the old program changes members on both sides of the place.
        assert!(
            name!(old, old, "m000", "first") && name!(old, old, "m249", "last") && name!(old, old, "m300", "added")
        );
        let again = begin(usize::MAX);
        again.migrate().await.expect("the values are unique");
        let most = MEMBERS + 1 + 100 + 3;
        let aggregates = aggregates.load(Ordering::SeqCst);
        assert!(aggregates <= most, "{aggregates} aggregates were read, so the second start began anew");
        for taken in ["first", "last", "added", "n001", "n100", "n248"] {
            assert!(!name!(again, new, "late", taken), "{taken} after {writes} writes");
        }
        assert!(name!(again, new, "late", "n000") && name!(again, new, "late", "n249"));
    }
}

async fn duplicates<S: Storage + Clone>(storage: S, is_row: bool) {
    let (old, new) = (app!(old, is_row, storage.clone()), app!(new, is_row, storage.clone()));
    members(&old, 120).await;
    for (id, nickname) in [("b", "kim"), ("a", "kim"), ("c", "kim"), ("m119", "n000"), ("m118", "lee")] {
        name!(old, old, id, nickname);
    }
    // The aggregates are known to be duplicates at the next start as well.
    for _ in 0..2 {
        let refused = problem(&new.migrate().await.expect_err("the values are not unique"));
        assert!(refused.contains("field `nickname` of aggregate `member` is unique in this program"), "{refused}");
        assert!(refused.contains(": `a` and `b` and `c`; `m000` and `m119`;"), "{refused}");
        assert!(!refused.contains("kim") && !refused.contains("n000"), "values are not shown: {refused}");
        assert_eq!(storage.programs(0).await.expect("the storage responds").len(), 1);
    }
    // The old program goes on as before.
    assert!(name!(old, old, "d", "n001") && name!(old, old, "d", "d") && name!(old, old, "a", "a"));
    assert!(name!(old, old, "c", "c") && name!(old, old, "m000", "m000"));
    new.migrate().await.expect("the values are unique now");
    for taken in ["kim", "a", "c", "d", "n000", "m000", "lee"] {
        assert!(!name!(new, new, "late", taken), "{taken}");
    }
    assert_eq!(unreserved(&new).await, None);
}

async fn many() {
    let memory = Memory::new();
    let (old, new) = (app!(old, true, memory.clone()), app!(new, true, memory.clone()));
    members(&old, 0).await;
    for number in 0..330 {
        name!(old, old, format!("m{number:03}"), "same");
    }
    let refused = problem(&new.migrate().await.expect_err("the values are not unique"));
    assert!(refused.contains("`m000` and `m001` and") && refused.contains("and `m019`; and 310 more;"), "{refused}");
}

async fn unreadable() {
    let memory = Memory::new();
    let (old, new) = (app!(old, false, memory.clone()), app!(new, false, memory.clone()));
    members(&old, 2).await;
    name!(old, old, "long", "x".repeat(3_000));
    let refused = problem(&new.migrate().await.expect_err("a value cannot be reserved"));
    assert!(refused.contains(": `long` with a value that cannot be read, or is too long"), "{refused}");
    name!(old, old, "long", "short");
    new.migrate().await.expect("the value can be reserved");
    assert!(!name!(new, new, "late", "short"));
}

async fn reported<S: Storage + Clone>(storage: S) {
    let (old, new) = (app!(old, true, storage.clone()), app!(new, true, storage.clone()));
    members(&old, 3).await;
    new.migrate().await.expect("the values are unique");
    old.migrate().await.expect("a known program fits");
    assert!(name!(old, old, "twin", "n001"));
    let again = app!(new, true, storage);
    let running = again.start().await.expect("a known program starts");
    let error = unreserved(&again).await.expect("the duplicate is reported");
    assert!(error.contains("unique field `member.nickname`") && error.ends_with(": `twin`"), "{error}");
    assert!(!name!(again, new, "late", "n001"));
    assert!(name!(again, new, "m001", "other"));
    until("the other member holds the value", async || unreserved(&again).await.is_none()).await;
    assert!(!name!(again, new, "late", "n001") && name!(again, new, "twin", "n100"));
    assert!(name!(again, new, "late", "n001"));
    assert!(running.stop(DRAIN).await);
}

async fn removed() {
    let memory = Memory::new();
    let (without, with) = (app!(old, true, memory.clone()), app!(new, true, memory.clone()));
    with.migrate().await.expect("the first program fits");
    assert!(name!(with, new, "a", "kim") && name!(with, new, "b", "lee"));
    without.migrate().await.expect("a field may cease to be unique");
    assert!(name!(without, old, "b", "kim") && name!(without, old, "c", "c"));
    let with = app!(newer, true, memory.clone());
    let refused = problem(&with.migrate().await.expect_err("the values are not unique any more"));
    assert!(refused.contains(": `a` and `b`;"), "{refused}");
    assert!(name!(without, old, "a", "ann"));
    with.migrate().await.expect("the values are unique again");
    assert!(
        !name!(with, newer, "late", "kim") && !name!(with, newer, "late", "c") && !name!(with, newer, "late", "ann")
    );
    assert!(name!(with, newer, "late", "lee"), "the value that the other program has freed");
}

/// A storage in which a command of the new program runs between the read and the write of the fill. Seeded, the write takes
/// the version of that command for the one that was read.
struct Raced {
    memory: Memory,
    new: App,
    is_row: bool,
    is_seeded: bool,
    /// Whether the value of the command was still reserved after the write.
    kept: Arc<Mutex<Option<bool>>>,
}
#[async_trait]
impl StorageLayer for Raced {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        let mut values = values.clone();
        let is_first = self.kept.lock().expect("no test panics with it").is_none();
        if is_first {
            assert!(name!(self.new, new, "m001", "fresh"));
        }
        if self.is_seeded {
            for owner in &mut values.owners {
                let Loaded { found: StoredRow { version, .. }, .. } =
                    self.memory.row("member", &owner.id, None).await?;
                let events = self.memory.stream(&format!("member/{}", owner.id), 0, None).await?.found.len();
                owner.version = if self.is_row { version } else { events as u64 };
            }
        }
        let reserved = self.memory.reserve_stored(&values).await?;
        if is_first {
            let taken = self.new.send(new::Name("thief".into(), "fresh".into())).await;
            *self.kept.lock().expect("no test panics with it") = Some(matches!(taken, Err(Error::Taken { .. })));
        }
        Ok(reserved)
    }
}

async fn raced(is_row: bool, is_seeded: bool) {
    let (memory, kept) = (Memory::new(), Arc::default());
    members(&app!(old, is_row, memory.clone()), 3).await;
    let new = app!(new, is_row, memory.clone());
    let storage = Raced { memory: memory.clone(), new: new.clone(), is_row, is_seeded, kept: Arc::clone(&kept) };
    let filling = app!(new, is_row, storage);
    let filled = filling.migrate().await;
    assert_eq!(*kept.lock().expect("no test panics with it"), Some(!is_seeded));
    if !is_seeded {
        filled.expect("the values are unique");
        assert!(!name!(new, new, "late", "fresh") && name!(new, new, "late", "n001"));
    }
}
