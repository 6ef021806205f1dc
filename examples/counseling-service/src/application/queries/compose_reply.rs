//! The query that composes the counsellor's reply with the responder. It stores nothing; `RecordReply` does.
use crate::{
    application::{
        not_found,
        ports::{Prompt, Responder, Turn},
        projections::{CounselorProfile, MessageEntry, PromptSet},
    },
    domain::{
        counselor::{CounselorId, ToneId},
        prompt::{PromptVersionId, Prompts},
    },
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
    pub counselor: CounselorId,
    pub prompt_version: PromptVersionId,
}

#[handler]
async fn compose_reply(
    query: ComposeReply,
    counselors: Views<CounselorProfile>,
    messages: Views<MessageEntry>,
    prompts: Views<PromptSet>,
    responder: Dep<dyn Responder>,
) -> HandlerResult<String, Infallible> {
    let sent = query.question.sent.clone();
    let (counselor, version, latest) = futures_util::try_join!(
        counselors.find(&query.counselor),
        prompts.find(&query.prompt_version),
        history(messages, &query.question)
    )?;
    let counselor = counselor.ok_or_else(|| not_found("counselor", query.counselor))?;
    let Prompts { personas, tones, techniques } =
        version.ok_or_else(|| not_found("prompt-version", query.prompt_version))?.prompts;
    let technique = techniques.into_iter().find(|technique| technique.id == sent.technique);
    let before = latest.into_iter().rev().map(|entry| entry.sent).filter(|earlier| earlier.id != sent.id);

    let prompt = Prompt {
        persona: persona(&personas, query.counselor).unwrap_or(counselor.profile.description.to_string()),
        tone: tone(&tones, counselor.tone).unwrap_or_default(),
        context: technique.as_ref().map(|technique| technique.context.clone()).unwrap_or_default(),
        instruction: technique.map(|technique| technique.instruction).unwrap_or_default(),
        counselor: counselor.profile.name.to_string(),
        history: before.map(|earlier| Turn { by: earlier.by, text: earlier.text }).collect(),
        message: sent.text,
    };
    let reply = responder.respond(&prompt).await;
    let reply = reply.map_err(|cause| Fault::unavailable("the counsellor does not answer").because(cause))?;
    let reply: String = reply.trim().chars().take(LONGEST).collect();
    if reply.is_empty() { Err(Fault::unavailable("the counsellor's reply is empty").into()) } else { Ok(reply) }
}

/// Returns the latest messages, newest first.
///
/// The history ends before the question, so the view need not show the question yet. It waits only when the message
/// before is missing.
async fn history(messages: Views<MessageEntry>, question: &MessageEntry) -> Result<Vec<MessageEntry>, Fault> {
    let latest = || MessageEntry::latest().counsel(question.counsel);
    let found = messages.clone().seen_by_caller().page(latest(), None, HISTORY + 1).await?.items;
    if found.iter().any(|entry| entry.number + 1 >= question.number) || question.number == 1 {
        return Ok(found);
    }
    Ok(messages.page(latest(), None, HISTORY + 1).await?.items)
}

fn persona(all: &[(CounselorId, String)], of: CounselorId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
fn tone(all: &[(ToneId, String)], of: ToneId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
