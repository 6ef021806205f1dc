//! The command that seeds the built-in prompt version; an existing version is left unchanged.
use crate::domain::prompt::{PromptVersion, PromptVersionId, Prompts};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates the prompt version that ships with the program, as the active one.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedPromptVersion {
    pub id: PromptVersionId,
    /// A name for people; nothing depends on it.
    pub name: String,
    pub prompts: Prompts,
}

#[handler]
async fn seed_prompt_version(
    command: SeedPromptVersion,
    versions: Repo<PromptVersion>,
    clock: Clock,
) -> HandlerResult<(), Infallible> {
    let SeedPromptVersion { id, name, prompts } = command;
    if versions.find(&id).await?.is_none() {
        versions.create(id, PromptVersion::seed(name, prompts, clock.now()))?;
    }
    Ok(())
}
