//! The behaviour of a subscriber's handler: failures, delays, an account on which it hangs, and a credit that ends its
//! process.
use cqrs_core::{BoxError, permanent};
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
    /// The account and number of the credit with which the handler aborts its process.
    pub fatal: Option<(String, u64)>,
    /// The accounts whose credits the handler refuses for good.
    pub refused: Vec<String>,
}
/// The reason for which a credit of a refused account is parked.
pub const REFUSAL: &str = "the account is closed";
impl HandlerBehaviour {
    /// Delays or fails a call before its effect is staged, or aborts the process.
    ///
    /// # Errors
    /// Fails at random, when the account is refused, and when the third party cannot be reached or does not agree.
    pub async fn delay_or_fail(&self, key: &str, seq: u64) -> Result<(), BoxError> {
        if self.fatal.as_ref().is_some_and(|(account, number)| (account.as_str(), *number) == (key, seq)) {
            std::process::abort();
        }
        if self.refused.iter().any(|account| account == key) {
            return Err(permanent(REFUSAL));
        }
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
