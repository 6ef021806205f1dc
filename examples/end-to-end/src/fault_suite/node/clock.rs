//! An environment whose clock is wrong, and jumps.
use cqrs_core::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    testing::EnvironmentLayer,
};
use std::time::{Duration, Instant};

/// The time between two jumps.
const JUMP: Duration = Duration::from_secs(3);

/// The system environment with a clock that alternates between the right and a skewed time every three seconds.
#[derive(Debug)]
pub(super) struct Skewed {
    skew: chrono::TimeDelta,
    began: Instant,
}
impl Skewed {
    pub(super) fn by(seconds: i64) -> Skewed {
        Skewed { skew: chrono::TimeDelta::seconds(seconds), began: Instant::now() }
    }
}
impl EnvironmentLayer for Skewed {
    fn now(&self) -> Timestamp {
        let wrong = (self.began.elapsed().as_millis() / JUMP.as_millis()).is_multiple_of(2);
        SystemEnvironment.now() + if wrong { self.skew } else { chrono::TimeDelta::zero() }
    }
}
