//! The command with which a person consents to the processing of their messages.
use crate::{
    application::projections::ConsentEntry,
    domain::consent::{Birthday, Consent, ConsentError, ConsentId, ConsentPolicy},
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Gives a consent. A repeat while it is in force changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct GiveConsent {
    pub consent: ConsentId,
    /// The version of the text that the person read; it must be the current one.
    pub text_version: String,
    /// Shows that the person is old enough. It is not stored.
    pub birthday: Birthday,
}

#[handler]
async fn give_consent(
    command: GiveConsent,
    consents: Repo<Consent>,
    policy: Dep<ConsentPolicy>,
    clock: Clock,
) -> HandlerResult<ConsentEntry, ConsentError> {
    let GiveConsent { consent: id, text_version, birthday } = command;
    let now = clock.now();
    policy.accepts(&text_version, &birthday, now)?;
    let given = match consents.find(&id).await? {
        None => consents.create(id, Consent::first(text_version, now))?,
        Some(_) => consents.update::<_, ConsentError>(&id, |consent| consent.give(text_version, now)).await?,
    };
    Ok(given.into())
}
