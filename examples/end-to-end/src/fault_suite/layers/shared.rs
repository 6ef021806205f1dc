//! A database that two services share.
use async_trait::async_trait;
use cqrs_core::{Fault, storage::Storage, testing::StorageLayer};
use std::sync::Arc;

/// The note with the name of the service that a database belongs to.
const SERVICE: &str = "database/service";

/// Shows each service a database of its own. The consumer and the projection are two services with one database, so that the
/// checker reads both in one snapshot; the framework refuses that.
pub struct Shared {
    /// The database.
    pub inner: Arc<dyn Storage>,
    /// The service that uses it through this layer.
    pub service: &'static str,
}
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        match prefix {
            SERVICE => Ok(vec![(SERVICE.to_owned(), self.service.to_owned())]),
            prefix => self.inner.notes(prefix).await,
        }
    }
}
