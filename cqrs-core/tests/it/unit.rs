//! The unit of work of one command: a handler sees its own changes, and they are committed together or not at all.
use crate::{
    bank::{Account, AccountError, AccountEvent, Open, on_each, opened, paid_in},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder, Command, Error, ErrorKind, HandlerResult, Infallible, Metadata, Position, Repo,
    event::NewEntry,
    handler,
    storage::{Memory, Storage},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("unit: an event stored by a newer program is an error", newer)];
    trials.extend(on_each("unit: an update sees the update before it, also after a find", twice));
    trials.extend(on_each("unit: concurrent updates in one handler see each other", beside));
    trials.extend(on_each("unit: a unique value that changes twice reserves only the last", renames));
    trials.extend(on_each("unit: two aggregates can swap unique values", swap));
    trials.extend(on_each("unit: two aggregates with one unique value are refused", two_of_a_name));
    trials.extend(on_each("unit: creating an aggregate twice is refused", create_twice));
    trials.extend(on_each("unit: a decision without events commits nothing", nothing));
    trials.extend(on_each("unit: a handler that fails commits nothing", failing));
    trials
}
fn built(app: AppBuilder) -> cqrs_core::App {
    app.discover_part(module_path!()).build().expect("the app builds")
}
fn payment(amount: i64) -> impl FnOnce(&Account) -> Result<AccountEvent, AccountError> {
    move |account| account.pay(amount)
}
async fn log(app: &cqrs_core::App) -> Vec<String> {
    let storage = app.storage();
    let upto = storage.high_water_mark().await.expect("the storage responds");
    let entries = storage
        .log(Position(0), upto, cqrs_core::storage::ReadLimit::entries(100))
        .await
        .expect("the storage responds");
    entries.iter().map(|entry| format!("{} {} {}", entry.stream, entry.version, entry.name)).collect()
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayTwice(String);
#[handler]
async fn pay_twice(command: PayTwice, accounts: Repo<Account>) -> HandlerResult<i64, AccountError> {
    accounts.update(&command.0, payment(5)).await?;
    let seen = accounts.get::<AccountError>(&command.0).await?.balance;
    accounts.update(&command.0, payment(-5)).await?;
    Ok(seen)
}
async fn twice(app: AppBuilder) {
    let app = built(app);
    opened(&app, "kim").await;
    assert_eq!(app.send(PayTwice("kim".into())).await.expect("both payments succeed"), 5);
    assert_eq!(paid_in(&app, "kim", 0).await, 0);
    let paid = |version| format!("account/kim {version} account.paid");
    assert_eq!(log(&app).await, ["account/kim 1 account.opened".into(), paid(2), paid(3), paid(4)]);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayBeside(String);
#[handler]
async fn pay_beside(command: PayBeside, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    let (one, other) = tokio::join!(accounts.update(&command.0, payment(5)), accounts.update(&command.0, payment(7)));
    one?;
    other?;
    Ok(())
}
async fn beside(app: AppBuilder) {
    let app = built(app);
    opened(&app, "kim").await;
    app.send(PayBeside("kim".into())).await.expect("both payments succeed");
    assert_eq!(paid_in(&app, "kim", 0).await, 12);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct RenameTwice(String);
#[handler]
async fn rename_twice(command: RenameTwice, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    accounts.update(&command.0, |account| account.rename("B")).await?;
    accounts.update(&command.0, |account| account.rename("C")).await?;
    Ok(())
}
async fn renames(app: AppBuilder) {
    let app = built(app);
    let open = async |id: &str, name: &str| app.send(Open { id: id.into(), name: name.into() }).await;
    open("1", "A").await.expect("the name is free");
    app.send(RenameTwice("1".into())).await.expect("the names are free");
    let taken = open("2", "C").await.expect_err("the first account owns the name");
    assert!(matches!(&taken, Error::Taken { index, value } if index == "account.name" && value == "C"), "{taken}");
    open("2", "A").await.expect("the name was released");
    open("3", "B").await.expect("the name in between was not reserved");
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Swap(String, String);
#[handler]
async fn swap_names(Swap(one, other): Swap, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    let first = accounts.get::<AccountError>(&one).await?.name;
    let second = accounts.get::<AccountError>(&other).await?.name;
    accounts.update(&one, |account| account.rename(&second)).await?;
    accounts.update(&other, |account| account.rename(&first)).await?;
    Ok(())
}
async fn swap(app: AppBuilder) {
    let app = built(app);
    opened(&app, "kim").await;
    opened(&app, "lee").await;
    app.send(Swap("kim".into(), "lee".into())).await.expect("each account takes the name that the other releases");
    let taken =
        app.send(Open { id: "park".into(), name: "name of kim".into() }).await.expect_err("lee owns the name now");
    assert_eq!(taken.reason(), "TAKEN");
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct OpenBoth(Open, Open);
#[handler]
async fn open_both(OpenBoth(one, other): OpenBoth, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    for Open { id, name } in [one, other] {
        accounts.create(id, AccountEvent::Opened { name })?;
    }
    Ok(())
}
async fn two_of_a_name(app: AppBuilder) {
    let app = built(app);
    let open = |id: &str| Open { id: id.into(), name: "one name".into() };
    let error = app.send(OpenBoth(open("1"), open("2"))).await.expect_err("a name has one owner");
    assert_eq!(error.reason(), "TAKEN", "{error}");
    assert!(log(&app).await.is_empty());
}
async fn create_twice(app: AppBuilder) {
    let app = built(app);
    let open = |name: &str| Open { id: "1".into(), name: name.into() };
    let error = app.send(OpenBoth(open("a"), open("b"))).await.expect_err("the account was created already");
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (ErrorKind::Internal, "account 1 is created twice in one unit of work")
    );
    assert!(log(&app).await.is_empty());
}

async fn nothing(app: AppBuilder) {
    let app = built(app);
    opened(&app, "kim").await;
    let same = crate::bank::Rename { id: "kim".into(), name: "name of kim".into() };
    let committed = app.with(Metadata::NONE).send_committed(same).await.expect("an unchanged name is accepted");
    assert_eq!(committed.position, None);
    assert_eq!(log(&app).await.len(), 1);
    assert_eq!(app.storage().row("account", "kim", None).await.expect("the storage responds").found.version, 1);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayThenFail(String);
#[handler]
async fn pay_then_fail(command: PayThenFail, accounts: Repo<Account>) -> HandlerResult<(), AccountError> {
    accounts.update(&command.0, payment(5)).await?;
    accounts.create("other".into(), AccountEvent::Opened { name: "other".into() })?;
    Err(AccountError::Insufficient(0).into())
}
async fn failing(app: AppBuilder) {
    let app = built(app);
    opened(&app, "kim").await;
    let _ = app.send(PayThenFail("kim".into())).await.expect_err("the handler fails");
    assert_eq!(log(&app).await.len(), 1);
    assert_eq!(paid_in(&app, "kim", 0).await, 0);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Look(String);
#[handler]
async fn look(command: Look, accounts: Repo<Account>) -> HandlerResult<bool, Infallible> {
    Ok(accounts.find(&command.0).await?.is_some())
}
/// After a roll-back, a program reads events that its successor has written.
async fn newer() {
    let memory = Memory::new();
    let event = AccountEvent::Opened { name: "kim".into() };
    let entry = NewEntry {
        stream: "account/kim".into(),
        version: 1,
        id: uuid::Uuid::from_u128(1),
        name: "account.opened",
        schema: 2,
        payload: serde_json::to_vec(&event).expect("plain data can be encoded"),
        metadata: Metadata::NONE,
        occurred_at: cqrs_core::Timestamp::UNIX_EPOCH,
        outgoing: None,
    };
    memory
        .commit(cqrs_core::storage::Batch { events: vec![entry], ..Default::default() })
        .await
        .expect("the stream is new");
    let app = App::builder("bank").discover_part(module_path!()).storage(memory);
    let app = app.aggregate(cqrs_core::EventSourced::<Account>::new()).build().expect("the app builds");
    let error = app.send(Look("kim".into())).await.expect_err("the schema version is unknown");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("stored by a newer program: version 2, this one reads up to 1"), "{error}");
}
