//! Forgetting a subject inside of a handler or a subscriber.
use crate::{
    app::{App, personal::Forgotten, personal::PersonalError},
    metadata::Metadata,
    registry::{AggregateRegistration, Registration},
    runtime::Runtime,
};
use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

/// Forgets subjects inside of a subscriber or a handler, as a [`Dep`](crate::Dep). An app with
/// [`personal_data`](crate::AppBuilder::personal_data) provides it.
///
/// ```
/// use cqrs_core::{BoxError, Dep, Recorded, app::Erasure, personal::SubjectForgotten, subscriber};
///
/// #[subscriber(group = "order.forgets-subjects")]
/// async fn forget(event: Recorded<SubjectForgotten>, erasure: Dep<Erasure>) -> Result<(), BoxError> {
///     erasure.forget(&event.subject).await?;
///     Ok(())
/// }
/// ```
#[derive(Default)]
pub struct Erasure(OnceLock<ErasureParts>);

/// The parts of an app. The runtime owns its dependencies, so they hold it weakly.
pub(crate) struct ErasureParts {
    pub(crate) runtime: Weak<Runtime>,
    pub(crate) registrations: Arc<[&'static Registration]>,
    pub(crate) aggregates: Arc<[AggregateRegistration]>,
}

impl Erasure {
    pub(crate) fn bind(&self, parts: ErasureParts) {
        // An app is built once.
        let _ = self.0.set(parts);
    }
    /// Forgets a subject as [`App::forget`] does. No event is published, because this service has received
    /// one.
    ///
    /// It commits by itself, and not with the changes of the handler. It can be repeated.
    ///
    /// # Errors
    /// Fails as [`App::forget`] does.
    pub async fn forget(&self, subject: &str) -> Result<Forgotten, PersonalError> {
        let parts = self.0.get().ok_or(PersonalError::NotConfigured)?;
        let runtime = parts.runtime.upgrade().ok_or(PersonalError::NotConfigured)?;
        let app = App::of(runtime, parts.registrations.clone(), parts.aggregates.clone());
        app.forget_silently(subject, &Metadata::NONE).await
    }
}
impl fmt::Debug for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Erasure")
    }
}
