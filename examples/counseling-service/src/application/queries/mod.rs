//! The queries, one file for each query and its handler. All of them read views.
mod find_bubble;
mod find_bubbles;
mod find_consents;
mod find_counsel;
mod find_counselor;
mod find_counselors;
mod find_counsels;
mod find_crisis_notice;
mod find_episode;
mod find_episodes;
mod find_messages;
mod find_random_bubble;
mod find_relationship;
mod find_relationship_with;
mod find_relationships;
mod find_tone;
mod find_tones;
mod prepare_prompt;
mod prompt_views;
mod prompts;
mod readable;
mod watch_messages;

pub use find_bubble::FindBubbleById;
pub use find_bubbles::FindBubbles;
pub use find_consents::FindConsents;
pub use find_counsel::FindCounselById;
pub use find_counselor::FindCounselorById;
pub use find_counselors::FindCounselors;
pub use find_counsels::FindCounsels;
pub use find_crisis_notice::FindCrisisNotice;
pub use find_episode::FindEpisodeById;
pub use find_episodes::FindEpisodes;
pub use find_messages::FindMessages;
pub use find_random_bubble::FindRandomBubble;
pub use find_relationship::FindRelationshipById;
pub use find_relationship_with::FindRelationshipWith;
pub use find_relationships::FindRelationships;
pub use find_tone::FindToneById;
pub use find_tones::FindTones;
pub use prepare_prompt::PreparePrompt;
pub use prompt_views::{PromptTexts, PromptViews};
pub use prompts::{
    FindActivations, FindActiveVersion, FindCounselTechniqueById, FindCounselTechniques, FindPersonaPromptById,
    FindPersonaPrompts, FindPromptVersionById, FindPromptVersions, FindTemporaryVersion, FindTonePromptById,
    FindTonePrompts, FindTransitionRuleById, FindTransitionRules,
};
pub use readable::{ReadableEpisode, Reader};
pub use watch_messages::WatchMessages;

use cqrs_core::Cursor;

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Part {
    /// The cursor of another part, at which this one begins or, with a `previous`, ends; absent for the first part.
    pub after: Option<Cursor>,
    /// The maximum number of items.
    pub limit: usize,
}
