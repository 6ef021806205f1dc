//! The command that creates a bubble.
use crate::{
    application::projections::BubbleSummary,
    domain::counselor::{Bubble, Counselor, CounselorError, CounselorId, Question, ResponseOptions},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates an ice-breaking question of a counsellor.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateBubble {
    /// The bubble's counsellor, who must exist.
    pub counselor: CounselorId,
    pub question: Question,
    /// The two answers to choose from.
    pub options: ResponseOptions,
}

#[handler]
async fn create_bubble(
    command: CreateBubble,
    bubbles: Repo<Bubble>,
    counselors: Repo<Counselor>,
    clock: Clock,
) -> HandlerResult<BubbleSummary, CounselorError> {
    let CreateBubble { counselor, question, options } = command;
    counselors.get::<CounselorError>(&counselor).await?;
    let bubble = bubbles.create(clock.id().into(), Bubble::create(counselor, question, options, clock.now()))?;
    Ok(BubbleSummary::of(&bubble))
}
