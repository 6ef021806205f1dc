//! What changes something: one command and its handler a file.
mod ask_counselor;
mod create_bubble;
mod create_counsel;
mod create_counsel_from_bubble;
mod create_counselor;
mod create_tone;
mod fail_reply;
mod openings;
mod react_message;
mod record_reply;
mod room;
mod seed_prompt_version;

pub use ask_counselor::AskCounselor;
pub use create_bubble::CreateBubble;
pub use create_counsel::{CreateCounsel, Opened};
pub use create_counsel_from_bubble::CreateCounselFromBubble;
pub use create_counselor::CreateCounselor;
pub use create_tone::CreateTone;
pub use fail_reply::FailReply;
pub use react_message::ReactMessage;
pub use record_reply::RecordReply;
pub use room::Asked;
pub use seed_prompt_version::SeedPromptVersion;
