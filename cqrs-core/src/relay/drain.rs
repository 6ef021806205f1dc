//! The shutdown of a relay: waits for acknowledgements, so that sent records are not sent again.
use crate::{
    environment::within,
    error::{Fault, describe},
    relay::Relay,
    transport::Audience,
};
use futures_util::StreamExt;
use std::time::Duration;

/// The longest wait for a broker that does not respond. After it, the next relay sends the window again.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Relay {
    /// Returns whether the relay has to drain, which is so for a broker that stores records.
    ///
    /// Groups in this process stop on their own, and one that is stuck on a key never acknowledges.
    pub(crate) fn drains(&self) -> bool {
        self.audience == Audience::broker()
    }
    /// Stops sending new records, waits for the acknowledgement of the sent ones, and releases the shards.
    pub(crate) async fn drain(&mut self) {
        if self.drains() {
            self.draining = true;
            let environment = self.runtime.environment.clone();
            match within(&*environment, TIMEOUT, self.await_acknowledgements()).await {
                Some(Ok(())) => (),
                Some(Err(fault)) => {
                    let error = describe(&fault);
                    tracing::warn!(error, "the relay could not finish; unacknowledged records are sent again");
                }
                None => tracing::warn!("the broker does not respond; unacknowledged records are sent again"),
            }
        }
        if let Err(fault) = self.store_checkpoints(Vec::new()).await {
            let error = describe(&fault);
            tracing::warn!(error, "the relay could not store its checkpoints; acknowledged records are sent again");
        }
        self.release().await;
    }
    async fn await_acknowledgements(&mut self) -> Result<(), Fault> {
        loop {
            self.hold_shards().await?;
            let upto = self.shards.values().map(|shard| shard.handed).max().unwrap_or_default();
            self.send(upto).await?;
            let Some(sent) = self.sending.next().await else { return Ok(()) };
            self.take_in(vec![sent]).await?;
        }
    }
}
