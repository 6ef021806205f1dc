//! A machine whose clock is wrong, and jumps.
use cqrs_core::{
    Timestamp,
    testing::WorldLayer,
    world::{Machine, World},
};
use std::time::{Duration, Instant};

/// How long the clock stays where it is.
const JUMP: Duration = Duration::from_secs(3);

/// The machine, `skew` away from the right time every other three seconds.
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
impl WorldLayer for Skewed {
    fn now(&self) -> Timestamp {
        let wrong = (self.began.elapsed().as_millis() / JUMP.as_millis()).is_multiple_of(2);
        Machine.now() + if wrong { self.skew } else { chrono::TimeDelta::zero() }
    }
}
