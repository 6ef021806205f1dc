//! The read models, each with the projection that maintains it.
mod bubble_summary;
mod client_card;
mod consent_entry;
mod counsel_summary;
mod counselor_profile;
mod episode_entry;
mod message_entry;
mod prompts;
mod relationship_summary;
mod tone_summary;

pub use bubble_summary::BubbleSummary;
pub use client_card::ClientCard;
pub use consent_entry::ConsentEntry;
pub use counsel_summary::CounselSummary;
pub use counselor_profile::CounselorProfile;
pub use episode_entry::EpisodeEntry;
pub use message_entry::MessageEntry;
pub use prompts::{ActivationEntry, PersonaPromptEntry, RuleEntry, TechniqueEntry, TonePromptEntry, VersionSummary};
pub use relationship_summary::RelationshipSummary;
pub use tone_summary::ToneSummary;
