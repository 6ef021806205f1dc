//! How an aggregate is kept is one line of wiring: rows and streams answer the same and leave the same log.
use crate::{
    bank::{Account, BANK, Open, Pay, Rename},
    trials::trial,
};
use cqrs_core::{App, DomainError, Error, Kept, Position, Rows, Running, Streams, storage::Memory};
use libtest_mimic::Trial;
use std::fmt::Debug;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("rows and streams answer the same, and leave the same log", async || {
        let rows = story(Rows::<Account>::new()).await;
        let streams = story(Streams::<Account>::new()).await;
        assert_eq!(rows, streams);
        assert_eq!(
            rows.last().map(String::as_str),
            Some(r#"account-kim 5 account.paid {"Paid":{"id":"kim","amount":-2}}"#)
        );
    })]
}

/// What a caller is told, then what the log holds.
async fn story<K: Kept>(kept: K) -> Vec<String> {
    let app = App::new("bank").discover(BANK).aggregate(kept).storage(Memory::new()).build().expect("it fits together");
    let open = |id: &str, name: &str| app.send(Open { id: id.into(), name: name.into() });
    let pay = |id: &str, amount| app.send(Pay { id: id.into(), amount });
    let rename = |id: &str, name: &str| app.send(Rename { id: id.into(), name: name.into() });
    let mut told = vec![
        said(pay("kim", 1).await),
        said(open("kim", "kim").await),
        said(open("kim", "again").await),
        said(open("lee", "kim").await),
        said(pay("kim", 5).await),
        said(pay("kim", -6).await),
        said(rename("kim", "kim").await),
        said(rename("kim", "kay").await),
        said(open("lee", "kim").await),
        said(rename("lee", "kay").await),
        said(pay("kim", 2).await),
        said(pay("kim", -2).await),
    ];
    told.extend(log(&app).await);
    told
}
fn said<T: Debug, E: DomainError>(answer: Result<T, Error<E>>) -> String {
    // A row and a stream have other names in a refusal.
    let refusal = |error: Error<E>| format!("{:?} {}", error.kind(), error.reason());
    answer.map_or_else(refusal, |it| format!("{it:?}"))
}
async fn log(app: &Running) -> Vec<String> {
    let upto = app.storage().horizon().await.expect("it answers");
    let entries = app.storage().log(Position(0), upto, 100).await.expect("it answers");
    let mut lines = Vec::new();
    for it in &entries {
        lines.push(format!("{} {} {} {}", it.stream, it.version, it.name, String::from_utf8_lossy(&it.payload)));
    }
    lines
}
