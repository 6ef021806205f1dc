//! The events of a prompt version.
use super::{
    ActivationId, Content, Parts, PersonaPrompt, PromptVersionId, Rule, RuleId, Technique, TechniqueId, TonePrompt,
    VersionDetails,
};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a prompt version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "prompt-version", version = 1)]
#[expect(clippy::large_enum_variant, reason = "few events exist at a time; a box would show in every pattern")]
pub enum PromptEvent {
    /// The version was created as the temporary one: empty, as a copy, or with the built-in prompts.
    Created { details: VersionDetails, copied_from: Option<PromptVersionId>, content: Content, at: Timestamp },
    /// The properties changed.
    DetailsChanged { details: VersionDetails, at: Timestamp },
    /// The version is no longer temporary; its parts cannot change any more.
    Saved { details: VersionDetails, at: Timestamp },
    /// The version became the one of new counsels.
    Activated { activation: ActivationId, at: Timestamp },
    /// Another version became the one of new counsels.
    Deactivated { at: Timestamp },
    /// The version was deleted with its parts. All of them can still be read.
    Deleted { parts: Parts, at: Timestamp },
    /// The prompt of a counsellor is new or has changed.
    PersonaPromptSet { prompt: PersonaPrompt },
    /// The prompt of a tone is new or has changed.
    TonePromptSet { prompt: TonePrompt },
    /// A technique is new or has changed.
    TechniqueSet { technique: Technique },
    /// A technique was deleted with the rules at either end.
    TechniqueDeleted { technique: TechniqueId, rules: Vec<RuleId> },
    /// A rule is new or has changed.
    RuleSet { rule: Rule },
    /// A rule was deleted.
    RuleDeleted { rule: RuleId },
}
