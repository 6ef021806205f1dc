//! The command that makes a version the one of new counsels.
use super::desk::Desk;
use crate::{
    application::projections::VersionSummary,
    domain::prompt::{PromptError, PromptVersionId},
};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Activates a saved version and deactivates the active one. Counsels that are open keep their version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ActivatePromptVersion {
    pub id: PromptVersionId,
}

#[handler]
async fn activate_prompt_version(
    command: ActivatePromptVersion,
    desk: Desk,
) -> HandlerResult<VersionSummary, PromptError> {
    let ActivatePromptVersion { id } = command;
    let (before, now, activation) = (desk.active().await?, desk.clock.now(), desk.clock.id().into());
    let activated = desk.decide(id, |version| version.activate(activation, now)).await?;
    if let Some(before) = before.filter(|before| *before != id) {
        desk.decide(before, |version| Ok(version.deactivate(now))).await?;
    }
    desk.assign_active(id).await?;
    Ok(VersionSummary::of(&activated))
}
