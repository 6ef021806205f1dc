//! The commands, one file for each command and its handler.
mod ask_counselor;
mod counsel_opener;
mod create_bubble;
mod create_counsel;
mod create_counsel_from_bubble;
mod create_counselor;
mod create_tone;
mod exchanges;
mod fail_reply;
mod give_consent;
mod processing;
mod prompts;
mod react_message;
mod record_reply;
mod transcript;
mod withdraw_consent;

pub use ask_counselor::{AskCounselor, NewMessage};
pub use counsel_opener::ChosenCounselor;
pub use create_bubble::CreateBubble;
pub use create_counsel::{CreateCounsel, CreateCounselResult};
pub use create_counsel_from_bubble::{BubbleAnswer, CreateCounselFromBubble};
pub use create_counselor::CreateCounselor;
pub use create_tone::CreateTone;
pub use exchanges::{AskCounselorResult, Attempt};
pub use fail_reply::FailReply;
pub use give_consent::GiveConsent;
pub use prompts::{
    ActivatePromptVersion, CreateCounselTechnique, CreateTemporaryVersion, CreateTransitionRule, DeleteCounselTechnique,
    DeletePromptVersions, DeleteTransitionRule, LoadExistingPromptVersion, SaveTemporaryVersion, SeedPromptVersion,
    UpdateCounselTechnique, UpdatePersonaPrompt, UpdatePromptVersion, UpdateTonePrompt, UpdateTransitionRule,
};
pub use react_message::ReactMessage;
pub use record_reply::RecordReply;
pub use withdraw_consent::WithdrawConsent;
