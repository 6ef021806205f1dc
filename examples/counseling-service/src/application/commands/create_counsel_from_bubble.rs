//! A person opens a counsel by answering a bubble: the counsellor has asked, the person has said the chosen answer, and waits.
use super::{create_counsel::Opened, openings::Openings, room::Room};
use crate::{
    application::{not_found, projections::CounselCard},
    domain::{
        counsel::{CounselError, Exchange, ExchangeId, Speaker, UserId},
        counselor::{Bubble, BubbleId, Choice, CounselorId},
        prompt::PromptVersionId,
    },
};
use cqrs_core::{Aggregate, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// A person answers a bubble. The exchange's id makes it the same counsel each time.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselFromBubble {
    /// Who.
    pub user: UserId,
    /// With whom.
    pub counselor: CounselorId,
    /// With which prompts; the active ones unless said otherwise.
    pub prompt_version: Option<PromptVersionId>,
    /// What is asked: a bubble of this counsellor.
    pub bubble: BubbleId,
    /// What they answer.
    pub choice: Choice,
    /// The exchange of this answer and its reply.
    pub exchange: ExchangeId,
}

#[handler]
async fn create_counsel_from_bubble(
    command: CreateCounselFromBubble,
    room: Room,
    openings: Openings,
    bubbles: Repo<Bubble>,
) -> Result<Opened, CounselError> {
    let bubble = bubbles.find(&command.bubble).await?.filter(|it| it.is_of(command.counselor));
    let bubble = bubble.ok_or_else(|| not_found("bubble", command.bubble))?;
    if let Some(known) = room.exchanges.find(&command.exchange).await? {
        return open_again(&command, &bubble, known, &room).await;
    }
    let counsel = openings.open(&room, command.user, command.counselor, command.prompt_version).await?;
    let question = room.say(&counsel, Speaker::Counselor, bubble.question()).await?;
    let asked = room.ask(*counsel.id(), command.exchange, bubble.option(command.choice).clone()).await?;
    let counsel = room.counsels.get::<CounselError>(counsel.id()).await?;
    Ok(Opened { counsel: CounselCard::of(&counsel), opening: question.into(), asked: Some(asked) })
}

/// The counsel that this exchange opened, if it is the same request.
async fn open_again(
    command: &CreateCounselFromBubble,
    bubble: &Bubble,
    known: Exchange,
    room: &Room,
) -> Result<Opened, CounselError> {
    known.is_for(known.counsel(), bubble.option(command.choice))?;
    let counsel = room.counsels.get::<CounselError>(&known.counsel()).await?;
    let opening = counsel.opening().ok_or(CounselError::ExchangeReused)?;
    let opening = room.messages.get::<CounselError>(&opening).await?;
    let same_people = counsel.belongs_to(command.user) && counsel.counselor() == command.counselor;
    if !same_people || opening.said().text != bubble.question() {
        return Err(CounselError::ExchangeReused.into());
    }
    let asked = Some(room.resume(known).await?);
    Ok(Opened { counsel: CounselCard::of(&counsel), opening: opening.into(), asked })
}
