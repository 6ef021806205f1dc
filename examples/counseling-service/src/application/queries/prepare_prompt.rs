//! The query that gathers the prompt for the reply to a message. It calls nothing; the process calls the responder.
use super::PromptViews;
use crate::{
    application::{
        not_found,
        ports::{Prompt, Turn},
        projections::{ClientCard, CounselorProfile, MessageEntry},
    },
    domain::crisis::Crisis,
};
use cqrs_core::{Fault, HandlerResult, Infallible, Query, Views, handler};

/// The number of earlier messages that a responder receives.
const HISTORY: usize = 30;

/// Gathers the prompt for the reply to a message.
#[derive(Debug, Clone, Query)]
pub struct PreparePrompt {
    /// The person's message.
    pub question: MessageEntry,
    /// The crisis that the message speaks of. The instruction then says so.
    pub crisis: Option<Crisis>,
}

#[handler]
async fn prepare_prompt(
    query: PreparePrompt,
    counselors: Views<CounselorProfile>,
    clients: Views<ClientCard>,
    messages: Views<MessageEntry>,
    prompts: PromptViews,
) -> HandlerResult<Prompt, Infallible> {
    let sent = &query.question.sent;
    // The card comes from another service, so there is no moment up to which it could be waited for.
    let clients = clients.eventually();
    let (counselor, client, before) = futures_util::try_join!(
        counselors.find(&sent.counselor),
        clients.find(&sent.user),
        history(messages, &query.question)
    )?;
    let counselor = counselor.ok_or_else(|| not_found("counselor", sent.counselor))?;
    let texts = prompts.texts(sent.prompt_version, sent.counselor, counselor.tone, sent.technique).await?;
    let texts = texts.ok_or_else(|| not_found("prompt-version", sent.prompt_version))?;
    let instruction = match query.crisis {
        Some(crisis) => format!("{}\n{}", texts.instruction, crisis.instruction()),
        None => texts.instruction,
    };
    Ok(Prompt {
        persona: texts.persona.unwrap_or_else(|| counselor.profile.description.to_string()),
        client: client.as_ref().and_then(ClientCard::form_of_address).map(str::to_owned),
        tone: texts.tone.unwrap_or_default(),
        context: texts.context,
        instruction,
        counselor: counselor.profile.name.to_string(),
        history: before.into_iter().map(|entry| Turn { by: entry.sent.by, text: entry.sent.text }).collect(),
        message: query.question.sent.text,
    })
}

/// Returns the latest messages before the question, oldest first. Messages after it are not part of the prompt: a resumed
/// exchange gets the reply that it would have got.
async fn history(messages: Views<MessageEntry>, question: &MessageEntry) -> Result<Vec<MessageEntry>, Fault> {
    if question.number == 1 {
        return Ok(Vec::new());
    }
    let latest = MessageEntry::by_counsel().counsel(question.counsel).reversed();
    let from = latest.cursor(question, &question.sent.id);
    let page = async |messages: Views<MessageEntry>| {
        Ok::<_, Fault>(messages.page(latest.clone(), from.as_ref(), HISTORY).await?.items)
    };
    // The view need not show the question. It is waited for only when the message before is missing.
    let mut found = page(messages.clone().seen_by_caller()).await?;
    if found.first().is_none_or(|newest| newest.number + 1 != question.number) {
        found = page(messages).await?;
    }
    found.reverse();
    Ok(found)
}
