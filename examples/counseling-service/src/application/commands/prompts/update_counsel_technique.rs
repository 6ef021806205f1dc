//! The command that changes a technique.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::TechniqueEntry},
    domain::prompt::{PromptError, TechniqueChange, TechniqueId},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Changes a technique of the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateCounselTechnique {
    pub id: TechniqueId,
    pub change: TechniqueChange,
}

#[handler]
async fn update_counsel_technique(
    command: UpdateCounselTechnique,
    desk: Desk,
) -> HandlerResult<TechniqueEntry, PromptError> {
    let UpdateCounselTechnique { id, change } = command;
    let (version, now) = (desk.version_of_technique(id).await?, desk.clock.now());
    let version = desk.decide(version, |version| version.change_technique(id, change, now)).await?;
    let technique = version.content().technique(id).ok_or_else(|| not_found("counsel-technique", id))?;
    Ok(TechniqueEntry::of(*version.id(), technique.clone()))
}
