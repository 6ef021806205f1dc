//! The end of a relay that is asked to end: what it has handed to the broker is acknowledged and its cursors are moved, so that nobody
//! sends it again.
use super::Relay;
use crate::{Fault, transport::Audience, world::within};
use futures_util::StreamExt;
use std::time::Duration;

/// A broker that does not answer is not waited for longer: then the next relay sends a window again.
const LIMIT: Duration = Duration::from_secs(2);

impl Relay {
    /// Whether its records are stored by whoever acknowledges them. Groups in this process end by themselves, and a stuck key is never
    /// acknowledged.
    pub(crate) fn drains(&self) -> bool {
        self.audience == Audience::broker()
    }
    /// Sends nothing new, and waits for what is on its way; then gives the lanes back.
    pub(crate) async fn drain(&mut self) {
        if self.drains() {
            self.ending = true;
            let world = self.shared.world.clone();
            match within(&*world, LIMIT, self.come_to_rest()).await {
                Some(Ok(())) => (),
                Some(Err(fault)) => {
                    let error = &fault as &dyn std::error::Error;
                    tracing::warn!(error, "what was on its way may be sent again");
                }
                None => tracing::warn!("the broker does not answer: what was on its way may be sent again"),
            }
        }
        self.release().await;
    }
    async fn come_to_rest(&mut self) -> Result<(), Fault> {
        loop {
            self.hold_lanes().await?;
            let upto = self.lanes.values().map(|lane| lane.handed).max().unwrap_or_default();
            self.send(upto).await?;
            let Some(sent) = self.sending.next().await else { return Ok(()) };
            self.take_in(vec![sent]).await?;
        }
    }
}
