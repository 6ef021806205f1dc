//! The command that opens a counsel with the counsellor's greeting. It consumes no token.
use super::{
    counsel_opener::{ChosenCounselor, CounselOpener},
    exchanges::AskCounselorResult,
    transcript::Transcript,
};
use crate::{
    application::projections::{CounselSummary, MessageEntry},
    domain::counsel::{CounselError, ExchangeId},
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Opens a counsel with a greeting.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounsel {
    pub chosen: ChosenCounselor,
    /// The exchange of the same request with a bubble, when the request has a key. The key opens one counsel.
    pub key: Option<ExchangeId>,
}

/// An open counsel and the messages stored in it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateCounselResult {
    pub counsel: CounselSummary,
    /// The greeting, or the bubble's question.
    pub opening: MessageEntry,
    /// The exchange of the person's answer to the bubble; absent after a greeting.
    pub first_exchange: Option<AskCounselorResult>,
}

#[handler]
async fn create_counsel(
    command: CreateCounsel,
    transcript: Transcript,
    opener: CounselOpener,
) -> HandlerResult<CreateCounselResult, CounselError> {
    let new = opener.prepare(command.chosen, command.key, transcript.clock.now()).await?;
    let manner = opener.manner_of(new.counselor).await?;
    let (counsel, greeting) = transcript.open(new, manner.greeting())?;
    let counsel = transcript.summary(*counsel.id()).await?;
    Ok(CreateCounselResult { counsel, opening: greeting.into(), first_exchange: None })
}
