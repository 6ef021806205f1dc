//! The start of an inline projection: its view has all events of the log before a command changes it.
use crate::{app::App, consumer::LogFollower, environment::backoff, error::Fault, job::Step};
use std::time::Duration;

/// The number of failed steps in a row after which the start fails. It is more than an event is tried before it is parked.
const FAILURES: u32 = 30;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl App {
    /// Applies the events that were committed before their projection was inline, up to the end of the log.
    pub(super) async fn catch_up_inline(&self) -> Result<(), Fault> {
        let inline = self.followers().filter(|(_, follower)| follower.is_inline());
        for (_, follower) in inline {
            let mut follower = LogFollower::new(self.runtime.clone(), follower);
            let done = self.catch_up(&mut follower).await;
            follower.release().await;
            done?;
        }
        Ok(())
    }
    async fn catch_up(&self, follower: &mut LogFollower) -> Result<(), Fault> {
        let (environment, end) = (&*self.runtime.environment, self.storage().high_water_mark().await?);
        let mut failures = 0;
        loop {
            match follower.step().await {
                _ if follower.seen() >= end => return Ok(()),
                Ok(Step::Paused(time)) => environment.sleep(time).await,
                Ok(_) => failures = 0,
                Err(fault) if failures == FAILURES => return Err(fault),
                Err(_) => {
                    environment.sleep(backoff(environment, failures, FIRST_WAIT, LONGEST_WAIT)).await;
                    failures += 1;
                }
            }
        }
    }
}
