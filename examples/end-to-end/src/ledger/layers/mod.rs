//! Layers over storage and transport: names that belong to one scenario, points at which a process dies, and planted bugs.
//! The framework's engines know nothing of them.
mod fail;
mod plant;
mod scoped;
mod storage;
mod transport;

pub use fail::{Fail, Point};
pub use plant::Plant;
pub use scoped::Scoped;
pub use storage::{Over, Plain, StorageLayer};
pub use transport::{OverSubscription, OverTransport, SubscriptionLayer, TransportLayer};

pub(crate) use fail::{FailingStorage, FailingTransport, die};
pub(crate) use plant::{plant_storage, plant_transport};
