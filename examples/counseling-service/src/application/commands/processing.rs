//! The conditions under which a person's message is processed: their consents, and calls that are left.
use crate::{
    application::ports::ModelBudget,
    domain::{
        consent::{Consent, ConsentId, ConsentPolicy},
        counsel::{CounselError, UserId},
    },
};
use cqrs_core::{Dep, FromContext, HandlerResult, Repo, Timestamp};

/// The consents of people, and the calls that are left.
#[derive(FromContext)]
pub(super) struct Processing {
    pub(super) consents: Consents,
    budget: Dep<dyn ModelBudget>,
}
impl Processing {
    /// Checks that a message of this person may be processed now.
    pub(super) async fn allows(&self, user: UserId, now: Timestamp) -> HandlerResult<(), CounselError> {
        self.consents.check(user).await?;
        if self.budget.is_used_up(now) { Err(CounselError::ModelBudgetUsedUp.into()) } else { Ok(()) }
    }
}

/// The consents of people, and those that are required.
#[derive(FromContext)]
pub(super) struct Consents {
    consents: Repo<Consent>,
    policy: Dep<ConsentPolicy>,
}
impl Consents {
    /// Checks that the person has given every required consent.
    pub(super) async fn check(&self, user: UserId) -> HandlerResult<(), CounselError> {
        for kind in self.policy.required() {
            let consent = self.consents.find(&ConsentId { person: user, kind: *kind }).await?;
            self.policy.check(*kind, consent.as_ref()).map_err(CounselError::from)?;
        }
        Ok(())
    }
}
