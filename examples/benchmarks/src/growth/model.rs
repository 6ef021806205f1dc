//! A counter with a view, for every row that needs an aggregate.
use anyhow::Result;
use cqrs_core::{
    Aggregate, App, AppBuilder, Change, Command, Event, Evolve, HandlerResult, Infallible, Query, Recorded, Repo,
    StateStored, View, Views, handler, projection,
    storage::{Postgres, Storage},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The time limit for a reader to catch up.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = CounterEvent)]
pub(crate) struct Counter {
    #[id]
    id: String,
    count: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "counter", version = 1)]
pub(crate) enum CounterEvent {
    Created,
    Counted {
        by: u64,
    },
    /// An event with a large text.
    Written {
        text: String,
    },
    /// An event that changes `keys` keys of a view.
    Spread {
        keys: u64,
    },
}
impl Evolve<CounterEvent> for Counter {
    fn create(id: String, _: &CounterEvent) -> Option<Self> {
        Some(Counter { id, count: 0 })
    }
    fn apply(&mut self, event: &CounterEvent) {
        if let CounterEvent::Counted { by } = event {
            self.count += by;
        }
    }
}

pub(crate) mod commands {
    use super::{Command, Counter, CounterEvent, Deserialize, HandlerResult, Infallible, Repo, Serialize, handler};

    /// Creates counters in one transaction.
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct CreateCounters {
        pub(crate) ids: Vec<String>,
    }
    #[handler]
    async fn create_counters(command: CreateCounters, counters: Repo<Counter>) -> HandlerResult<(), Infallible> {
        for id in command.ids {
            counters.create(id, CounterEvent::Created)?;
        }
        Ok(())
    }

    /// Appends an event to one counter.
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Append {
        pub(crate) id: String,
        pub(crate) event: CounterEvent,
    }
    #[handler]
    async fn append(command: Append, counters: Repo<Counter>) -> HandlerResult<(), Infallible> {
        counters.update(&command.id, |_| Ok::<_, Infallible>(command.event.clone())).await?;
        Ok(())
    }
}

pub(crate) mod counts {
    use super::{
        Change, CounterEvent, Deserialize, HandlerResult, Infallible, Query, Recorded, Serialize, View, Views, handler,
        projection,
    };
    use cqrs_core::Live;

    pub(crate) const MODULE: &str = module_path!();

    /// The number of events of one counter.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "count", key = String)]
    pub(crate) struct Count {
        pub(crate) events: u64,
    }
    #[projection(name = "count")]
    fn count(event: &Recorded<CounterEvent>) -> Change<Count> {
        Change::none().and(event.aggregate_id.clone(), |found: Option<Count>| {
            Some(Count { events: found.map_or(0, |count| count.events) + 1 })
        })
    }

    #[derive(Debug, Clone, Query)]
    pub(crate) struct FindCount(pub(crate) String);
    #[handler]
    async fn find_count(query: FindCount, counts: Views<Count>) -> HandlerResult<Option<Count>, Infallible> {
        Ok(counts.find(&query.0).await?)
    }

    #[derive(Debug, Clone, Query)]
    pub(crate) struct WatchCount(pub(crate) String);
    #[handler]
    async fn watch_count(query: WatchCount, counts: Views<Count>) -> HandlerResult<Live<Option<Count>>, Infallible> {
        Ok(counts.watch(&query.0, None).await?)
    }
}

/// Returns a builder of an app on a PostgreSQL database, with the counter and its commands.
pub(crate) async fn builder(url: &str) -> Result<AppBuilder> {
    Ok(builder_on(Postgres::connect(url).await?))
}
/// Returns a builder of an app on any database, with the counter and its commands.
pub(crate) fn builder_on(storage: impl Storage) -> AppBuilder {
    App::builder("growth")
        .discover_part(concat!(module_path!(), "::commands"))
        .aggregate(StateStored::<Counter>::new())
        .storage(storage)
}

/// Waits until a reader has handled the whole log, and returns the time that it took.
pub(crate) async fn caught_up(app: &App, reader: &str) -> Result<Duration> {
    let begun = Instant::now();
    while app.lag().await?.get(reader).is_some_and(|lag| *lag > 0) {
        anyhow::ensure!(begun.elapsed() < LIMIT, "{reader} has not caught up within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(begun.elapsed())
}
