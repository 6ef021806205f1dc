//! The command that replaces the temporary version by a copy of another one.
use super::desk::Desk;
use crate::{
    application::projections::VersionSummary,
    domain::prompt::{PromptError, PromptVersionId},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Loads a version for editing: deletes the temporary version and makes a copy of this one, under new ids, the next.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct LoadExistingPromptVersion {
    pub id: PromptVersionId,
}

#[handler]
async fn load_existing_prompt_version(
    command: LoadExistingPromptVersion,
    desk: Desk,
) -> HandlerResult<VersionSummary, PromptError> {
    let replaced = desk.temporary().await?;
    // Copied before the deletion: the temporary version may be a copy of itself.
    let copy = desk.create_copy(command.id).await?;
    if let Some(replaced) = replaced {
        let now = desk.clock.now();
        desk.decide(*replaced.id(), |version| version.delete(now).map(Some)).await?;
    }
    Ok(VersionSummary::of(&copy))
}
