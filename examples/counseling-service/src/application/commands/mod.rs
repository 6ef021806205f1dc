//! The commands, one file for each command and its handler.
mod ask_counselor;
mod counsel_opener;
mod create_bubble;
mod create_counsel;
mod create_counsel_from_bubble;
mod create_counselor;
mod create_episode;
mod create_tone;
mod delete_bubble;
mod exchanges;
mod fail_reply;
mod generate_image_url;
mod give_consent;
mod processing;
mod prompts;
mod react_message;
mod record_reply;
mod seed_bubble;
mod seed_counselor;
mod seed_tone;
mod transcript;
mod update_bubble;
mod update_counselor;
mod update_episode;
mod update_tone;
mod uploaded;
mod withdraw_consent;

pub use ask_counselor::{AskCounselor, NewMessage};
pub use counsel_opener::ChosenCounselor;
pub use create_bubble::CreateBubble;
pub use create_counsel::{CreateCounsel, CreateCounselResult};
pub use create_counsel_from_bubble::{BubbleAnswer, CreateCounselFromBubble};
pub use create_counselor::CreateCounselor;
pub use create_episode::CreateEpisode;
pub use create_tone::CreateTone;
pub use delete_bubble::DeleteBubble;
pub use exchanges::{AskCounselorResult, Attempt};
pub use fail_reply::FailReply;
pub use generate_image_url::{GenerateImageUrl, GenerateImageUrlResult};
pub use give_consent::GiveConsent;
pub use prompts::{
    ActivatePromptVersion, CreateCounselTechnique, CreateTemporaryVersion, CreateTransitionRule,
    DeleteCounselTechnique, DeletePromptVersions, DeleteTransitionRule, LoadExistingPromptVersion,
    SaveTemporaryVersion, SeedPromptVersion, UpdateCounselTechnique, UpdatePersonaPrompt, UpdatePromptVersion,
    UpdateTonePrompt, UpdateTransitionRule,
};
pub use react_message::ReactMessage;
pub use record_reply::RecordReply;
pub use seed_bubble::SeedBubble;
pub use seed_counselor::SeedCounselor;
pub use seed_tone::SeedTone;
pub use update_bubble::UpdateBubble;
pub use update_counselor::UpdateCounselor;
pub use update_episode::UpdateEpisode;
pub use update_tone::UpdateTone;
pub use withdraw_consent::WithdrawConsent;
