//! The command that deletes versions, all or none.
use super::desk::Desk;
use crate::{
    application::not_found,
    domain::prompt::{PromptError, PromptVersionId},
};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Deletes these versions. They can still be read by their ids and by the counsels that were opened with them.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct DeletePromptVersions {
    /// Each id once.
    pub ids: Vec<PromptVersionId>,
}

#[handler]
async fn delete_prompt_versions(command: DeletePromptVersions, desk: Desk) -> HandlerResult<(), PromptError> {
    let now = desk.clock.now();
    for id in command.ids {
        let version = desk.version(id).await?;
        if version.times().2.is_some() {
            return Err(not_found("prompt-version", id));
        }
        desk.decide(id, |version| version.delete(now).map(Some)).await?;
        if version.is_temporary() {
            desk.assign_temporary(None).await?;
        }
    }
    Ok(())
}
