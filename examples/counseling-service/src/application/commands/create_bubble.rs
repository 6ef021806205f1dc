//! A bubble is created under a given id. One that is there stays as it is, whatever has been made of it.
use crate::domain::counselor::{Bubble, BubbleId, Counselor, CounselorError, CounselorId};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// A new question to break the ice.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateBubble {
    /// Its id.
    pub id: BubbleId,
    /// Whose; the counsellor must be there.
    pub counselor: CounselorId,
    /// What is asked.
    pub question: String,
    /// What can be answered.
    pub options: [String; 2],
}

#[handler]
async fn create_bubble(
    command: CreateBubble,
    bubbles: Repo<Bubble>,
    counselors: Repo<Counselor>,
    clock: Clock,
) -> Result<(), CounselorError> {
    let CreateBubble { id, counselor, question, options } = command;
    counselors.get::<CounselorError>(&counselor).await?;
    if bubbles.find(&id).await?.is_none() {
        bubbles.create(Bubble::create(id, counselor, question, options, clock.now())?)?;
    }
    Ok(())
}
