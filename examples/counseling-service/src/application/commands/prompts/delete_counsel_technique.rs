//! The command that deletes a technique with its rules.
use super::desk::Desk;
use crate::domain::prompt::{PromptError, TechniqueId};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Deletes a technique of the temporary version, and the rules at either end.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct DeleteCounselTechnique {
    pub id: TechniqueId,
}

#[handler]
async fn delete_counsel_technique(command: DeleteCounselTechnique, desk: Desk) -> HandlerResult<(), PromptError> {
    let version = desk.version_of_technique(command.id).await?;
    desk.decide(version, |version| version.delete_technique(command.id).map(Some)).await?;
    Ok(())
}
