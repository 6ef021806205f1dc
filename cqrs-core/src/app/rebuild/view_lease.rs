//! The lease of a view's copies: one operator at a time rebuilds, switches back or drops.
use super::RebuildError;
use crate::app::App;
use std::time::Duration;

/// The lease of the copies of one view, while this process holds it.
pub(super) struct ViewLease {
    app: App,
    name: String,
    owner: String,
    /// The uptime before the last renewal.
    renewed: Duration,
}
impl ViewLease {
    /// Takes the lease.
    ///
    /// # Errors
    /// Fails with [`RebuildError::Busy`] when another operator holds it.
    pub(super) async fn take(app: &App, view: &str) -> Result<ViewLease, RebuildError> {
        let owner = app.runtime.environment.id().to_string();
        let mut lease = ViewLease { app: app.clone(), name: format!("rebuild/{view}"), owner, renewed: Duration::ZERO };
        lease.renew().await?;
        Ok(lease)
    }
    /// Renews the lease when a third of it has passed.
    pub(super) async fn keep(&mut self) -> Result<(), RebuildError> {
        let passed = self.app.runtime.environment.uptime().saturating_sub(self.renewed);
        if passed >= self.app.runtime.lease / 3 { self.renew().await } else { Ok(()) }
    }
    /// Renews the lease.
    ///
    /// # Errors
    /// Fails with [`RebuildError::Busy`] when another operator holds it.
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
    /// Releases the lease. If that fails, it expires.
    pub(super) async fn release(self) {
        let _ = self.app.runtime.storage.release(&self.name, &self.owner).await;
    }
}
