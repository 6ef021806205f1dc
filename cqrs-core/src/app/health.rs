//! The health of an app, component by component.
use crate::{app::App, environment::within, runtime::QuerySide};
use async_trait::async_trait;
use std::time::Duration;

/// The longest time that the database may take to respond before it counts as down.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The health of an app's components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The components, each with its error if it does not work.
    pub components: Vec<Component>,
}
impl Health {
    /// Returns whether requests can be served: every required component works.
    pub fn is_ready(&self) -> bool {
        self.components.iter().all(|component| component.error.is_none() || !component.required)
    }
}

/// A component of a service, such as its database, with its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name of the service that uses the component.
    pub service: String,
    /// The kind of component: `database`, `broker`, `jobs`, `circuit_breakers`, `topics`, `unique_values`, or `views` for
    /// an app.
    pub name: &'static str,
    /// Set when requests need the component. The broker is not required: outgoing events stay in the outbox while it is
    /// down. Background jobs are not required either: those that fail are tried again. Nor are circuit breakers: a reader
    /// that is paused goes on by itself. Nor are topics: one that does not exist yet is read once its owner has created it,
    /// and one that was created again is not read until an operator accepts it. Outgoing events to a topic that the broker
    /// refuses stay in the outbox, and those to other topics are sent. Nor are unique values: commands are served while
    /// those of an older program are not reserved.
    pub required: bool,
    /// The error while the component does not work, without secrets.
    pub error: Option<String>,
}

/// A source of health and metrics for the endpoints of feature `operations`.
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    /// Returns the current health, within seconds.
    async fn health(&self) -> Health;
    /// Sets the gauges before each scrape of the metrics. Does nothing by default.
    async fn measure(&self) {}
}

impl App {
    /// Checks the app's components: the database responds within a second, accepts writes and has the schema; the broker
    /// is joined and accepts records; the last step of every background job succeeded; no circuit breaker is open; the
    /// topics exist and are those that were read before, the broker accepts records of each, and no records were lost; the
    /// values of every unique field are reserved.
    pub async fn health(&self) -> Health {
        let runtime = &self.runtime;
        let checked = within(&*runtime.environment, TIMEOUT, runtime.storage.ready()).await;
        let database = match checked {
            None => Some(format!("the database did not respond within {} s", TIMEOUT.as_secs())),
            Some(Err(fault)) => Some(fault.to_string()),
            Some(Ok(())) => None,
        };
        let is_query_side = runtime.query_side.is_some();
        let component = |name, required, error| Component { service: self.service().to_owned(), name, required, error };
        let broker = runtime.broker.error().map(str::to_owned);
        let components = vec![
            component("database", !is_query_side, database),
            component("broker", false, broker),
            component("jobs", false, runtime.jobs.error()),
            component("circuit_breakers", false, runtime.breakers.error()),
            component("topics", false, runtime.topics.error()),
            component("unique_values", false, runtime.reserving.error()),
        ];
        let mut health = Health { components };
        if let Some(side) = &runtime.query_side {
            let checked = within(&*runtime.environment, TIMEOUT, self.views_error(side)).await;
            let error =
                checked.unwrap_or_else(|| Some(format!("the store did not respond within {} s", TIMEOUT.as_secs())));
            health.components.push(component("views", true, error));
        }
        health
    }
    /// Returns why the views of a query side cannot be read, if they cannot.
    async fn views_error(&self, side: &QuerySide) -> Option<String> {
        let unfilled = async {
            side.store.respond().await?;
            side.unfilled(&self.runtime).await
        };
        match unfilled.await {
            Err(fault) => Some(fault.to_string()),
            Ok(unfilled) if unfilled.is_empty() => None,
            Ok(unfilled) => {
                let readers: Vec<_> =
                    unfilled.iter().map(|(reader, position)| format!("{reader} (position {position})")).collect();
                Some(format!("views are being filled by {}", readers.join(", ")))
            }
        }
    }
}
#[async_trait]
impl HealthCheck for App {
    async fn health(&self) -> Health {
        App::health(self).await
    }
    async fn measure(&self) {
        // The gauge of the component already reports a database that cannot be read.
        let measured = within(&*self.runtime.environment, TIMEOUT, App::measure(self)).await;
        if let Some(Err(fault)) = measured {
            let error = &fault as &dyn std::error::Error;
            tracing::debug!(service = self.service(), error, "the gauges were not updated");
        }
    }
}
