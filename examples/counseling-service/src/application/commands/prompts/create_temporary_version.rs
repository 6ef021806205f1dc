//! The command that creates the version that can be edited.
use super::desk::Desk;
use crate::{application::projections::VersionSummary, domain::prompt::PromptError};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Creates the temporary version from the active one, or an empty one. An existing one is returned unchanged.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateTemporaryVersion {}

#[handler]
async fn create_temporary_version(
    _command: CreateTemporaryVersion,
    desk: Desk,
) -> HandlerResult<VersionSummary, PromptError> {
    Ok(VersionSummary::of(&desk.temporary_or_new().await?))
}
