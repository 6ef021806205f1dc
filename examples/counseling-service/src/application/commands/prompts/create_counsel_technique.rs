//! The command that adds a technique.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::TechniqueEntry},
    domain::{
        counselor::Tone,
        prompt::{PromptError, TechniqueSpec},
    },
};
use cqrs_core::{Aggregate, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Adds a technique to the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselTechnique {
    /// The content; its tone must exist.
    pub spec: TechniqueSpec,
}

#[handler]
async fn create_counsel_technique(
    command: CreateCounselTechnique,
    desk: Desk,
    tones: Repo<Tone>,
) -> HandlerResult<TechniqueEntry, PromptError> {
    let CreateCounselTechnique { spec } = command;
    tones.get::<PromptError>(&spec.tone).await?;
    let (id, now) = (desk.clock.id().into(), desk.clock.now());
    let version = desk.edit(|version| version.add_technique(id, spec, now).map(Some)).await?;
    let technique = version.content().technique(id).ok_or_else(|| not_found("counsel-technique", id))?;
    Ok(TechniqueEntry::of(*version.id(), technique.clone()))
}
