//! An older program that rewrites a state or a view keeps the fields that a newer program has added.
use crate::{bank::until, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, ErrorKind, Position, StateStored,
    storage::{Batch, CommitError, Memory, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("newer fields: memory: an older program keeps them in states and views", async || {
            assert_eq!(scenario(Memory::new()).await, KEPT);
        }),
        #[cfg(feature = "sqlite")]
        trial("newer fields: sqlite: an older program keeps them in states and views", async || {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("s.db")).await;
            assert_eq!(scenario(storage.expect("a new database opens")).await, KEPT);
        }),
        trial("newer fields: seeded: a storage that drops them is detected", async || {
            assert_ne!(scenario(Dropped(Memory::new())).await, KEPT);
        }),
    ]
}

/// Writes the two programs, which differ in the fields of the state, its lines and the view.
macro_rules! program {
    ($module:ident, $initial:expr, $line:expr, { $($field:ident: $type:ty),* }, { $($in_line:ident: $line_type:ty),* }) => {
        mod $module {
            use cqrs_core::{
                Aggregate, Change, Command, Event, Evolve, HandlerResult, Recorded, Repo, View, handler, projection,
            };
            use serde::{Deserialize, Serialize};

            #[derive(Debug, Clone, Serialize, Deserialize)]
            pub(super) struct Line {
                item: String,
                count: u32,
                $(#[serde(default)] $in_line: $line_type,)*
            }
            #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "cart", event = CartEvent)]
            pub(super) struct Cart {
                #[id]
                id: String,
                lines: Vec<Line>,
                $(#[serde(default)] $field: $type,)*
            }
            #[derive(Debug, Clone, Serialize, Deserialize, View)]
            #[view(name = "cart-card", key = String)]
            pub(super) struct Card {
                items: u32,
                $(#[serde(default)] $field: $type,)*
            }
            #[derive(Debug, Clone, Serialize, Deserialize, Event)]
            #[event(name = "cart", version = 1)]
            pub(super) enum CartEvent {
                Added { item: String },
                Counted { item: String },
            }
            impl Evolve<CartEvent> for Cart {
                fn create(id: String, event: &CartEvent) -> Option<Self> {
                    let mut cart = ($initial)(id);
                    Evolve::apply(&mut cart, event);
                    Some(cart)
                }
                fn apply(&mut self, event: &CartEvent) {
                    match event {
                        CartEvent::Added { item } => self.lines.push(($line)(item.clone())),
                        CartEvent::Counted { item } => {
                            self.lines.iter_mut().filter(|line| line.item == *item).for_each(|line| line.count += 1);
                        }
                    }
                }
            }
            #[projection(name = "cart-card")]
            fn card(event: &Recorded<CartEvent>) -> Change<Card> {
                Change::none().and(event.aggregate_id.clone(), |found| {
                    let mut card = found.unwrap_or_else(|| {
                        let Cart { $($field,)* .. } = ($initial)(String::new());
                        Card { items: 0, $($field,)* }
                    });
                    card.items += 1;
                    Some(card)
                })
            }
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(super) struct Add(pub(super) String);
            #[handler]
            async fn add(command: Add, carts: Repo<Cart>) -> HandlerResult<()> {
                let (id, event) = ("1".to_owned(), CartEvent::Added { item: command.0 });
                match carts.find(&id).await? {
                    None => carts.create(id, event)?,
                    Some(_) => carts.update(&id, |_| event).await?,
                };
                Ok(())
            }
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(super) struct Count(pub(super) String);
            #[handler]
            async fn count(command: Count, carts: Repo<Cart>) -> HandlerResult<()> {
                carts.update(&"1".to_owned(), |_| CartEvent::Counted { item: command.0 }).await?;
                Ok(())
            }
        }
    };
}
program!(old, |id| Cart { id, lines: vec![] }, |item| Line { item, count: 1 }, {}, {});
program!(
    new,
    |id| Cart { id, lines: vec![], level: "gold".into() },
    |item| Line { item, count: 1, price: 5 },
    { level: String },
    { price: u32 }
);

/// The state and the view after an older program has changed both.
pub(crate) const KEPT: [&str; 2] = [
    r#"{"id":"1","level":"gold","lines":[{"count":1,"item":"a","price":5},{"count":1,"item":"b"}]}"#,
    r#"{"items":2,"level":"gold"}"#,
];

fn app(builder: AppBuilder, module: &'static str) -> App {
    let builder = builder.discover_part(module);
    let built = match module {
        OLD => builder.aggregate(StateStored::<old::Cart>::new()).build(),
        // The two programs differ in their fields alone.
        _ => builder.aggregate(StateStored::<new::Cart>::new()).build(),
    };
    built.expect("the app builds")
}
const OLD: &str = concat!(module_path!(), "::old");
const NEW: &str = concat!(module_path!(), "::new");

fn sorted(bytes: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(bytes).expect("it is JSON").to_string()
}
async fn card(app: &App) -> String {
    let found = app.storage().views("cart-card", &["1".to_owned()]).await.expect("the storage responds");
    found.into_iter().next().and_then(|view| view.value).map_or_else(String::new, |value| sorted(&value))
}

/// Deploys the newer program, rolls it back, and returns the state and the view that the older one has changed.
pub(crate) async fn scenario(storage: impl Storage + Clone) -> [String; 2] {
    let (old, new) = (app(App::builder("cart").storage(storage.clone()), OLD), App::builder("cart").storage(storage));
    let new = app(new, NEW);
    let stop = async |running: cqrs_core::app::Background| assert!(running.stop(cqrs_core::app::DRAIN).await);
    stop(old.start().await.expect("the older program starts")).await;
    let running = new.start().await.expect("the newer program starts");
    new.send(new::Add("a".into())).await.expect("the cart is created");
    until("the newer program has written the view", async || card(&new).await.contains("\"items\":1")).await;
    stop(running).await;
    let running = old.start().await.expect("the older program starts again");
    old.send(old::Add("b".into())).await.expect("the cart is changed");
    until("the older program has written the view", async || card(&old).await.contains("\"items\":2")).await;
    let state = old.storage().row("cart", "1", None).await.expect("the storage responds").found.state;
    let state = sorted(&state.expect("the cart is stored"));
    if state == KEPT[0] {
        let refused = old.send(old::Count("a".into())).await.expect_err("the price of the line would be lost");
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        new.send(new::Count("a".into())).await.expect("the newer program changes it");
    }
    let card = card(&old).await;
    stop(running).await;
    [state, if card.is_empty() { card } else { card.replace("\"items\":3", "\"items\":2") }]
}

/// A storage that drops the new field, as a program did that wrote only the fields of its type.
#[derive(Clone)]
struct Dropped(Memory);
#[async_trait]
impl StorageLayer for Dropped {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let without = |bytes: &mut Vec<u8>| {
            let mut value: serde_json::Value = serde_json::from_slice(bytes).expect("it is JSON");
            if let Some(fields) = value.as_object_mut() {
                fields.remove("level");
            }
            *bytes = value.to_string().into_bytes();
        };
        batch.rows.iter_mut().filter_map(|row| row.state.as_mut()).for_each(without);
        batch.views.iter_mut().filter_map(|view| view.value.as_mut()).for_each(without);
        self.0.commit(batch).await
    }
}
