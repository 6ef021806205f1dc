//! The commands, one file for each command and its handler.
mod ask_counselor;
mod conversation;
mod counsel_opener;
mod create_bubble;
mod create_counsel;
mod create_counsel_from_bubble;
mod create_counselor;
mod create_tone;
mod fail_reply;
mod prompts;
mod react_message;
mod record_reply;

pub use ask_counselor::AskCounselor;
pub use conversation::AskCounselorResult;
pub use create_bubble::CreateBubble;
pub use create_counsel::{CreateCounsel, CreateCounselResult};
pub use create_counsel_from_bubble::CreateCounselFromBubble;
pub use create_counselor::CreateCounselor;
pub use create_tone::CreateTone;
pub use fail_reply::FailReply;
pub use prompts::{
    ActivatePromptVersion, CreateCounselTechnique, CreateTemporaryVersion, CreateTransitionRule, DeleteCounselTechnique,
    DeletePromptVersions, DeleteTransitionRule, LoadExistingPromptVersion, SaveTemporaryVersion, SeedPromptVersion,
    UpdateCounselTechnique, UpdatePersonaPrompt, UpdatePromptVersion, UpdateTonePrompt, UpdateTransitionRule,
};
pub use react_message::ReactMessage;
pub use record_reply::RecordReply;
