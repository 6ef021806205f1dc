//! The redelivery of messages that were parked before a circuit breaker opened, once it has closed.
use crate::{app::ParkedMessages, error::describe, metadata::Metadata};

impl ParkedMessages {
    /// Redelivers the keys that were parked during an outage which is over, and returns the number of handled messages.
    ///
    /// A message that fails again stays parked for an operator.
    pub(in crate::app) async fn redeliver_recovered(&self) -> usize {
        let breakers = &self.app.runtime.breakers;
        let (mut keys, mut done) = (breakers.take_recovered().into_iter(), 0);
        let by = Metadata::default().caller("a circuit breaker");
        while let Some((reader, key)) = keys.next() {
            match self.redeliver(&reader, &key, &by).await {
                Ok(redelivery) => {
                    done += redelivery.count as usize;
                    if let Some((_, error)) = redelivery.stopped {
                        let error = describe(&*error);
                        tracing::warn!(reader, key, error, "a message that was parked during an outage fails again");
                    }
                }
                Err(fault) => {
                    let error = describe(&fault);
                    tracing::warn!(reader, key, error, "the redelivery after an outage failed; trying again");
                    breakers.put_back(std::iter::once((reader, key)).chain(keys));
                    break;
                }
            }
        }
        done
    }
}
