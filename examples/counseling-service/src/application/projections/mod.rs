//! The read models, each with the function that keeps it.
mod bubble_card;
mod counsel_card;
mod counselor_card;
mod message_card;
mod prompt_card;
mod tone_card;

pub use bubble_card::BubbleCard;
pub use counsel_card::CounselCard;
pub use counselor_card::CounselorCard;
pub use message_card::MessageCard;
pub use prompt_card::PromptCard;
pub use tone_card::ToneCard;
