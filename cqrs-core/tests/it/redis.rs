//! Redis as the store of a query side: the suite, the guarantees on top of it, and the faults of a Redis.
use crate::{
    bank::{FindCard, bank, opened, paid_in, until},
    query_side,
};
use anyhow::Result;
use async_trait::async_trait;
use cqrs_core::{
    App, ErrorKind, Metadata, Position,
    storage::{CommitError, Memory, ParkedPage, Redis, Scan, ViewBatch, ViewChange, ViewStore},
    testing::{TestApp, conformance::view_store::Harness, conformance::view_store::cases, settle},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use test_support::{Redis as Server, Trials};

pub(crate) fn trials() -> Trials {
    let suite = cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(format!("view store: {}", case.name), move |server: &'static Server| async move {
            case.run(Box::new(OnServer::open(server)?)).await;
            anyhow::Ok(())
        })
    });
    suite
        .test("query side: it answers as the service does", async |server: &'static Server| {
            query_side::answers(store(server)?).await;
            anyhow::Ok(())
        })
        .test("query side: a read waits for the position of a token", async |server: &'static Server| {
            query_side::token(store(server)?).await;
            anyhow::Ok(())
        })
        .test("query side: several processes apply each event once", async |server: &'static Server| {
            query_side::once(store(server)?).await;
            anyhow::Ok(())
        })
        .test("query side: it answers while the database is down", async |server: &'static Server| {
            query_side::database_down(store(server)?).await;
            anyhow::Ok(())
        })
        .test("a Redis that is killed and starts empty is filled again", killed)
        .test("a Redis that starts from an older snapshot goes on from there, and no read is too old", older)
        .test("a Redis that an operator has emptied is filled again", flushed)
        .test("a full Redis holds the projections, and they go on when it has room", full)
        .test("a full Redis applies no part of a batch", full_batch)
        .test("a frozen Redis fails a call in seconds, and later calls succeed", frozen)
        .test("a Redis that evicts keys is refused at the start", evicting)
        .test("a Redis that evicts keys since a restart is refused at the next connection", evicting_later)
        .test("a wrong URL or prefix is refused without the password", wrong)
}

/// Returns a store with a prefix of its own.
fn store(server: &Server) -> Result<Arc<dyn ViewStore>> {
    Ok(Arc::new(Redis::open(&server.url(), &prefix())?))
}
fn prefix() -> String {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    format!("test {}", LAST.fetch_add(1, Ordering::Relaxed))
}

struct OnServer {
    url: String,
    prefix: String,
    store: Redis,
}
impl OnServer {
    fn open(server: &Server) -> Result<Self> {
        let (url, prefix) = (server.url(), prefix());
        Ok(OnServer { store: Redis::open(&url, &prefix)?, url, prefix })
    }
}
#[async_trait]
impl Harness for OnServer {
    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(self.store.clone())
    }
    async fn reopen(&mut self) -> Arc<dyn ViewStore> {
        self.store = Redis::open(&self.url, &self.prefix).expect("the URL is right");
        self.store()
    }
}

/// Returns a started service and its query side on this server.
async fn both(server: &Server) -> Result<(TestApp, TestApp)> {
    let database = Memory::new();
    let commands = started(bank(database.clone())).await?;
    let queries = started(bank(database).query_side(Redis::open(&server.url(), "bank")?)).await?;
    Ok((commands, queries))
}
async fn started(app: cqrs_core::AppBuilder) -> Result<TestApp> {
    TestApp::start(app).await.map_err(anyhow::Error::from_boxed)
}
async fn balance(app: &App, id: &str) -> Result<Option<i64>, ErrorKind> {
    let found = app.send(FindCard(id.to_owned())).await.map_err(|error| error.kind())?;
    Ok(found.map(|card| card.balance))
}
async fn at(app: &App, id: &str, position: u64) -> Result<Option<i64>, ErrorKind> {
    let token = Metadata::default().token(app.token(Position(position)));
    let found = app.with(token).send(FindCard(id.to_owned())).await.map_err(|error| error.kind())?;
    Ok(found.map(|card| card.balance))
}

/// Reads until the balance is the expected one, and fails if a read that succeeds returns anything else.
async fn filled_again(queries: &App, expected: i64) {
    until("the views are filled again", async || match balance(queries, "kim").await {
        Ok(found) => {
            assert_eq!(found, Some(expected), "a read of a view that is not filled");
            true
        }
        Err(kind) => {
            assert_eq!(kind, ErrorKind::Unavailable);
            false
        }
    })
    .await;
}

async fn killed(server: Server) -> Result<()> {
    let (commands, queries) = both(&server).await?;
    opened(&commands, "kim").await;
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &queries]).await;
    server.kill()?;
    assert_eq!(balance(&queries, "kim").await, Err(ErrorKind::Unavailable));
    assert!(!queries.health().await.is_ready());
    assert_eq!(paid_in(&commands, "kim", 1).await, 6, "the service goes on");
    server.start_again()?;
    filled_again(&queries, 6).await;
    settle(&[&commands, &queries]).await;
    assert!(queries.health().await.is_ready());
    Ok(())
}

async fn older(server: Server) -> Result<()> {
    let (commands, queries) = both(&server).await?;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    assert_eq!(server.command(&["SAVE"])?, "+OK");
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &queries]).await;
    assert_eq!(at(&queries, "kim", 2).await, Ok(Some(5)));
    server.kill()?;
    server.start_again()?;
    // The process has known position 2. A read with the token must not trust that.
    for _ in 0..50 {
        match at(&queries, "kim", 2).await {
            Ok(found) => assert_eq!(found, Some(5), "a read without what its caller has seen"),
            Err(kind) => assert_eq!(kind, ErrorKind::Unavailable),
        }
    }
    until("the query side goes on", async || at(&queries, "kim", 2).await == Ok(Some(5))).await;
    Ok(())
}

async fn flushed(server: Server) -> Result<()> {
    let (commands, queries) = both(&server).await?;
    opened(&commands, "kim").await;
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &queries]).await;
    assert_eq!(server.command(&["FLUSHALL"])?, "+OK");
    // No event has to come for it.
    filled_again(&queries, 5).await;
    paid_in(&commands, "kim", 1).await;
    settle(&[&commands, &queries]).await;
    assert_eq!(balance(&queries, "kim").await, Ok(Some(6)));
    Ok(())
}

/// Makes the server full.
fn fill(server: &Server) -> Result<()> {
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).map(drop)
}
fn empty(server: &Server) -> Result<()> {
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).map(drop)
}

async fn full(server: Server) -> Result<()> {
    let (commands, queries) = both(&server).await?;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    fill(&server)?;
    paid_in(&commands, "kim", 5).await;
    until("the projection fails", async || {
        let health = queries.health().await;
        health.components.iter().any(|part| part.name == "jobs" && part.error.is_some())
    })
    .await;
    assert_eq!(balance(&queries, "kim").await, Ok(Some(0)), "the query side answers with what it has");
    assert_eq!(balance(&commands, "kim").await, Ok(Some(5)), "the service goes on");
    let parked = queries.storage().parked_keys(&ParkedPage { limit: 9, ..ParkedPage::default() }).await?;
    assert_eq!(parked, []);
    empty(&server)?;
    until("the projection goes on", async || balance(&queries, "kim").await == Ok(Some(5))).await;
    Ok(())
}

async fn full_batch(server: Server) -> Result<()> {
    let store = Redis::open(&server.url(), "bank")?;
    let change = |key: &str, expected| ViewChange {
        key: key.to_owned(),
        expected,
        value: Some(b"x".to_vec()),
        entries: vec![("by", b"x".to_vec())],
    };
    let step = |from, to| cqrs_core::storage::CheckpointMove { reader: "r".into(), from, to, epoch: None };
    let batch = |writes, moves| ViewBatch { view: "v".into(), writes, moves };
    store.apply(batch(vec![change("a", 0)], vec![step(0, 1)])).await?;
    fill(&server)?;
    for moves in [vec![step(1, 2)], vec![]] {
        let removal = ViewChange { value: None, ..change("a", 1) };
        let rejected = store.apply(batch(vec![removal, change("b", 0)], moves)).await.expect_err("Redis is full");
        assert!(matches!(&rejected, CommitError::Fault(fault) if fault.is_transient()), "{rejected:?}");
        assert_eq!(rejected.to_string(), "Redis is full; the projections wait until it has room");
    }
    let keys = ["a".to_owned(), "b".to_owned()];
    let read = store.find("v", &keys, &["r".to_owned()]).await?;
    assert_eq!((read.found.len(), read.found[0].version, read.checkpoints), (1, 1, vec![1]));
    let all = Scan { view: "v", index: "by", from: (b"", ""), until: None, reversed: false, limit: 9 };
    assert_eq!(store.count(&all, &[]).await?.found, 1, "an index entry of the refused batch was removed or added");
    empty(&server)?;
    store.apply(batch(vec![change("a", 1), change("b", 0)], vec![step(1, 2)])).await?;
    Ok(())
}

async fn frozen(server: Server) -> Result<()> {
    let store = Redis::open(&server.url(), "bank")?;
    store.respond().await?;
    server.freeze()?;
    let began = Instant::now();
    let fault = store.respond().await.expect_err("a frozen server does not respond");
    assert!(fault.kind() == ErrorKind::Unavailable && began.elapsed() < Duration::from_secs(10), "{fault}");
    server.thaw()?;
    until("the store responds again", async || store.respond().await.is_ok()).await;
    Ok(())
}

async fn evicting(server: Server) -> Result<()> {
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
    let database = Memory::new();
    let _commands = started(bank(database.clone())).await?;
    let queries = bank(database).query_side(Redis::open(&server.url(), "bank")?).build()?;
    let fault = queries.start().await.expect_err("the start is refused");
    assert!(fault.to_string().contains("maxmemory-policy allkeys-lru"), "{fault}");
    Ok(())
}

async fn evicting_later(server: Server) -> Result<()> {
    let store = Redis::open(&server.url(), "bank")?;
    store.respond().await?;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"])?;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"])?;
    until("the new connection is refused", async || {
        store.respond().await.is_err_and(|fault| fault.to_string().contains("maxmemory-policy volatile-lru"))
    })
    .await;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])?;
    until("the store responds again", async || store.respond().await.is_ok()).await;
    Ok(())
}

async fn wrong() -> Result<()> {
    for url in ["", "redis", "http://localhost", "redis://:hunter2@"] {
        let fault = Redis::open(url, "bank").expect_err("the URL is refused");
        assert!(fault.kind() == ErrorKind::Invalid && !format!("{fault:?}").contains("hunter2"), "{fault:?}");
    }
    for prefix in ["", "a{b", "a}b", "a\0b"] {
        assert!(Redis::open("redis://localhost", prefix).is_err());
    }
    Ok(())
}
