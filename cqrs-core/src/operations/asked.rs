//! What an operator or an orchestrator asks: in which phase the process is, and how its parts are.
use crate::app::{Health, Watched};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    Stopping,
}

#[derive(Clone)]
pub(super) struct Asked {
    phase: watch::Receiver<Phase>,
    watched: Arc<[Arc<dyn Watched>]>,
}
impl Asked {
    pub(super) fn new(phase: watch::Receiver<Phase>, watched: Vec<Arc<dyn Watched>>) -> Self {
        Asked { phase, watched: watched.into() }
    }
    /// Whether requests should come here, and why or why not. Its parts are not asked any more when it ends.
    pub(super) async fn ready(&self) -> (bool, Value) {
        let phase = *self.phase.borrow();
        let (ready, parts) = match phase {
            Phase::Serving | Phase::Starting => {
                let healths = join_all(self.watched.iter().map(|it| it.health())).await;
                let ready = phase == Phase::Serving && healths.iter().all(Health::is_ready);
                (ready, healths.into_iter().flat_map(|it| it.parts).collect())
            }
            Phase::Stopping => (false, Vec::new()),
        };
        let parts = parts.into_iter().map(|it| match it.trouble {
            None => json!({ "of": it.of, "part": it.what, "needed": it.needed, "state": "up" }),
            Some(why) => json!({ "of": it.of, "part": it.what, "needed": it.needed, "state": "down", "why": why }),
        });
        let phase = match phase {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Stopping => "stopping",
        };
        (ready, json!({ "ready": ready, "phase": phase, "parts": parts.collect::<Vec<_>>() }))
    }
    /// Ready when the process is to end.
    pub(super) async fn ends(&self) {
        if self.phase.clone().wait_for(|it| *it == Phase::Stopping).await.is_err() {
            std::future::pending::<()>().await; // a program that is gone ends nothing
        }
    }
    /// Sets every gauge.
    pub(super) async fn measure(&self) {
        join_all(self.watched.iter().map(|it| it.measure())).await;
    }
}
