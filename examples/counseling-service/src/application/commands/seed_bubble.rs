//! The command that seeds a bubble under a given id; an existing bubble is left unchanged, also when it was deleted.
use crate::domain::counselor::{Bubble, BubbleId, CounselorId, Question, ResponseOptions};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a bubble that ships with the program.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedBubble {
    pub id: BubbleId,
    /// The bubble's counsellor, who is seeded before.
    pub counselor: CounselorId,
    pub question: Question,
    pub options: ResponseOptions,
}

#[handler]
async fn seed_bubble(command: SeedBubble, bubbles: Repo<Bubble>, clock: Clock) -> HandlerResult<(), Infallible> {
    let SeedBubble { id, counselor, question, options } = command;
    if bubbles.find(&id).await?.is_none() {
        bubbles.create(id, Bubble::create(counselor, question, options, clock.now()))?;
    }
    Ok(())
}
