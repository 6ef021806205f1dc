//! A person opens a counsel, and the counsellor greets them. It costs nothing.
use super::{
    openings::Openings,
    room::{Asked, Room},
};
use crate::{
    application::projections::{CounselCard, MessageCard},
    domain::{
        counsel::{CounselError, Speaker, UserId},
        counselor::CounselorId,
        prompt::PromptVersionId,
    },
};
use cqrs_core::{Aggregate, Command, Result, handler};
use serde::{Deserialize, Serialize};

/// What a counsellor says when nothing was said before.
const GREETING: &str = "안녕하세요, 찾아와 주셔서 고마워요. 오늘 마음은 어떠세요? 떠오르는 대로 편하게 들려주세요.";

/// A person opens a counsel.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounsel {
    /// Who.
    pub user: UserId,
    /// With whom.
    pub counselor: CounselorId,
    /// With which prompts; the active ones unless said otherwise.
    pub prompt_version: Option<PromptVersionId>,
}

/// An open counsel and what has been said in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The counsel.
    pub counsel: CounselCard,
    /// The greeting, or a bubble's question.
    pub opening: MessageCard,
    /// What the person answered to the bubble.
    pub asked: Option<Asked>,
}

#[handler]
async fn create_counsel(command: CreateCounsel, room: Room, openings: Openings) -> Result<Opened, CounselError> {
    let CreateCounsel { user, counselor, prompt_version } = command;
    let counsel = openings.open(&room, user, counselor, prompt_version).await?;
    let greeting = room.say(&counsel, Speaker::Counselor, GREETING).await?;
    let counsel = room.counsels.get::<CounselError>(counsel.id()).await?;
    Ok(Opened { counsel: CounselCard::of(&counsel), opening: greeting.into(), asked: None })
}
