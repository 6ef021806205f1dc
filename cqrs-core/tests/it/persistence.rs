//! State-stored and event-sourced aggregates give callers the same results and leave the same log.
use crate::{
    bank::{Account, BANK, Open, Pay, Rename},
    trials::trial,
};
use cqrs_core::{App, DomainError, Error, EventSourced, Persistence, Position, StateStored, storage::Memory};
use libtest_mimic::Trial;
use std::fmt::Debug;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "persistence: state-stored and event-sourced aggregates give the same results and the same log",
        async || {
            let state_stored = scenario(StateStored::<Account>::new()).await;
            let event_sourced = scenario(EventSourced::<Account>::new()).await;
            assert_eq!(state_stored, event_sourced);
            assert_eq!(
                state_stored.last().map(String::as_str),
                Some(r#"account/kim 5 account.paid {"Paid":{"amount":-2}}"#)
            );
        },
    )]
}

/// Returns the results that a caller sees, then the lines of the log.
async fn scenario<K: Persistence>(persistence: K) -> Vec<String> {
    let app = App::builder("bank")
        .discover_part(BANK)
        .aggregate(persistence)
        .storage(Memory::new())
        .build()
        .expect("the app builds");
    let open = |id: &str, name: &str| app.send(Open { id: id.into(), name: name.into() });
    let pay = |id: &str, amount| app.send(Pay { id: id.into(), amount });
    let rename = |id: &str, name: &str| app.send(Rename { id: id.into(), name: name.into() });
    let mut lines = vec![
        outcome(pay("kim", 1).await),
        outcome(open("kim", "kim").await),
        outcome(open("kim", "again").await),
        outcome(open("lee", "kim").await),
        outcome(pay("kim", 5).await),
        outcome(pay("kim", -6).await),
        outcome(rename("kim", "kim").await),
        outcome(rename("kim", "kay").await),
        outcome(open("lee", "kim").await),
        outcome(rename("lee", "kay").await),
        outcome(pay("kim", 2).await),
        outcome(pay("kim", -2).await),
    ];
    lines.extend(log(&app).await);
    lines
}
fn outcome<T: Debug, E: DomainError>(result: Result<T, Error<E>>) -> String {
    // The text of an error names a row or a stream, so only its kind and reason are compared.
    let refusal = |error: Error<E>| format!("{:?} {}", error.kind(), error.reason());
    result.map_or_else(refusal, |output| format!("{output:?}"))
}
async fn log(app: &App) -> Vec<String> {
    let upto = app.storage().high_water_mark().await.expect("the storage responds");
    let entries = app
        .storage()
        .log(Position(0), upto, cqrs_core::storage::ReadLimit::entries(100))
        .await
        .expect("the storage responds");
    let mut lines = Vec::new();
    for entry in &entries {
        let payload = String::from_utf8_lossy(&entry.payload);
        lines.push(format!("{} {} {} {payload}", entry.stream, entry.version, entry.name));
    }
    lines
}
