//! What can be read: one query and its handler a file. All of them read views.
mod compose_reply;
mod find_bubble;
mod find_bubbles;
mod find_counsel;
mod find_counselor;
mod find_counselors;
mod find_counsels;
mod find_messages;
mod find_random_bubble;
mod find_tone;
mod find_tones;

pub use compose_reply::ComposeReply;
pub use find_bubble::FindBubbleById;
pub use find_bubbles::FindBubbles;
pub use find_counsel::FindCounselById;
pub use find_counselor::FindCounselorById;
pub use find_counselors::FindCounselors;
pub use find_counsels::FindCounsels;
pub use find_messages::FindMessages;
pub use find_random_bubble::FindRandomBubble;
pub use find_tone::FindToneById;
pub use find_tones::FindTones;

use cqrs_core::Cursor;

/// Which part of a list.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where the part before ended.
    pub after: Option<Cursor>,
    /// How much of it, at most.
    pub limit: usize,
}
