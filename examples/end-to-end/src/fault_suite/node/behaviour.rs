//! The behaviour of a subscriber's handler: failures at random, delays, and one account on which it hangs.
use cqrs_core::BoxError;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// The answer of the third party that lets a call go on.
pub const AGREES: &str = "yes";

/// The behaviour of a subscriber's handler.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HandlerBehaviour {
    /// The percentage of calls that fail.
    pub fails: u8,
    /// The account on which the handler hangs as long as the file exists.
    pub stuck: Option<(String, PathBuf)>,
    /// The longest duration of a call, in milliseconds.
    pub work: u64,
    /// The address of a third party that each call asks first.
    pub third_party: Option<String>,
}
impl HandlerBehaviour {
    /// Delays or fails a call before its effect is staged.
    ///
    /// # Errors
    /// Fails at random, and when the third party cannot be reached or does not agree.
    pub async fn delay_or_fail(&self, key: &str) -> Result<(), BoxError> {
        if let Some((_, gate)) = self.stuck.as_ref().filter(|(stuck, _)| stuck == key) {
            while gate.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if self.work > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=self.work))).await;
        }
        if let Some(third_party) = &self.third_party {
            let mut answer = String::new();
            TcpStream::connect(third_party).await?.read_to_string(&mut answer).await?;
            if answer != AGREES {
                return Err("the third party does not agree".into());
            }
        }
        if fastrand::u8(0..100) < self.fails { Err("seeded failure of the handler".into()) } else { Ok(()) }
    }
}
