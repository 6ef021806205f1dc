//! Records that nobody can handle, and handlers that fail: what is parked, as it came, and what goes on beside it.
use super::consumer::GENTLE;
use crate::ledger::{
    account::Posted,
    layers::Scoped,
    mirror,
    node::{Role, Temper},
    stage::Stage,
};
use anyhow::{Result, ensure};
use cqrs_core::Contract;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};
use std::time::{Duration, Instant};

const HUGE: usize = 100_000;
/// Key, body, and how many are to be parked: by the subscriber and by the projection.
const POISON: [(&str, Option<&str>, usize); 5] = [
    ("poison-bytes", Some("not a credit"), 2),
    ("poison-headless", Some("no envelope"), 1),
    ("poison-null", None, 1),
    ("poison-huge", Some("a huge header"), 1),
    ("poison-unknown", Some("of a type that nobody hears"), 0),
];

/// Bad bytes, twice for one key; no headers; no data; a huge header; an unknown type. Accounts go on.
pub(in crate::ledger) async fn records(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    stage.pass(Duration::from_secs(3)).await;
    poison(stage).await?;
    stage.pass(Duration::from_secs(3)).await;
    for reader in [mirror::GROUP, "projection/tally"] {
        for (key, body, count) in POISON {
            parked(stage, reader, key, body, count).await?;
        }
    }
    Ok(())
}

async fn poison(stage: &Stage) -> Result<()> {
    let broker = stage.broker.clone();
    tokio::task::spawn_blocking(move || {
        let huge = "h".repeat(HUGE);
        let mut records = Vec::new();
        for (number, (key, body, count)) in POISON.iter().enumerate() {
            for copy in 0..(*count).max(1) {
                let id = uuid::Uuid::from_u128((number * 10 + copy) as u128 + 1).to_string();
                let kind = if *key == "poison-unknown" { "ledger.unknown.v1" } else { Posted::NAME };
                let mut headers = OwnedHeaders::new();
                if *key != "poison-headless" {
                    headers = headers.insert(Header { key: "ce_id", value: Some(&id) });
                    headers = headers.insert(Header { key: "ce_type", value: Some(kind) });
                }
                if *key == "poison-huge" {
                    headers = headers.insert(Header { key: "x-huge", value: Some(&huge) });
                }
                let record = BaseRecord::to(&broker.topic).key(key.as_bytes()).headers(headers);
                records.push(match body {
                    Some(body) => record.payload(body.as_bytes()),
                    None => record,
                });
            }
        }
        broker.send(records)
    })
    .await?
}

/// Waits until as many are parked, and looks whether each is what was sent.
async fn parked(stage: &Stage, reader: &str, key: &str, body: Option<&str>, count: usize) -> Result<()> {
    let (began, query) = (Instant::now(), "select body, headers::text from cqrs.parked where reader = $1 and key = $2");
    loop {
        let found = sqlx::query_as::<_, (Option<Vec<u8>>, Option<String>)>(query).bind(reader).bind(key);
        let found = found.fetch_all(&stage.effects_tap).await?;
        ensure!(found.len() <= count, "{reader} has parked {} of {key}, not {count}", found.len());
        if found.len() == count {
            let whole = found.iter().all(|(bytes, _)| bytes.as_deref() == body.map(str::as_bytes));
            ensure!(whole, "what {reader} has parked of {key} is not what was sent: {found:?}");
            let headers = found.iter().all(|(_, headers)| headers.as_ref().is_some_and(|it| it.len() > HUGE));
            ensure!(key != "poison-huge" || headers, "{reader} has parked {key} without its header");
            return Ok(());
        }
        ensure!(began.elapsed() < stage.patience, "{reader} has parked {} of {key}, not {count}", found.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Nothing can be parked for a while: until it can, the record's offset is not acknowledged.
pub(in crate::ledger) async fn cannot_be_parked(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("consumer", Role::Consumer)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    stage.pass(Duration::from_secs(3)).await;
    let refuse = "create function refuse() returns trigger language plpgsql as $$ \
        begin raise exception 'planted: nothing is parked'; end $$; \
        create trigger refuse before insert on cqrs.parked for each row execute function refuse()";
    sqlx::raw_sql(refuse).execute(&stage.effects_tap).await?;
    poison(stage).await?;
    let time = stage.time(4.0).max(Duration::from_secs(3));
    stage.pass(time).await;
    let (broker, group) = (stage.broker.clone(), Scoped::name(mirror::GROUP, &stage.template.scope));
    let (committed, there) =
        tokio::task::spawn_blocking(move || anyhow::Ok((broker.committed(&group)?, broker.everything()?))).await??;
    for (key, _, count) in POISON {
        use rdkafka::Message;
        let it = there.iter().find(|it| it.key() == Some(key.as_bytes()));
        let passed = it.is_some_and(|it| committed.get(&it.partition()) > Some(&it.offset()));
        ensure!(count == 0 || !passed, "{key} is acknowledged, and neither handled nor parked");
    }
    sqlx::raw_sql("drop trigger refuse on cqrs.parked").execute(&stage.effects_tap).await?;
    for (key, body, count) in POISON {
        parked(stage, mirror::GROUP, key, body, count).await?;
    }
    Ok(())
}

/// One of five calls fails: the message is tried again, and its key waits.
pub(in crate::ledger) async fn failing_handlers(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    stage
        .start_with("consumer", Role::Consumer, |it| it.temper = Temper { fails: 20, work: 3, ..Temper::default() })?;
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    let time = stage.time(9.0);
    stage.pass(time).await;
    Ok(())
}
