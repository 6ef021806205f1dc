//! The readiness of a process: its phase, and the health of the components that it watches.
use crate::{
    app::{Component, Health, HealthCheck},
    environment::{Environment, SystemEnvironment},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, watch};

/// The time for which the result of a check is used again. Health is asked for without a login, and each check asks the
/// database: however many ask, it is asked once in this time.
pub(super) const FRESH: Duration = Duration::from_millis(500);

/// The result of the last check and its time, or `None` before the first one.
pub(super) type Checked = Mutex<Option<(Duration, Arc<[Health]>)>>;

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
    checked: Arc<Checked>,
}
impl Readiness {
    pub(super) fn new(
        phase: watch::Receiver<Phase>,
        watched: Vec<Arc<dyn HealthCheck>>,
        checked: Arc<Checked>,
    ) -> Self {
        Readiness { phase, watched: watched.into(), checked }
    }
    /// Returns the health of the components, checked a moment ago or now. Those who ask at the same time wait for one check.
    async fn healths(&self) -> Arc<[Health]> {
        let mut checked = self.checked.lock().await;
        match &*checked {
            Some((at, healths)) if SystemEnvironment.uptime() < *at + FRESH => healths.clone(),
            _ => {
                let healths: Arc<[Health]> = join_all(self.watched.iter().map(|check| check.health())).await.into();
                *checked = Some((SystemEnvironment.uptime(), healths.clone()));
                healths
            }
        }
    }
    /// Returns whether the process should receive requests, and the body of `/health/ready`. A stopping process no
    /// longer checks its components.
    pub(super) async fn ready(&self) -> (bool, Value) {
        let phase = *self.phase.borrow();
        let (ready, components): (bool, Vec<Component>) = match phase {
            Phase::Serving | Phase::Starting => {
                let healths = self.healths().await;
                let ready = phase == Phase::Serving && healths.iter().all(Health::is_ready);
                (ready, healths.iter().flat_map(|health| health.components.clone()).collect())
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

#[cfg(test)]
mod tests {
    use super::{Checked, FRESH, Phase, Readiness};
    use crate::app::{Health, HealthCheck};
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };
    use tokio::sync::watch;

    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicU32>);
    #[async_trait::async_trait]
    impl HealthCheck for Counted {
        async fn health(&self) -> Health {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Health { components: Vec::new() }
        }
    }

    #[tokio::test]
    async fn however_many_ask_the_components_are_checked_once_and_again_later() {
        let (phase, receiver) = watch::channel(Phase::Serving);
        let (counted, checked) = (Counted::default(), Arc::new(Checked::default()));
        let readiness = |receiver| Readiness::new(receiver, vec![Arc::new(counted.clone())], checked.clone());
        let (one, other) = (readiness(receiver.clone()), readiness(receiver));
        let asked =
            futures_util::future::join_all((0..100).map(|n| if n % 2 == 0 { one.ready() } else { other.ready() }));
        assert!(asked.await.iter().all(|(ready, _)| *ready));
        assert_eq!(counted.0.load(Ordering::SeqCst), 1);
        tokio::time::sleep(FRESH).await;
        assert!(one.ready().await.0);
        assert_eq!(counted.0.load(Ordering::SeqCst), 2);
        phase.send_replace(Phase::Stopping);
        assert!(!one.ready().await.0, "the end of readiness does not wait for a check");
    }
}
