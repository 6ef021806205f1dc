//! The redelivery of messages that were parked before a circuit breaker opened: one as a probe while nothing else is tried,
//! and all of them once it has closed.
use crate::{app::ParkedMessages, error::describe, metadata::Metadata};

/// The number of failures in a row after which the rest waits for the next call: the database may be down.
const FAILURES: usize = 3;

impl ParkedMessages {
    /// Redelivers the keys that were parked during an outage which is over, and a key of each breaker that has no other
    /// message to probe with. Returns the number of handled messages.
    ///
    /// A message that fails again stays parked for an operator.
    pub(in crate::app) async fn redeliver_recovered(&self) -> usize {
        let by = Metadata::default().caller("a circuit breaker");
        self.probe(&by).await + self.redeliver_keys(&by).await
    }
    async fn probe(&self, by: &Metadata) -> usize {
        let (breakers, mut done) = (&self.app.runtime.breakers, 0);
        for ((reader, event), key) in breakers.parked_probes(self.app.runtime.environment.uptime()) {
            match self.redeliver(&reader, &key, by).await {
                Ok(redelivery) if redelivery.count > 0 => {
                    done += redelivery.count as usize;
                    breakers.succeeded((&reader, &event));
                }
                // An operator has redelivered or discarded it.
                Ok(redelivery) if redelivery.stopped.is_none() => breakers.unparked((&reader, &event), &key),
                Ok(_) => tracing::debug!(reader, event, key, "a parked message was the probe, and fails"),
                Err(fault) => {
                    let error = describe(&fault);
                    tracing::debug!(reader, event, key, error, "a parked message was the probe, and fails");
                }
            }
        }
        done
    }
    async fn redeliver_keys(&self, by: &Metadata) -> usize {
        let breakers = &self.app.runtime.breakers;
        let (mut keys, mut done, mut failed) = (breakers.take_recovered().into_iter(), 0, Vec::new());
        let mut failures = 0;
        while failures < FAILURES
            && let Some((reader, key)) = keys.next()
        {
            match self.redeliver(&reader, &key, by).await {
                Ok(redelivery) => {
                    (done, failures) = (done + redelivery.count as usize, 0);
                    if let Some((_, error)) = redelivery.stopped {
                        let error = describe(&*error);
                        tracing::warn!(reader, key, error, "a message that was parked during an outage fails again");
                    }
                }
                Err(fault) => {
                    let error = describe(&fault);
                    tracing::warn!(reader, key, error, "the redelivery after an outage failed; trying again later");
                    failures += 1;
                    failed.push((reader, key));
                }
            }
        }
        breakers.put_back(keys.chain(failed));
        done
    }
}
