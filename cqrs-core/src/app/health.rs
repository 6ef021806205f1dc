//! Whether an app can do its work now: part by part, and what is wrong with each.
use super::Running;
use crate::world::within;
use async_trait::async_trait;
use std::time::Duration;

/// How long the database may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an app is made of, and how each part is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The parts.
    pub parts: Vec<Part>,
}
impl Health {
    /// Whether requests can be answered: every part that they need works.
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.trouble.is_none() || !part.needed)
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whose: the service's name.
    pub of: String,
    /// What: `database`, `broker`.
    pub what: &'static str,
    /// Whether requests need it. The broker is not needed: the log keeps what is to be told.
    pub needed: bool,
    /// What is wrong with it, without secrets.
    pub trouble: Option<String>,
}

/// What can be asked how it is, by the endpoints of feature `operations`.
#[async_trait]
pub trait Watched: Send + Sync + 'static {
    /// How it is now; answers within seconds.
    async fn health(&self) -> Health;
    /// Sets gauges before somebody looks at them.
    async fn measure(&self) {}
}

impl Running {
    /// How the app is: the database answers within a second and has the schema, the broker is joined and takes records.
    pub async fn health(&self) -> Health {
        let shared = &self.shared;
        let answered = within(&*shared.world, PATIENCE, shared.storage.ready()).await;
        let database = match answered {
            None => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            Some(Err(fault)) => Some(fault.to_string()),
            Some(Ok(())) => None,
        };
        let part = |what, needed, trouble| Part { of: self.service().to_owned(), what, needed, trouble };
        let broker = shared.broker.trouble().map(str::to_owned);
        Health { parts: vec![part("database", true, database), part("broker", false, broker)] }
    }
}
#[async_trait]
impl Watched for Running {
    async fn health(&self) -> Health {
        Running::health(self).await
    }
    async fn measure(&self) {
        // What cannot be read is told by the gauge of its part.
        let measured = within(&*self.shared.world, PATIENCE, Running::measure(self)).await;
        if let Some(Err(fault)) = measured {
            tracing::debug!(service = self.service(), error = &fault as &dyn std::error::Error, "nothing to measure");
        }
    }
}
