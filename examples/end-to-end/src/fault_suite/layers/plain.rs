//! A layer that changes nothing, for an app that takes a shared storage or transport by value.
use cqrs_core::{
    storage::Storage,
    testing::{StorageLayer, TransportLayer},
    transport::Transport,
};
use std::sync::Arc;

/// A shared storage or transport as a value.
pub struct Plain<T: ?Sized>(pub Arc<T>);
impl StorageLayer for Plain<dyn Storage> {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
}
impl TransportLayer for Plain<dyn Transport> {
    fn inner(&self) -> &dyn Transport {
        &*self.0
    }
}
