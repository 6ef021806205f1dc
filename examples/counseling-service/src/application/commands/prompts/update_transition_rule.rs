//! The command that replaces the priority and the conditions of a transition rule.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::RuleEntry},
    domain::prompt::{PromptError, RuleId, RuleSpec},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Replaces the priority and the conditions of a rule of the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateTransitionRule {
    pub id: RuleId,
    pub spec: RuleSpec,
}

#[handler]
async fn update_transition_rule(command: UpdateTransitionRule, desk: Desk) -> HandlerResult<RuleEntry, PromptError> {
    let UpdateTransitionRule { id, spec } = command;
    let (version, now) = (desk.version_of_rule(id).await?, desk.clock.now());
    let version = desk.decide(version, |version| version.change_rule(id, spec, now)).await?;
    let rule = version.content().rule(id).ok_or_else(|| not_found("counsel-technique-transition-rule", id))?;
    Ok(RuleEntry::of(*version.id(), rule.clone()))
}
