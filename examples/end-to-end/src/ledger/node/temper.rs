//! What a subscriber's handler is like: it may fail at random, and be stuck with one account.
use cqrs_core::BoxError;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// What a subscriber's handler is like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Temper {
    /// How many of a hundred calls fail.
    pub fails: u8,
    /// The account it is stuck with, as long as this file is there.
    pub stuck: Option<(String, PathBuf)>,
    /// How long every other call takes at most, in milliseconds.
    pub work: u64,
}
impl Temper {
    /// What a call goes through before its effect is staged.
    ///
    /// # Errors
    /// At random.
    pub async fn show(&self, key: &str) -> Result<(), BoxError> {
        if let Some((_, gate)) = self.stuck.as_ref().filter(|(stuck, _)| stuck == key) {
            while gate.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if self.work > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=self.work))).await;
        }
        if fastrand::u8(0..100) < self.fails { Err("planted: it fails at random".into()) } else { Ok(()) }
    }
}
