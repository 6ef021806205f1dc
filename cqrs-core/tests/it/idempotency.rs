//! Repetitions of a command by other versions of a program, in another order, and by subscribers.
use crate::{
    bank::{bank, opened, until},
    trials::trial,
};
use cqrs_core::{App, ErrorKind, Metadata, Position, storage::Memory, testing::TestApp};
use libtest_mimic::Trial;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("idempotency: a repetition with its map and set in another order returns the first response", order),
        trial("idempotency: a field that a new version adds does not make a repetition another command", new_field),
        trial("idempotency: a command whose type is renamed and keeps its name is the same command", renamed),
        trial(
            "idempotency: a stored response that cannot be read is an error that says that it was done",
            other_output,
        ),
        trial("idempotency: a subscriber that repeats its command with a new id repeats no effect", new_id),
    ]
}

/// The first version of a program.
mod one {
    use cqrs_core::{Command, HandlerResult, handler};
    use serde::{Deserialize, Serialize};
    use std::collections::{HashMap, HashSet};
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Buy {
        pub(super) item: String,
    }
    #[handler]
    async fn buy(_: Buy) -> HandlerResult<u64> {
        Ok(7)
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Ask(pub(super) u32);
    #[handler]
    async fn ask(_: Ask) -> HandlerResult<u64> {
        Ok(7)
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Tag(pub(super) HashMap<String, u32>, pub(super) HashSet<u32>);
    #[handler]
    async fn tag(command: Tag) -> HandlerResult<usize> {
        Ok(command.0.len())
    }
}
/// The second version: `Buy` has a field more, and `Ask` returns something else.
mod two {
    use cqrs_core::{Command, HandlerResult, handler};
    use serde::{Deserialize, Serialize};
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Buy {
        pub(super) item: String,
        #[serde(default)]
        pub(super) gift: bool,
    }
    #[handler]
    async fn buy(_: Buy) -> HandlerResult<u64> {
        Ok(8)
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Ask(pub(super) u32);
    #[handler]
    async fn ask(_: Ask) -> HandlerResult<String> {
        Ok("seven".into())
    }
}
/// A third version, in which the type of `Buy` has another name.
mod other_name {
    use cqrs_core::{Command, HandlerResult, handler};
    use serde::{Deserialize, Serialize};
    #[derive(Clone, Serialize, Deserialize, Command)]
    #[command(name = "Buy")]
    pub(super) struct Purchase {
        pub(super) item: String,
    }
    #[handler]
    async fn purchase(_: Purchase) -> HandlerResult<u64> {
        Ok(9)
    }
}
fn versions() -> (App, App) {
    let memory = Memory::new();
    let app = |module| App::builder("shop").discover_part(module).storage(memory.clone()).build();
    (app("it::idempotency::one").expect("the app builds"), app("it::idempotency::two").expect("the app builds"))
}
fn key() -> Metadata {
    Metadata::default().key("key")
}

async fn order() {
    let (app, _) = versions();
    for _ in 0..20 {
        // Each map and each set has an order of its own.
        let tags = one::Tag((0..50).map(|n| (format!("tag {n}"), n)).collect(), (0..50).collect());
        assert_eq!(app.with(key()).send(tags).await.expect("the request is the same"), 50);
    }
    let fewer = one::Tag((1..50).map(|n| (format!("tag {n}"), n)).collect(), (0..50).collect());
    assert_eq!(app.with(key()).send(fewer).await.expect_err("a tag is missing").reason(), "IDEMPOTENCY_KEY_REUSED");
}
async fn new_field() {
    let (one, two) = versions();
    assert_eq!(one.with(key()).send(one::Buy { item: "tea".into() }).await.expect("it is bought"), 7);
    let buy = |gift| two::Buy { item: "tea".into(), gift };
    assert_eq!(two.with(key()).send(buy(false)).await.expect("the request is the same"), 7);
    let other = two.with(key()).send(buy(true)).await.expect_err("the request is another");
    assert_eq!(other.reason(), "IDEMPOTENCY_KEY_REUSED");
}
async fn renamed() {
    let memory = Memory::new();
    let app = |module| App::builder("shop").discover_part(module).storage(memory.clone()).build();
    let one = app("it::idempotency::one").expect("the app builds");
    let other = app("it::idempotency::other_name").expect("the app builds");
    assert_eq!(one.with(key()).send(one::Buy { item: "tea".into() }).await.expect("it is bought"), 7);
    let again = other_name::Purchase { item: "tea".into() };
    assert_eq!(other.with(key()).send(again).await.expect("the command is the same"), 7);
}
async fn other_output() {
    let (one, two) = versions();
    assert_eq!(one.with(key()).send(one::Ask(1)).await.expect("there is a response"), 7);
    let error = two.with(key()).send(two::Ask(1)).await.expect_err("the stored response is a number");
    assert_eq!((error.kind(), &*error.reason()), (ErrorKind::AlreadyExists, "RESPONSE_UNREADABLE"), "{error}");
}

mod sends {
    use crate::bank::{Account, AccountError, AccountEvent};
    use cqrs_core::{BoxError, Bus, Command, Dep, HandlerResult, Recorded, Repo, handler, subscriber};
    use serde::{Deserialize, Serialize};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use uuid::Uuid;

    /// Pays 10 in, under an id that the sender chooses.
    #[derive(Clone, Serialize, Deserialize, Command)]
    struct Reward(String, Uuid);
    #[handler]
    async fn reward(command: Reward, accounts: Repo<Account>) -> HandlerResult<i64, AccountError> {
        Ok(accounts.update(&command.0, |account| account.pay(10)).await?.balance)
    }
    #[subscriber(group = "bank.rewards", from = "beginning")]
    async fn rewards(event: Recorded<AccountEvent>, bus: Bus, attempts: Dep<AtomicU32>) -> Result<(), BoxError> {
        if let AccountEvent::Opened { .. } = event.event {
            assert_eq!(bus.send(Reward(event.aggregate_id.clone(), Uuid::now_v7())).await?, 10);
            if attempts.fetch_add(1, SeqCst) < 2 {
                return Err("seeded: the subscriber fails after its command".into());
            }
        }
        Ok(())
    }
}
async fn new_id() {
    let attempts = Arc::new(AtomicU32::new(0));
    let app = bank(Memory::new()).discover_part("it::idempotency::sends").provide(attempts.clone());
    let app = TestApp::start(app).await.expect("the app starts");
    opened(&app, "kim").await;
    until("the subscriber has succeeded", async || attempts.load(SeqCst) == 3).await;
    app.settle().await;
    let upto = app.storage().high_water_mark().await.expect("the storage responds");
    assert_eq!(upto, Position(2), "the account was opened and rewarded once");
    assert!(app.stop().await);
}
