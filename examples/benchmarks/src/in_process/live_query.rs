//! Live queries in this process: from a command's commit to the update of a subscriber.
use super::CounterService;
use crate::{
    growth::model::{
        CounterEvent,
        commands::Append,
        counts::{Count, WatchCount},
    },
    subject::{Caller, Counters, Subject},
};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cqrs_core::{App, Live};
use std::time::{Duration, Instant};

/// The time limit of one update.
const LIMIT: Duration = Duration::from_secs(10);

/// A live query of a counter for each caller, who changes the counter.
pub(crate) struct LiveQuery<'a>(pub(crate) &'a CounterService);
#[async_trait]
impl Subject for LiveQuery<'_> {
    fn name(&self) -> &'static str {
        "framework"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            let counter = self.0.create_counter().await?;
            let live = self.0.app.send(WatchCount(counter.clone())).await?;
            let mut subscriber =
                Subscriber { app: self.0.app.clone(), counter, live, events: 1, measured: Duration::ZERO };
            subscriber.updated().await?;
            callers.push(Box::new(subscriber));
        }
        Ok(callers)
    }
    async fn counters(&self) -> Result<Counters> {
        self.0.counters().await
    }
}

struct Subscriber {
    app: App,
    counter: String,
    live: Live<Option<Count>>,
    /// The number of events of the counter.
    events: u64,
    /// The time from the last commit to its update.
    measured: Duration,
}
impl Subscriber {
    /// Waits for the next update, and checks that it has every event.
    async fn updated(&mut self) -> Result<()> {
        let update = tokio::time::timeout(LIMIT, self.live.next()).await.context("no update has come")?;
        let answer = update.context("the live query has ended")??.answer;
        ensure!(answer == Some(Count { events: self.events }), "expected {} events, received {answer:?}", self.events);
        Ok(())
    }
}
#[async_trait]
impl Caller for Subscriber {
    async fn call(&mut self) -> Result<()> {
        self.events += 1;
        let event = CounterEvent::Counted { by: 1 };
        self.app.send(Append { id: self.counter.clone(), event }).await?;
        let committed = Instant::now();
        self.updated().await?;
        self.measured = committed.elapsed();
        Ok(())
    }
    fn measured(&self) -> Option<Duration> {
        Some(self.measured)
    }
}
