//! The lease of a view's copies: one operator at a time rebuilds, switches back or drops.
use super::RebuildError;
use crate::app::App;
use std::time::Duration;

pub(super) struct Held {
    app: App,
    name: String,
    owner: String,
    renewed: Duration,
}
impl Held {
    pub(super) async fn take(app: &App, view: &str) -> Result<Held, RebuildError> {
        let owner = app.runtime.environment.id().to_string();
        let mut held = Held { app: app.clone(), name: format!("rebuild/{view}"), owner, renewed: Duration::ZERO };
        held.renew().await?;
        Ok(held)
    }
    /// Renews the lease when a third of it has passed.
    pub(super) async fn keep(&mut self) -> Result<(), RebuildError> {
        let passed = self.app.runtime.environment.uptime().saturating_sub(self.renewed);
        if passed >= self.app.runtime.lease / 3 { self.renew().await } else { Ok(()) }
    }
    /// Renews the lease.
    ///
    /// # Errors
    /// Fails with [`RebuildError::Busy`] when another process holds it.
    pub(super) async fn renew(&mut self) -> Result<(), RebuildError> {
        let runtime = &self.app.runtime;
        let now = runtime.environment.uptime();
        match runtime.storage.lease(&self.name, &self.owner, runtime.lease).await? {
            Some(_) => {
                self.renewed = now;
                Ok(())
            }
            None => Err(RebuildError::Busy),
        }
    }
    pub(super) async fn release(self) {
        // A lease that was not released expires.
        let _ = self.app.runtime.storage.release(&self.name, &self.owner).await;
    }
}
