//! The command that deletes a transition rule.
use super::desk::Desk;
use crate::domain::prompt::{PromptError, RuleId};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Deletes a rule of the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct DeleteTransitionRule {
    pub id: RuleId,
}

#[handler]
async fn delete_transition_rule(command: DeleteTransitionRule, desk: Desk) -> HandlerResult<(), PromptError> {
    let version = desk.version_of_rule(command.id).await?;
    desk.decide(version, |version| version.delete_rule(command.id).map(Some)).await?;
    Ok(())
}
