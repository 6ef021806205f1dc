//! The command that changes the properties of a version.
use super::desk::Desk;
use crate::{
    application::projections::VersionSummary,
    domain::prompt::{DetailsChange, PromptError, PromptVersionId},
};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Changes the name, the description, the bookmark or the model of any version that is not deleted.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdatePromptVersion {
    pub id: PromptVersionId,
    pub change: DetailsChange,
}

#[handler]
async fn update_prompt_version(command: UpdatePromptVersion, desk: Desk) -> HandlerResult<VersionSummary, PromptError> {
    let UpdatePromptVersion { id, change } = command;
    let now = desk.clock.now();
    let changed = desk.decide(id, |version| version.change_details(change, now)).await?;
    Ok(VersionSummary::of(&changed))
}
