//! The readiness of a process: its phase, and the health of the components that it watches.
use crate::app::{Health, HealthCheck};
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
pub(super) struct Readiness {
    phase: watch::Receiver<Phase>,
    watched: Arc<[Arc<dyn HealthCheck>]>,
}
impl Readiness {
    pub(super) fn new(phase: watch::Receiver<Phase>, watched: Vec<Arc<dyn HealthCheck>>) -> Self {
        Readiness { phase, watched: watched.into() }
    }
    /// Returns whether the process should receive requests, and the body of `/health/ready`. A stopping process no
    /// longer checks its components.
    pub(super) async fn ready(&self) -> (bool, Value) {
        let phase = *self.phase.borrow();
        let (ready, components) = match phase {
            Phase::Serving | Phase::Starting => {
                let healths = join_all(self.watched.iter().map(|check| check.health())).await;
                let ready = phase == Phase::Serving && healths.iter().all(Health::is_ready);
                (ready, healths.into_iter().flat_map(|health| health.components).collect())
            }
            Phase::Stopping => (false, Vec::new()),
        };
        let components = components.into_iter().map(|component| {
            let state = if component.error.is_none() { "up" } else { "down" };
            let mut entry = json!({
                "service": component.service, "component": component.name, "required": component.required,
                "state": state,
            });
            if let Some(error) = component.error {
                entry["error"] = error.into();
            }
            entry
        });
        let phase = match phase {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Stopping => "stopping",
        };
        (ready, json!({ "ready": ready, "phase": phase, "components": components.collect::<Vec<_>>() }))
    }
    /// Completes when the process is asked to end.
    pub(super) async fn ends(&self) {
        if self.phase.clone().wait_for(|phase| *phase == Phase::Stopping).await.is_err() {
            // The program was dropped, so no signal can arrive any more.
            std::future::pending::<()>().await;
        }
    }
    /// Sets the gauges of every watched component.
    pub(super) async fn measure(&self) {
        join_all(self.watched.iter().map(|check| check.measure())).await;
    }
}
