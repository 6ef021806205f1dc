//! The command that opens a counsel from a bubble: it stores the question and the chosen answer and starts their
//! exchange.
use super::{conversation::Conversation, counsel_opener::CounselOpener, create_counsel::CreateCounselResult};
use crate::{
    application::{not_found, projections::CounselSummary},
    domain::{
        counsel::{CounselError, Exchange, ExchangeId, Speaker, UserId},
        counselor::{Bubble, BubbleId, Choice, CounselorId},
        prompt::PromptVersionId,
    },
};
use cqrs_core::{Aggregate, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Opens a counsel with a person's answer to a bubble. The exchange id identifies the request, so a retry opens it
/// once.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselFromBubble {
    pub user: UserId,
    pub counselor: CounselorId,
    /// The prompt version; the active one when absent.
    pub prompt_version: Option<PromptVersionId>,
    /// A bubble of this counsellor.
    pub bubble: BubbleId,
    /// The answer that the person chose.
    pub choice: Choice,
    /// The exchange of the answer and its reply.
    pub exchange: ExchangeId,
}

#[handler]
async fn create_counsel_from_bubble(
    command: CreateCounselFromBubble,
    conversation: Conversation,
    opener: CounselOpener,
    bubbles: Repo<Bubble>,
) -> HandlerResult<CreateCounselResult, CounselError> {
    let bubble = bubbles.find(&command.bubble).await?.filter(|bubble| bubble.is_of(command.counselor));
    let bubble = bubble.ok_or_else(|| not_found("bubble", command.bubble))?;
    if let Some(known) = conversation.exchanges.find(&command.exchange).await? {
        return reopen(&command, &bubble, known, &conversation).await;
    }
    if bubble.is_deleted() {
        return Err(not_found("bubble", command.bubble));
    }
    let counsel = opener.open(&conversation, command.user, command.counselor, command.prompt_version).await?;
    let question = conversation.append(&counsel, Speaker::Counselor, bubble.question()).await?;
    let answer = bubble.option(command.choice).clone();
    let first_exchange = Some(conversation.start_exchange(*counsel.id(), command.exchange, answer).await?);
    let counsel = conversation.counsels.get::<CounselError>(counsel.id()).await?;
    Ok(CreateCounselResult { counsel: CounselSummary::of(&counsel), opening: question.into(), first_exchange })
}

/// Returns the counsel that this exchange opened. Fails when the exchange id belongs to a different request.
async fn reopen(
    command: &CreateCounselFromBubble,
    bubble: &Bubble,
    known: Exchange,
    conversation: &Conversation,
) -> HandlerResult<CreateCounselResult, CounselError> {
    known.is_for(known.counsel(), bubble.option(command.choice))?;
    let counsel = conversation.counsels.get::<CounselError>(&known.counsel()).await?;
    let opening = counsel.opening().ok_or(CounselError::ExchangeReused)?;
    let opening = conversation.messages.get::<CounselError>(&opening).await?;
    let same_people = counsel.belongs_to(command.user) && counsel.counselor() == command.counselor;
    if !same_people || opening.sent().text != bubble.question() {
        return Err(CounselError::ExchangeReused.into());
    }
    let first_exchange = Some(conversation.resume_exchange(known).await?);
    Ok(CreateCounselResult { counsel: CounselSummary::of(&counsel), opening: opening.into(), first_exchange })
}
