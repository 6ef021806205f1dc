//! The redelivery of messages that were parked before a circuit breaker opened: one as a probe while nothing else is tried,
//! and all of them once it has closed.
use super::attempts::Session;
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
        let breakers = &self.app.runtime.breakers;
        let probes = breakers.parked_probes(self.app.runtime.environment.uptime());
        let recovered = breakers.take_recovered();
        if probes.is_empty() && recovered.is_empty() {
            return 0;
        }
        let session = match self.try_session().await {
            Ok(Some(session)) => session,
            begun => {
                let error = begun.err().map(|fault| describe(&fault));
                tracing::debug!(error, "the redelivery after an outage cannot begin; trying again later");
                breakers.put_back(recovered);
                return 0;
            }
        };
        let probed = self.probe(&session, probes, &by).await;
        let recovered = recovered.into_iter().chain(breakers.take_recovered()).collect();
        let done = probed + self.redeliver_keys(&session, recovered, &by).await;
        session.end().await;
        done
    }
    async fn probe(&self, session: &Session, probes: Vec<((String, String), String)>, by: &Metadata) -> usize {
        let (breakers, mut done) = (&self.app.runtime.breakers, 0);
        for ((reader, event), key) in probes {
            match self.redeliver_key(session, &reader, &key, by, false).await {
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
    async fn redeliver_keys(&self, session: &Session, keys: Vec<(String, String)>, by: &Metadata) -> usize {
        let breakers = &self.app.runtime.breakers;
        let (mut keys, mut done, mut failed) = (keys.into_iter(), 0, Vec::new());
        let mut failures = 0;
        while failures < FAILURES
            && let Some((reader, key)) = keys.next()
        {
            match self.redeliver_key(session, &reader, &key, by, false).await {
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
