//! The command that changes a bubble.
use crate::{
    application::{not_found, projections::BubbleSummary},
    domain::counselor::{Bubble, BubbleEdit, BubbleId, CounselorError, CounselorId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the given fields and keeps the others.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateBubble {
    pub id: BubbleId,
    /// The bubble's counsellor. A bubble of another counsellor is not found, and never moves.
    pub counselor: CounselorId,
    pub edit: BubbleEdit,
}

#[handler]
async fn update_bubble(
    command: UpdateBubble,
    bubbles: Repo<Bubble>,
    clock: Clock,
) -> HandlerResult<BubbleSummary, CounselorError> {
    let UpdateBubble { id, counselor, edit } = command;
    let found = bubbles.find(&id).await?.filter(|bubble| bubble.is_of(counselor) && !bubble.is_deleted());
    found.ok_or_else(|| not_found("bubble", id))?;
    let bubble = bubbles.update(&id, |bubble| bubble.update(edit, clock.now())).await?;
    Ok(BubbleSummary::of(&bubble))
}
