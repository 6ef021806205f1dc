//! What a subscriber's handler is like: it may fail at random, and be slow for one account.
use cqrs_core::BoxError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a subscriber's handler is like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Temper {
    /// How many of a hundred calls fail.
    pub fails: u8,
    /// The account it is slow for.
    pub slow: Option<String>,
    /// How slow, in milliseconds.
    pub pause: u64,
    /// How long every other call takes at most, in milliseconds.
    pub work: u64,
}
impl Temper {
    /// What a call goes through before its effect is staged.
    ///
    /// # Errors
    /// At random.
    pub async fn show(&self, key: &str) -> Result<(), BoxError> {
        let slow = self.slow.as_deref() == Some(key);
        let pause = if slow { self.pause } else { fastrand::u64(0..=self.work) };
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        if fastrand::u8(0..100) < self.fails { Err("planted: it fails at random".into()) } else { Ok(()) }
    }
}
