//! The command that creates a bubble under a given id; an existing bubble is left unchanged.
use crate::domain::counselor::{Bubble, BubbleId, Counselor, CounselorError, CounselorId};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates an ice-breaking question of a counsellor.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateBubble {
    pub id: BubbleId,
    /// The bubble's counsellor, who must exist.
    pub counselor: CounselorId,
    pub question: String,
    /// The two answers to choose from.
    pub options: [String; 2],
}

#[handler]
async fn create_bubble(
    command: CreateBubble,
    bubbles: Repo<Bubble>,
    counselors: Repo<Counselor>,
    clock: Clock,
) -> HandlerResult<(), CounselorError> {
    let CreateBubble { id, counselor, question, options } = command;
    counselors.get::<CounselorError>(&counselor).await?;
    if bubbles.find(&id).await?.is_none() {
        bubbles.create(id, Bubble::create(counselor, question, options, clock.now())?)?;
    }
    Ok(())
}
