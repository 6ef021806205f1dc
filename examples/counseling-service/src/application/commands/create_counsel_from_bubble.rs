//! The command that opens a counsel from a bubble: it stores the question and the chosen answer and starts their
//! exchange.
use super::{
    counsel_opener::{ChosenCounselor, CounselOpener},
    create_counsel::CreateCounselResult,
    exchanges::{Attempt, Exchanges},
};
use crate::{
    application::not_found,
    domain::{
        counsel::{CounselError, CounselMessage, Exchange},
        counselor::{Bubble, BubbleId, Choice},
    },
};
use cqrs_core::{Aggregate, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Opens a counsel with a person's answer to a bubble. The exchange id identifies the request, so a retry opens it
/// once.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselFromBubble {
    pub answer: BubbleAnswer,
    /// The attempt that this command begins, of the exchange of the answer and its reply.
    pub attempt: Attempt,
}

/// A person's answer to a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BubbleAnswer {
    pub chosen: ChosenCounselor,
    /// A bubble of this counsellor.
    pub bubble: BubbleId,
    /// The answer that the person chose.
    pub choice: Choice,
}

#[handler]
async fn create_counsel_from_bubble(
    command: CreateCounselFromBubble,
    exchanges: Exchanges,
    opener: CounselOpener,
    bubbles: Repo<Bubble>,
) -> HandlerResult<CreateCounselResult, CounselError> {
    let CreateCounselFromBubble { answer: BubbleAnswer { chosen, bubble: id, choice }, attempt } = command;
    let bubble = bubbles.find(&id).await?.filter(|bubble| bubble.is_of(chosen.counselor));
    let bubble = bubble.ok_or_else(|| not_found("bubble", id))?;
    if let Some(known) = exchanges.find(attempt.exchange).await? {
        return reopen(chosen, (&bubble, choice), known, attempt, &exchanges).await;
    }
    if bubble.is_deleted() {
        return Err(not_found("bubble", id));
    }
    let transcript = &exchanges.transcript;
    let new = opener.prepare(chosen, Some(attempt.exchange), transcript.clock.now()).await?;
    let (counsel, question) = transcript.open(new, bubble.question())?;
    let first_exchange = Some(exchanges.start(&counsel, attempt, bubble.option(choice)).await?);
    let counsel = transcript.summary(*counsel.id()).await?;
    Ok(CreateCounselResult { counsel, opening: question.into(), first_exchange })
}

/// Returns the counsel that this exchange opened. Fails when the exchange id belongs to a different request.
async fn reopen(
    chosen: ChosenCounselor,
    (bubble, choice): (&Bubble, Choice),
    (known, answer): (Exchange, CounselMessage),
    attempt: Attempt,
    exchanges: &Exchanges,
) -> HandlerResult<CreateCounselResult, CounselError> {
    let transcript = &exchanges.transcript;
    let counsel = transcript.counsel(known.counsel()).await?;
    let opening = transcript.message(counsel.opening()).await?;
    known.is_for(*counsel.id(), &answer, bubble.option(choice))?;
    let same_people = counsel.belongs_to(chosen.user) && counsel.counselor() == chosen.counselor;
    let same_version = chosen.prompt_version.is_none_or(|version| version == counsel.prompt_version());
    if !same_people || !same_version || opening.sent().text != bubble.question() {
        return Err(CounselError::ExchangeReused.into());
    }
    known.is_not_being_answered(transcript.clock.now())?;
    let first_exchange = Some(exchanges.resume((known, answer), attempt).await?);
    let counsel = transcript.summary(*counsel.id()).await?;
    Ok(CreateCounselResult { counsel, opening: opening.into(), first_exchange })
}
