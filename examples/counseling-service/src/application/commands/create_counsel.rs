//! The command that opens a counsel with the counsellor's greeting. It consumes no token.
use super::{
    counsel_opener::{ChosenCounselor, CounselOpener},
    exchanges::AskCounselorResult,
    transcript::Transcript,
};
use crate::{
    application::projections::{CounselSummary, MessageEntry},
    domain::counsel::CounselError,
};
use cqrs_core::{Aggregate, Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// The first message of a counsel that does not start from a bubble.
const GREETING: &str = "안녕하세요, 찾아와 주셔서 고마워요. 오늘 마음은 어떠세요? 떠오르는 대로 편하게 들려주세요.";

/// Opens a counsel with a greeting.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounsel {
    pub chosen: ChosenCounselor,
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
    let new = opener.prepare(command.chosen, transcript.clock.now()).await?;
    let (counsel, greeting) = transcript.open(new, GREETING)?;
    let counsel = transcript.summary(*counsel.id()).await?;
    Ok(CreateCounselResult { counsel, opening: greeting.into(), first_exchange: None })
}
