//! The command that deletes a bubble.
use crate::{
    application::not_found,
    domain::counselor::{Bubble, BubbleId, CounselorId},
};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Deletes a bubble. Counsels that were opened from it stay.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct DeleteBubble {
    pub id: BubbleId,
    /// The bubble's counsellor. A bubble of another counsellor is not found.
    pub counselor: CounselorId,
}

#[handler]
async fn delete_bubble(command: DeleteBubble, bubbles: Repo<Bubble>, clock: Clock) -> HandlerResult<(), Infallible> {
    let DeleteBubble { id, counselor } = command;
    let found = bubbles.find(&id).await?.filter(|bubble| bubble.is_of(counselor) && !bubble.is_deleted());
    found.ok_or_else(|| not_found("bubble", id))?;
    bubbles.update(&id, |bubble| Ok::<_, Infallible>(bubble.delete(clock.now()))).await?;
    Ok(())
}
