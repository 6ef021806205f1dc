//! What a handler sees of aggregates within one command: always the same one, and all of it is committed or nothing.
use crate::{
    bank::{Account, AccountError, AccountEvent, Open, on_each, opened, paid_in},
    trials::trial,
};
use cqrs_core::{
    App, Command, Error, ErrorKind, Metadata, Never, Position, Repo, Result,
    batch::NewEntry,
    handler,
    storage::{Memory, Storage},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("unit: an event of a newer program is not folded", newer)];
    trials.extend(on_each("unit: an update sees the one before, also after find", twice));
    trials.extend(on_each("unit: updates beside each other see each other", beside));
    trials.extend(on_each("unit: of a name that changes twice only the last is kept", renames));
    trials.extend(on_each("unit: two names are swapped", swap));
    trials.extend(on_each("unit: two of one name are refused", two_of_a_name));
    trials.extend(on_each("unit: what is created twice is refused", create_twice));
    trials.extend(on_each("unit: a decision without events commits nothing", nothing));
    trials.extend(on_each("unit: a handler that fails commits nothing", failing));
    trials
}
fn built(app: App) -> cqrs_core::Running {
    app.discover(module_path!()).build().expect("it fits together")
}
fn by(amount: i64) -> impl FnOnce(&Account) -> std::result::Result<AccountEvent, AccountError> {
    move |account| account.pay(amount)
}
async fn log(app: &cqrs_core::Running) -> Vec<String> {
    let storage = app.storage();
    let upto = storage.horizon().await.expect("it answers");
    let entries = storage.log(Position(0), upto, 100).await.expect("it answers");
    entries.iter().map(|it| format!("{} {} {}", it.stream, it.version, it.name)).collect()
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayTwice(String);
#[handler]
async fn pay_twice(command: PayTwice, accounts: Repo<Account>) -> Result<i64, AccountError> {
    accounts.update(&command.0, by(5)).await?;
    let seen = accounts.get::<AccountError>(&command.0).await?.balance;
    accounts.update(&command.0, by(-5)).await?;
    Ok(seen)
}
async fn twice(app: App) {
    let app = built(app);
    opened(&app, "kim").await;
    assert_eq!(app.send(PayTwice("kim".into())).await.expect("both are paid"), 5);
    assert_eq!(paid_in(&app, "kim", 0).await, 0);
    let paid = |version| format!("account-kim {version} account.paid");
    assert_eq!(log(&app).await, ["account-kim 1 account.opened".into(), paid(2), paid(3), paid(4)]);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayBeside(String);
#[handler]
async fn pay_beside(command: PayBeside, accounts: Repo<Account>) -> Result<(), AccountError> {
    let (one, other) = tokio::join!(accounts.update(&command.0, by(5)), accounts.update(&command.0, by(7)));
    one?;
    other?;
    Ok(())
}
async fn beside(app: App) {
    let app = built(app);
    opened(&app, "kim").await;
    app.send(PayBeside("kim".into())).await.expect("both are paid");
    assert_eq!(paid_in(&app, "kim", 0).await, 12);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct RenameTwice(String);
#[handler]
async fn rename_twice(command: RenameTwice, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.update(&command.0, |it| it.rename("B")).await?;
    accounts.update(&command.0, |it| it.rename("C")).await?;
    Ok(())
}
async fn renames(app: App) {
    let app = built(app);
    let open = async |id: &str, name: &str| app.send(Open { id: id.into(), name: name.into() }).await;
    open("1", "A").await.expect("it is free");
    app.send(RenameTwice("1".into())).await.expect("they are free");
    let taken = open("2", "C").await.expect_err("it is the first one's");
    assert!(matches!(&taken, Error::Taken { index, value } if index == "account.name" && value == "C"), "{taken}");
    open("2", "A").await.expect("it was given back");
    open("3", "B").await.expect("it was never kept");
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Swap(String, String);
#[handler]
async fn swap_names(Swap(one, other): Swap, accounts: Repo<Account>) -> Result<(), AccountError> {
    let first = accounts.get::<AccountError>(&one).await?.name;
    let second = accounts.get::<AccountError>(&other).await?.name;
    accounts.update(&one, |it| it.rename(&second)).await?;
    accounts.update(&other, |it| it.rename(&first)).await?;
    Ok(())
}
async fn swap(app: App) {
    let app = built(app);
    opened(&app, "kim").await;
    opened(&app, "lee").await;
    app.send(Swap("kim".into(), "lee".into())).await.expect("each gets what the other gives back");
    let taken = app.send(Open { id: "park".into(), name: "name of kim".into() }).await.expect_err("it is lee's now");
    assert_eq!(taken.reason(), "TAKEN");
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct OpenBoth(Open, Open);
#[handler]
async fn open_both(OpenBoth(one, other): OpenBoth, accounts: Repo<Account>) -> Result<(), AccountError> {
    for Open { id, name } in [one, other] {
        accounts.create(AccountEvent::Opened { id, name })?;
    }
    Ok(())
}
async fn two_of_a_name(app: App) {
    let app = built(app);
    let open = |id: &str| Open { id: id.into(), name: "one name".into() };
    let error = app.send(OpenBoth(open("1"), open("2"))).await.expect_err("only one can have it");
    assert_eq!(error.reason(), "TAKEN", "{error}");
    assert!(log(&app).await.is_empty());
}
async fn create_twice(app: App) {
    let app = built(app);
    let open = |name: &str| Open { id: "1".into(), name: name.into() };
    let error = app.send(OpenBoth(open("a"), open("b"))).await.expect_err("the second is one too many");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Internal, "account 1 is created twice in one unit"));
    assert!(log(&app).await.is_empty());
}

async fn nothing(app: App) {
    let app = built(app);
    opened(&app, "kim").await;
    let same = crate::bank::Rename { id: "kim".into(), name: "name of kim".into() };
    let ((), at) = app.with(Metadata::NONE).send_at(same).await.expect("it changes nothing");
    assert_eq!(at, Position(0));
    assert_eq!(log(&app).await.len(), 1);
    assert_eq!(app.storage().row("account", "kim", None).await.expect("it answers").found.version, 1);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct PayThenFail(String);
#[handler]
async fn pay_then_fail(command: PayThenFail, accounts: Repo<Account>) -> Result<(), AccountError> {
    accounts.update(&command.0, by(5)).await?;
    accounts.create(AccountEvent::Opened { id: "other".into(), name: "other".into() })?;
    Err(AccountError::Insufficient(0).into())
}
async fn failing(app: App) {
    let app = built(app);
    opened(&app, "kim").await;
    let _ = app.send(PayThenFail("kim".into())).await.expect_err("it always fails");
    assert_eq!(log(&app).await.len(), 1);
    assert_eq!(paid_in(&app, "kim", 0).await, 0);
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Look(String);
#[handler]
async fn look(command: Look, accounts: Repo<Account>) -> Result<bool, Never> {
    Ok(accounts.find(&command.0).await?.is_some())
}
/// After a roll-back, a program meets what its successor wrote.
async fn newer() {
    let memory = Memory::new();
    let event = AccountEvent::Opened { id: "kim".into(), name: "kim".into() };
    let entry = NewEntry {
        stream: "account-kim".into(),
        version: 1,
        id: uuid::Uuid::from_u128(1),
        name: "account.opened",
        schema: 2,
        payload: serde_json::to_vec(&event).expect("it is plain data"),
        metadata: Metadata::NONE,
        at: cqrs_core::Timestamp::UNIX_EPOCH,
        told: None,
    };
    memory.commit(cqrs_core::batch::Batch { events: vec![entry], ..Default::default() }).await.expect("it is new");
    let app = App::new("bank").discover(module_path!()).storage(memory);
    let app = app.aggregate(cqrs_core::Streams::<Account>::new()).build().expect("it fits together");
    let error = app.send(Look("kim".into())).await.expect_err("it cannot know what this means");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("stored by a newer program: version 2, this one knows 1"), "{error}");
}
