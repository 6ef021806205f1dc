//! Prompts: all texts that instruct a language model, in versions. A counsel keeps the version that it was opened with.
mod content;
mod context;
mod details;
mod error;
mod event;
mod matching;
mod roles;
mod rule;
mod technique;
#[cfg(test)]
mod tests;
mod text;
mod version;

pub use content::{Content, Parts, PersonaPrompt, Stamp, TonePrompt};
pub use context::{
    AllianceStrength, ArousalLevel, CognitiveLoad, EmotionPrimary, ImpactDomain, MotivationStage, PerceivedControl,
    RiskKind, SleepQuality, SocialSupportLevel, Timeframe, Valence,
};
pub use details::{AiModel, DetailsChange, VersionDetails};
pub use error::{InvalidField, PromptError};
pub use event::PromptEvent;
pub use matching::{CounselContext, best_rule};
pub use roles::{RolesAssigned, VersionRoles, VersionRolesId};
pub use rule::{Bounds, Conditions, Priority, Rule, RuleSpec};
pub use technique::{Technique, TechniqueChange, TechniqueSpec, Temperature};
pub use text::{Description, PromptBody, TechniqueName, VersionName};
pub use version::PromptVersion;

cqrs_core::id!(
    /// Identifies a prompt version.
    pub PromptVersionId
);
cqrs_core::id!(
    /// Identifies the prompt of a counsellor in one version.
    pub PersonaPromptId
);
cqrs_core::id!(
    /// Identifies the prompt of a tone in one version.
    pub TonePromptId
);
cqrs_core::id!(
    /// Identifies a technique across all versions.
    pub TechniqueId
);
cqrs_core::id!(
    /// Identifies a transition rule across all versions.
    pub RuleId
);
cqrs_core::id!(
    /// Identifies one activation of a version.
    pub ActivationId
);
cqrs_core::id!(
    /// A new id for a part of a version, whatever its kind.
    pub PartId
);
