//! What the counsellor says next: the one query that asks the world. It changes nothing; keeping the words is a command.
use crate::{
    application::{
        not_found,
        ports::{Prompt, Responder, Turn},
        projections::{CounselCard, CounselorCard, MessageCard, PromptCard},
    },
    domain::{counselor::CounselorId, counselor::ToneId, prompt::Prompts},
};
use cqrs_core::{Dep, Fault, Never, Query, Result, Views, handler};

/// How much of what was said before a responder is told.
const HISTORY: usize = 30;
/// The longest reply that is kept, in characters: what is longer is cut.
const LONGEST: usize = 4000;

/// What the counsellor says to this.
#[derive(Debug, Clone, Query)]
pub struct ComposeReply {
    /// What the person has said.
    pub question: MessageCard,
}

#[handler]
async fn compose_reply(
    query: ComposeReply,
    counsels: Views<CounselCard>,
    counselors: Views<CounselorCard>,
    messages: Views<MessageCard>,
    prompts: Views<PromptCard>,
    responder: Dep<dyn Responder>,
) -> Result<String, Never> {
    let said = query.question.said;
    let counsel = counsels.get(&said.counsel).await?.ok_or_else(|| not_found("counsel", said.counsel))?;
    let counselor = counselors.get(&counsel.counselor).await?;
    let counselor = counselor.ok_or_else(|| not_found("counselor", counsel.counselor))?;
    let version = prompts.get(&counsel.prompt_version).await?;
    let Prompts { personas, tones, techniques } =
        version.ok_or_else(|| not_found("prompt-version", counsel.prompt_version))?.prompts;
    let technique = techniques.into_iter().find(|it| it.id == said.technique);
    let latest = messages.page(MessageCard::latest(&said.counsel), None, HISTORY + 1).await?.items;
    let before = latest.into_iter().rev().map(|it| it.said).filter(|it| it.id != said.id);

    let prompt = Prompt {
        persona: persona(&personas, counsel.counselor).unwrap_or(counselor.profile.description),
        tone: tone(&tones, counselor.tone).unwrap_or_default(),
        context: technique.as_ref().map(|it| it.context.clone()).unwrap_or_default(),
        instruction: technique.map(|it| it.instruction).unwrap_or_default(),
        counselor: counselor.profile.name,
        history: before.map(|it| Turn { by: it.by, text: it.text }).collect(),
        message: said.text,
    };
    let reply = responder.respond(&prompt).await;
    let reply = reply.map_err(|why| Fault::unavailable("the counsellor does not answer").because(why))?;
    let reply: String = reply.trim().chars().take(LONGEST).collect();
    if reply.is_empty() { Err(Fault::unavailable("the counsellor said nothing").into()) } else { Ok(reply) }
}

fn persona(all: &[(CounselorId, String)], of: CounselorId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
fn tone(all: &[(ToneId, String)], of: ToneId) -> Option<String> {
    all.iter().find(|(id, _)| *id == of).map(|(_, body)| body.clone())
}
