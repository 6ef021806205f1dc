//! Layers over storage and transport: names that belong to one scenario, points at which a process dies, and planted bugs.
//! The framework's engines know nothing of them.
mod fail;
mod plain;
mod plant;
mod scoped;
mod subscription;

pub use fail::{Fail, Point};
pub use plain::Plain;
pub use plant::Plant;
pub use scoped::Scoped;
pub use subscription::{OverSubscription, SubscriptionLayer};

pub(crate) use fail::{FailingStorage, FailingTransport, die};
pub(crate) use plant::{plant_storage, plant_transport};
