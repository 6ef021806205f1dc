//! The environment of a service in its tests.
use cqrs_core::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    testing::EnvironmentLayer,
};
use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    time::Duration,
};
use uuid::Uuid;

/// The system environment with an adjustable clock, and ids that can be made to have the same last bits.
#[derive(Default)]
pub struct AdjustableEnvironment {
    ahead: AtomicU64,
    collisions: AtomicU32,
}
impl AdjustableEnvironment {
    /// Lets time pass.
    pub fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, SeqCst);
    }
    /// Makes the next ids end in zeros, as a random collision would.
    pub fn collide_next_ids(&self, count: u32) {
        self.collisions.store(count, SeqCst);
    }
}
impl EnvironmentLayer for AdjustableEnvironment {
    fn now(&self) -> Timestamp {
        SystemEnvironment.now() + Duration::from_secs(self.ahead.load(SeqCst))
    }
    fn id(&self) -> Uuid {
        let id = SystemEnvironment.id();
        let collides = self.collisions.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if collides { Uuid::from_u128(id.as_u128() >> 32 << 32) } else { id }
    }
}
