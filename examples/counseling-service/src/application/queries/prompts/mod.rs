//! The queries on prompts, one file for each query and its handler. None of them writes.
mod find_activations;
mod find_active_version;
mod find_counsel_technique;
mod find_counsel_techniques;
mod find_persona_prompt;
mod find_persona_prompts;
mod find_prompt_version;
mod find_prompt_versions;
mod find_temporary_version;
mod find_tone_prompt;
mod find_tone_prompts;
mod find_transition_rule;
mod find_transition_rules;

pub use find_activations::FindActivations;
pub use find_active_version::FindActiveVersion;
pub use find_counsel_technique::FindCounselTechniqueById;
pub use find_counsel_techniques::FindCounselTechniques;
pub use find_persona_prompt::FindPersonaPromptById;
pub use find_persona_prompts::FindPersonaPrompts;
pub use find_prompt_version::FindPromptVersionById;
pub use find_prompt_versions::FindPromptVersions;
pub use find_temporary_version::FindTemporaryVersion;
pub use find_tone_prompt::FindTonePromptById;
pub use find_tone_prompts::FindTonePrompts;
pub use find_transition_rule::FindTransitionRuleById;
pub use find_transition_rules::FindTransitionRules;
