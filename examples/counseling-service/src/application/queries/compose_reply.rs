//! The query that composes the counsellor's reply with the responder. It stores nothing; `RecordReply` does.
use crate::{
    application::{
        not_found,
        ports::{Prompt, Responder, Turn},
        projections::{CounselSummary, CounselorProfile, MessageEntry, PromptSet},
    },
    domain::{counselor::CounselorId, counselor::ToneId, prompt::Prompts},
};
use cqrs_core::{Dep, Fault, HandlerResult, Infallible, Query, Views, handler};

/// The number of earlier messages that a responder receives.
const HISTORY: usize = 30;
/// The longest reply that is stored, in characters. A longer one is truncated.
const LONGEST: usize = 4000;

/// Composes the reply to a message.
#[derive(Debug, Clone, Query)]
pub struct ComposeReply {
    /// The person's message.
    pub question: MessageEntry,
}

#[handler]
async fn compose_reply(
    query: ComposeReply,
    counsels: Views<CounselSummary>,
    counselors: Views<CounselorProfile>,
    messages: Views<MessageEntry>,
    prompts: Views<PromptSet>,
    responder: Dep<dyn Responder>,
) -> HandlerResult<String, Infallible> {
    let sent = query.question.sent;
    let counsel = counsels.find(&sent.counsel).await?.ok_or_else(|| not_found("counsel", sent.counsel))?;
    let counselor = counselors.find(&counsel.counselor).await?;
    let counselor = counselor.ok_or_else(|| not_found("counselor", counsel.counselor))?;
    let version = prompts.find(&counsel.prompt_version).await?;
    let Prompts { personas, tones, techniques } =
        version.ok_or_else(|| not_found("prompt-version", counsel.prompt_version))?.prompts;
    let technique = techniques.into_iter().find(|technique| technique.id == sent.technique);
    let latest = messages.page(MessageEntry::latest(&sent.counsel), None, HISTORY + 1).await?.items;
    let before = latest.into_iter().rev().map(|entry| entry.sent).filter(|earlier| earlier.id != sent.id);

    let prompt = Prompt {
        persona: persona(&personas, counsel.counselor).unwrap_or(counselor.profile.description),
        tone: tone(&tones, counselor.tone).unwrap_or_default(),
        context: technique.as_ref().map(|technique| technique.context.clone()).unwrap_or_default(),
        instruction: technique.map(|technique| technique.instruction).unwrap_or_default(),
        counselor: counselor.profile.name,
        history: before.map(|earlier| Turn { by: earlier.by, text: earlier.text }).collect(),
        message: sent.text,
    };
    let reply = responder.respond(&prompt).await;
    let reply = reply.map_err(|cause| Fault::unavailable("the counsellor does not answer").because(cause))?;
    let reply: String = reply.trim().chars().take(LONGEST).collect();
    if reply.is_empty() { Err(Fault::unavailable("the counsellor's reply is empty").into()) } else { Ok(reply) }
}

fn persona(all: &[(CounselorId, String)], of: CounselorId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
fn tone(all: &[(ToneId, String)], of: ToneId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
