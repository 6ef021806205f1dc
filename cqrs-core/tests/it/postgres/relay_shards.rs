//! The shards of the relay with several replicas on one PostgreSQL.
use super::{Fresh, Server, Trials, Tried, fresh};
use crate::{
    bank::{bank, opened, paid_in, until},
    listener::{LISTENER, Script, lock},
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault,
    app::DRAIN,
    storage::{Storage, postgres::Postgres},
    testing::{StorageLayer, TransportLayer},
    transport::{Audience, InProcess, Published, Record, Transport},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the shards are spread over the replicas, which come, stop and die under load", spread)
        .within(Duration::from_secs(240))
        .test("seeded: replicas that do not see each other leave all shards with the first", unseen)
}

const LEASE: Duration = Duration::from_secs(2);

/// The replica that publishes each shard at the moment, and the shards that two have published at once.
#[derive(Default)]
struct Publishing {
    now: Mutex<BTreeMap<u16, (usize, u32)>>,
    by_two: Mutex<Vec<u16>>,
}
/// The transport of one replica. The replicas share the groups of the transport, as they would share a broker.
struct Observed {
    replica: usize,
    transport: InProcess,
    publishing: Arc<Publishing>,
}
#[async_trait]
impl TransportLayer for Observed {
    fn inner(&self) -> &dyn Transport {
        &self.transport
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let shard = records.first().map_or(0, |record| record.shard);
        let _end = Publish::begin(&self.publishing, shard, self.replica);
        self.transport.publish(audience, records).await
    }
}
/// A publish in progress. It ends when it is dropped, also with its replica.
struct Publish<'a>(&'a Publishing, u16);
impl<'a> Publish<'a> {
    fn begin(publishing: &'a Publishing, shard: u16, replica: usize) -> Self {
        let mut now = lock(&publishing.now);
        let (by, count) = now.entry(shard).or_insert((replica, 0));
        if *count > 0 && *by != replica {
            lock(&publishing.by_two).push(shard);
        }
        (*by, *count) = (replica, *count + 1);
        Publish(publishing, shard)
    }
}
impl Drop for Publish<'_> {
    fn drop(&mut self) {
        if let Some((_, count)) = lock(&self.0.now).get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// A storage on which a relay does not see the notes of the others.
struct Unseen(Postgres);
#[async_trait]
impl StorageLayer for Unseen {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        if prefix.starts_with("relay/") { Ok(Vec::new()) } else { self.0.notes(prefix).await }
    }
}

/// Returns how many shards each replica holds, in descending order.
async fn held(fresh: &Fresh) -> Vec<i64> {
    let held = "select count(*) from cqrs.reader where reader like 'relay/%' and owner is not null \
        and expires > clock_timestamp() group by owner order by 1 desc";
    sqlx::query_scalar(held).fetch_all(&fresh.plain).await.expect("PostgreSQL responds")
}
fn replica(storage: impl Storage, script: &Arc<Script>, transport: impl Transport) -> App {
    let builder = bank(storage).discover_part(LISTENER).provide(script.clone()).transport(transport).lease(LEASE);
    builder.build().expect("the app builds")
}

async fn spread(server: Server) -> Tried {
    let fresh = fresh(server, "relay_shards").await?;
    let (script, publishing, transport) = (Arc::new(Script::default()), Arc::default(), InProcess::new());
    let replica = |number| {
        let observed = Observed { replica: number, transport: transport.clone(), publishing: Arc::clone(&publishing) };
        replica(fresh.storage.clone(), &script, observed)
    };
    let first = replica(1);
    let running = first.start().await?;
    until("the only replica holds all shards", async || held(&fresh).await == [16]).await;

    let (done, payer) = (Arc::new(Mutex::new(false)), first.clone());
    let payments = {
        let done = done.clone();
        tokio::spawn(async move {
            let ids: Vec<_> = (0..12).map(|number| format!("account-{number}")).collect();
            for id in &ids {
                opened(&payer, id).await;
            }
            let mut paid = 0;
            while !*lock(&done) {
                paid += 1;
                for id in &ids {
                    paid_in(&payer, id, paid).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (ids, paid)
        })
    };
    let second = replica(2).start().await?;
    until("two replicas hold eight shards each", async || held(&fresh).await == [8, 8]).await;
    let third = replica(3).start().await?;
    until("three replicas hold six shards at most", async || held(&fresh).await == [6, 6, 4]).await;
    assert!(third.stop(DRAIN).await);
    until("the shards of a replica that stopped are taken", async || held(&fresh).await == [8, 8]).await;
    drop(second); // without releasing anything
    until("the shards of a replica that died are taken", async || held(&fresh).await == [16]).await;

    *lock(&done) = true;
    let (ids, paid) = payments.await?;
    for id in ids {
        let name = format!("the payments of {id} have arrived");
        until(&name, async || script.of(&id).contains(&paid)).await;
        // The replica that died may have called the subscriber without storing it.
        let mut first = BTreeSet::new();
        let in_order: Vec<_> = script.of(&id).into_iter().filter(|amount| first.insert(*amount)).collect();
        assert_eq!(in_order, (1..=paid).collect::<Vec<_>>(), "{id}: all of them, in order");
    }
    let by_two = lock(&publishing.by_two).clone();
    assert!(by_two.is_empty(), "shards {by_two:?} were published by two replicas at once");
    assert!(running.stop(DRAIN).await);
    Ok(())
}

async fn unseen(server: Server) -> Tried {
    let fresh = fresh(server, "relay_shards_unseen").await?;
    let (script, transport) = (Arc::new(Script::default()), InProcess::new());
    let replica = || replica(Unseen(fresh.storage.clone()), &script, transport.clone());
    let first = replica().start().await?;
    until("the first replica holds all shards", async || held(&fresh).await == [16]).await;
    let second = replica().start().await?;
    tokio::time::sleep(3 * LEASE).await;
    assert_eq!(held(&fresh).await, [16]);
    assert!(first.stop(DRAIN).await && second.stop(DRAIN).await);
    Ok(())
}
