//! The command that saves the temporary version.
use super::desk::Desk;
use crate::{
    application::projections::VersionSummary,
    domain::prompt::{PromptError, VersionDetails},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Saves the temporary version under these properties. Its prompts cannot change any more.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SaveTemporaryVersion {
    pub details: VersionDetails,
}

#[handler]
async fn save_temporary_version(
    command: SaveTemporaryVersion,
    desk: Desk,
) -> HandlerResult<VersionSummary, PromptError> {
    let temporary = desk.temporary().await?.ok_or(PromptError::NoTemporaryVersion)?;
    let now = desk.clock.now();
    let saved = desk.decide(*temporary.id(), |version| version.save(command.details, now).map(Some)).await?;
    desk.assign_temporary(None).await?;
    Ok(VersionSummary::of(&saved))
}
