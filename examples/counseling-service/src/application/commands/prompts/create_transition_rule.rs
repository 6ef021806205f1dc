//! The command that adds a transition rule.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::RuleEntry},
    domain::prompt::{PromptError, RuleSpec, TechniqueId},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Adds a rule between two techniques of the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateTransitionRule {
    pub from: TechniqueId,
    pub to: TechniqueId,
    pub spec: RuleSpec,
}

#[handler]
async fn create_transition_rule(command: CreateTransitionRule, desk: Desk) -> HandlerResult<RuleEntry, PromptError> {
    let CreateTransitionRule { from, to, spec } = command;
    let version = desk.version_of_technique(from).await?;
    desk.version_of_technique(to).await?;
    let (id, now) = (desk.clock.id().into(), desk.clock.now());
    let version = desk.decide(version, |version| version.add_rule(id, from, to, spec, now).map(Some)).await?;
    let rule = version.content().rule(id).ok_or_else(|| not_found("counsel-technique-transition-rule", id))?;
    Ok(RuleEntry::of(*version.id(), rule.clone()))
}
