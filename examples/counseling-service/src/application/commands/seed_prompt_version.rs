//! The prompt version that comes with the program. One that is there stays as it is, whatever has been made of it.
use crate::domain::prompt::{PromptVersion, PromptVersionId, Prompts};
use cqrs_core::{Clock, Command, Never, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// The program's own prompts, active from the start.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedPromptVersion {
    /// Its id.
    pub id: PromptVersionId,
    /// For people.
    pub name: String,
    /// What it says.
    pub prompts: Prompts,
}

#[handler]
async fn seed_prompt_version(
    command: SeedPromptVersion,
    versions: Repo<PromptVersion>,
    clock: Clock,
) -> Result<(), Never> {
    let SeedPromptVersion { id, name, prompts } = command;
    if versions.find(&id).await?.is_none() {
        versions.create(PromptVersion::seed(id, name, prompts, clock.now()))?;
    }
    Ok(())
}
