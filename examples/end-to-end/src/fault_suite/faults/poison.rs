//! Records that cannot be handled, and handlers that fail: such records are parked unchanged, and other keys continue.
use super::consumer::GENTLE;
use crate::fault_suite::{
    account::Posted,
    check::Invariant::I1,
    fixture::Fixture,
    layers::Scoped,
    mirror,
    node::{HandlerBehaviour, Role},
};
use anyhow::{Result, ensure};
use cqrs_core::IntegrationEvent;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};
use std::time::{Duration, Instant};

const HUGE: usize = 100_000;
/// Key, body, and the number of records that the subscriber and the projection each must park.
const POISON: [(&str, Option<&str>, usize); 5] = [
    ("poison-bytes", Some("not a credit"), 2),
    ("poison-headless", Some("no envelope"), 1),
    ("poison-null", None, 1),
    ("poison-huge", Some("a huge header"), 1),
    ("poison-unknown", Some("of a type without a handler"), 0),
];

/// Sends invalid bytes (twice for one key), no headers, no body, a huge header and an unknown type. The accounts
/// continue.
pub(in crate::fault_suite) async fn records(fixture: &mut Fixture) -> Result<()> {
    fixture.leaves_parked = true;
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    fixture.wait(Duration::from_secs(3)).await;
    poison(fixture).await?;
    fixture.wait(Duration::from_secs(3)).await;
    for reader in [mirror::GROUP, "projection/tally"] {
        for (key, body, count) in POISON {
            if !parked(fixture, reader, key, body, count).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn poison(fixture: &Fixture) -> Result<()> {
    let broker = fixture.broker.clone();
    tokio::task::spawn_blocking(move || {
        let huge = "h".repeat(HUGE);
        let mut records = Vec::new();
        for (number, (key, body, count)) in POISON.iter().enumerate() {
            for copy in 0..(*count).max(1) {
                let id = uuid::Uuid::from_u128((number * 10 + copy) as u128 + 1).to_string();
                let kind = if *key == "poison-unknown" { "faults.unknown.v1" } else { Posted::NAME };
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

/// Waits until this number of records is parked, and compares each with the record that was sent. Returns false when a
/// record was lost.
async fn parked(fixture: &mut Fixture, reader: &str, key: &str, body: Option<&str>, count: usize) -> Result<bool> {
    let (began, query) = (Instant::now(), "select body, headers::text from cqrs.parked where reader = $1 and key = $2");
    loop {
        let found = sqlx::query_as::<_, (Option<Vec<u8>>, Option<String>)>(query).bind(reader).bind(key);
        let found = found.fetch_all(&fixture.effects_probe).await?;
        ensure!(found.len() <= count, "{reader} has parked {} of {key}, not {count}", found.len());
        if found.len() == count {
            let unchanged = found.iter().all(|(bytes, _)| bytes.as_deref() == body.map(str::as_bytes));
            ensure!(unchanged, "{reader} has parked {key} with another body than was sent: {found:?}");
            let headers = found.iter().all(|(_, headers)| headers.as_ref().is_some_and(|headers| headers.len() > HUGE));
            ensure!(key != "poison-huge" || headers, "{reader} has parked {key} without its header");
            return Ok(true);
        }
        if began.elapsed() > fixture.patience {
            fixture.violation(I1, format!("{reader} has parked {} records of {key}, not {count}", found.len()));
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Parking fails for a while. Until it succeeds, the offset of the record is not acknowledged.
pub(in crate::fault_suite) async fn cannot_be_parked(fixture: &mut Fixture) -> Result<()> {
    fixture.leaves_parked = true;
    for (name, role) in [("relay", Role::Relay), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    fixture.wait(Duration::from_secs(3)).await;
    let refuse = "create function refuse() returns trigger language plpgsql as $$ \
        begin raise exception 'seeded: nothing can be parked'; end $$; \
        create trigger refuse before insert on cqrs.parked for each row execute function refuse()";
    sqlx::raw_sql(refuse).execute(&fixture.effects_probe).await?;
    poison(fixture).await?;
    let time = fixture.time(4.0).max(Duration::from_secs(3));
    fixture.wait(time).await;
    let (broker, group) = (fixture.broker.clone(), Scoped::name(mirror::GROUP, &fixture.template.scope));
    let (committed, records) =
        tokio::task::spawn_blocking(move || anyhow::Ok((broker.committed(&group)?, broker.everything()?))).await??;
    for (key, _, count) in POISON {
        use rdkafka::Message;
        let record = records.iter().find(|record| record.key() == Some(key.as_bytes()));
        let passed = record.is_some_and(|record| committed.get(&record.partition()) > Some(&record.offset()));
        if count > 0 && passed {
            fixture.violation(I1, format!("{key} is acknowledged although it is neither handled nor parked"));
            return Ok(());
        }
    }
    sqlx::raw_sql("drop trigger refuse on cqrs.parked").execute(&fixture.effects_probe).await?;
    for (key, body, count) in POISON {
        if !parked(fixture, mirror::GROUP, key, body, count).await? {
            break;
        }
    }
    Ok(())
}

/// One of five calls of the handler fails. The message is tried again, and its key waits.
pub(in crate::fault_suite) async fn failing_handlers(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    let behaviour = HandlerBehaviour { fails: 20, work: 3, ..HandlerBehaviour::default() };
    fixture.start_with("consumer", Role::Consumer, |config| config.behaviour = behaviour)?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    let time = fixture.time(9.0);
    fixture.wait(time).await;
    Ok(())
}
