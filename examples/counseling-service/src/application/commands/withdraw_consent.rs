//! The command with which a person withdraws a consent. From then on messages are refused.
use crate::{
    application::projections::ConsentEntry,
    domain::consent::{Consent, ConsentError, ConsentId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Withdraws a consent. A repeat changes nothing; a consent that was never given is not found.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct WithdrawConsent {
    pub consent: ConsentId,
}

#[handler]
async fn withdraw_consent(
    command: WithdrawConsent,
    consents: Repo<Consent>,
    clock: Clock,
) -> HandlerResult<ConsentEntry, ConsentError> {
    let now = clock.now();
    Ok(consents.update::<_, ConsentError>(&command.consent, |consent| consent.withdraw(now)).await?.into())
}
