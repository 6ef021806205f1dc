//! Layers over storage and transport: names scoped to one scenario, crash points and seeded bugs.
//! The framework itself has no code for them.
mod fail;
mod plain;
mod scoped;
mod seeded;
mod shared;
mod subscription;
mod views;

pub use fail::{Fail, Point};
pub use plain::Plain;
pub use scoped::Scoped;
pub use seeded::SeededBug;
pub use shared::Shared;
pub use subscription::{OverSubscription, SubscriptionLayer};
pub use views::SeededViews;

pub(crate) use fail::{FailingStorage, FailingTransport, die};
pub(crate) use seeded::{seeded_storage, seeded_transport};
