//! An index that a program adds to a stored view: filled in at the start, and complete while other programs write.
#![cfg_attr(not(feature = "sqlite"), allow(dead_code, unused_mut, reason = "only the tests on SQLite use them"))]
use crate::trials::trial;
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Position,
    job::Step,
    storage::{Batch, CommitError, Memory, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("indexes: an index that a program adds is filled in by its start: memory", || filled(Memory::new())),
        trial("indexes: an index with other columns is refused under its name", changed),
    ];
    #[cfg(feature = "sqlite")]
    trials.extend([
        trial("indexes: an index that a program adds is filled in by its start: sqlite", || on_sqlite(filled)),
        trial("indexes: a start that is interrupted at any commit is continued by the next one: sqlite", || {
            on_sqlite(interrupted)
        }),
    ]);
    trials
}
#[cfg(feature = "sqlite")]
async fn on_sqlite<F: Future<Output = ()>>(test: fn(cqrs_core::storage::Sqlite) -> F) {
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = cqrs_core::storage::Sqlite::open(directory.path().join("shop.db")).await;
    test(storage.expect("a new database opens")).await;
}

/// Writes a program of the shop, whose view has these indexes. One query reads a page of a range, and another one all of it
/// backwards.
macro_rules! shop {
    ($module:ident, $view:item, $query:ident($handler:ident) = $range:expr) => {
        pub(crate) mod $module {
            use cqrs_core::*;
            use serde::{Deserialize, Serialize};

            #[derive(Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "item", event = ItemEvent)]
            pub(crate) struct Item {
                #[id]
                id: String,
            }
            #[derive(Clone, Serialize, Deserialize, Event)]
            #[event(name = "item", version = 1)]
            pub(crate) enum ItemEvent {
                Priced(u32),
            }
            impl Evolve<ItemEvent> for Item {
                fn create(id: String, _: &ItemEvent) -> Option<Self> {
                    Some(Item { id })
                }
                fn apply(&mut self, _: &ItemEvent) {}
            }
            $view
            #[projection(name = "shelf")]
            fn shelf(event: &Recorded<ItemEvent>) -> Change<Shelf> {
                let ItemEvent::Priced(price) = event.event;
                let name = event.aggregate_id.clone();
                Shelf { name: name.clone(), price }.put(name)
            }
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(crate) struct Price(pub(crate) String, pub(crate) u32);
            #[handler]
            async fn price(command: Price, items: Repo<Item>) -> HandlerResult<()> {
                match items.find(&command.0).await? {
                    None => drop(items.create(command.0, ItemEvent::Priced(command.1))?),
                    Some(_) => drop(items.update(&command.0, |_| ItemEvent::Priced(command.1)).await?),
                }
                Ok(())
            }
            #[derive(Clone, Query)]
            pub(crate) struct $query(pub(crate) Option<Cursor>, pub(crate) usize);
            #[handler]
            async fn $handler(query: $query, shelf: Views<Shelf>) -> HandlerResult<(Vec<String>, Option<Cursor>)> {
                let page = shelf.eventually().page($range, query.0.as_ref(), query.1).await?;
                Ok((page.items.iter().map(text).collect(), page.next))
            }
            fn text(item: &Shelf) -> String {
                format!("{} {}", item.name, item.price)
            }
            /// Returns the count of the range, the values read by `previous` from the last page, and those of the
            /// reversed range.
            #[derive(Clone, Query)]
            pub(crate) struct Backwards(pub(crate) usize);
            #[handler]
            async fn backwards(
                query: Backwards,
                shelf: Views<Shelf>,
            ) -> HandlerResult<(u64, Vec<String>, Vec<String>)> {
                let (shelf, mut found) = (shelf.eventually(), Vec::new());
                let mut page = shelf.last_page($range, query.0).await?;
                loop {
                    found.extend(page.items.iter().rev().map(text));
                    let Some(previous) = page.previous else { break };
                    page = shelf.page($range, Some(&previous), query.0).await?;
                }
                let reversed = shelf.page($range.reversed(), None, PAGE_LIMIT).await?;
                Ok((shelf.count($range).await?, found, reversed.items.iter().map(text).collect()))
            }
        }
    };
}
shop!(
    old,
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "shelf", key = String)]
    #[index(by_name(name))]
    pub(crate) struct Shelf {
        name: String,
        price: u32,
    },
    Named(named) = Shelf::by_name()
);
shop!(
    new,
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "shelf", key = String)]
    #[index(by_name(name))]
    #[index(by_price(-price))]
    pub(crate) struct Shelf {
        name: String,
        price: u32,
    },
    Dearest(dearest) = Shelf::by_price()
);
shop!(
    only_price,
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "shelf", key = String)]
    #[index(by_price(-price))]
    pub(crate) struct Shelf {
        name: String,
        price: u32,
    },
    Dearest(dearest) = Shelf::by_price()
);
shop!(
    other_columns,
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "shelf", key = String)]
    #[index(by_name(-name))]
    pub(crate) struct Shelf {
        name: String,
        price: u32,
    },
    Named(named) = Shelf::by_name()
);

macro_rules! app {
    ($module:ident, $storage:expr) => {
        cqrs_core::App::builder("shop")
            .storage($storage)
            .discover_part(concat!("it::indexes::", stringify!($module)))
            .aggregate(cqrs_core::StateStored::<crate::indexes::$module::Item>::new())
            .build()
            .expect("the app builds")
    };
}
#[cfg(feature = "postgres")]
pub(crate) use app;

/// Reads all pages of a query.
macro_rules! all {
    ($app:expr, $query:path, $limit:expr) => {{
        let (mut all, mut after) = (Vec::<String>::new(), None);
        loop {
            let (items, next) = $app.send($query(after, $limit)).await.expect("the query succeeds");
            all.extend(items);
            after = next;
            if after.is_none() {
                break all;
            }
        }
    }};
}
#[cfg(feature = "postgres")]
pub(crate) use all;

/// Applies every event of the log by this app's projections.
pub(crate) async fn project(app: &App) {
    for mut follower in app.log_followers() {
        while !matches!(follower.step().await.expect("the events are applied"), Step::Idle(_)) {}
        follower.release().await;
    }
}

/// More values than one commit fills in. The prices fall as the names rise.
const ITEMS: u32 = 250;

async fn stocked(app: &App) -> Vec<String> {
    app.migrate().await.expect("the program fits");
    for number in 0..ITEMS {
        app.send(old::Price(format!("i{number:03}"), ITEMS - number)).await.expect("the price is set");
    }
    project(app).await;
    (0..ITEMS).map(|number| format!("i{number:03} {}", ITEMS - number)).collect()
}

async fn filled<S: Storage + Clone>(storage: S) {
    let (old, new) = (app!(old, storage.clone()), app!(new, storage.clone()));
    let all = stocked(&old).await;
    new.migrate().await.expect("the program fits");
    assert_eq!(all!(new, new::Dearest, 7), all);
    assert_eq!(all!(old, old::Named, 7), all);
    // After a rollback the old program writes a value. The next start of the new one fills it in.
    old.migrate().await.expect("a known program fits");
    old.send(old::Price("i100".into(), 1_000)).await.expect("the price is set");
    project(&old).await;
    let again = app!(new, storage);
    again.migrate().await.expect("a known program fits");
    let found = all!(again, new::Dearest, 100);
    assert_eq!((found.len(), &*found[0]), (ITEMS as usize, "i100 1000"));
}

/// A storage that refuses commits of views after some.
struct Interrupted<S>(S, AtomicUsize);
#[async_trait]
impl<S: Storage> StorageLayer for Interrupted<S> {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return Err(Fault::unavailable("interrupted by the test").into());
        }
        self.0.commit(batch).await
    }
}

#[cfg(feature = "sqlite")]
async fn interrupted<S: Storage + Clone>(storage: S) {
    let old = app!(old, storage.clone());
    let all = stocked(&old).await;
    // Every start gets one commit further. Between them the old program serves.
    for starts in 0..3 {
        let new = app!(new, Interrupted(storage.clone(), AtomicUsize::new(1)));
        let started = new.migrate().await;
        assert_eq!(started.is_ok(), starts == 2, "after {starts} starts: {started:?}");
        assert_eq!(all!(old, old::Named, 100), all);
        let found = all!(new, new::Dearest, 100);
        assert_eq!(found, all, "after {starts} starts");
    }
    // Nothing is left to do.
    let new = app!(new, Interrupted(storage, AtomicUsize::new(0)));
    new.migrate().await.expect("the index is complete");
}

async fn changed() {
    let memory = Memory::new();
    let old = app!(old, memory.clone());
    stocked(&old).await;
    let changed = app!(other_columns, memory.clone());
    let refused = changed.migrate().await.expect_err("both orders would be mixed");
    let source = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    assert!(source.contains("index `by_name` of view `shelf` has the columns (-name), and (name) before"), "{source}");
    // The columns of any earlier program count, since its entries may be stored.
    app!(only_price, memory.clone()).migrate().await.expect("an index may be removed");
    changed.migrate().await.expect_err("both orders would be mixed");
}
