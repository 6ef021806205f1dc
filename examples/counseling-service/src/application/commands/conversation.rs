//! The repositories and steps that all commands on a counsel share.
use crate::{
    application::{not_found, projections::MessageEntry},
    domain::{
        counsel::{
            Counsel, CounselError, CounselId, CounselMessage, Exchange, ExchangeId, MessageEvent, MessageSent,
            MessageText, Progress, Speaker, UserId,
        },
        counselor::CounselorId,
        prompt::PromptVersionId,
    },
};
use cqrs_core::{Aggregate, Clock, FromContext, HandlerResult, Repo};
use serde::{Deserialize, Serialize};

/// An exchange as a command leaves it: the stored question, and the reply when there is one already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskCounselorResult {
    pub exchange: ExchangeId,
    /// The number of the current attempt to reply, from 1.
    pub attempt: u32,
    /// The counsellor who replies, and the version of the prompts.
    pub counselor: CounselorId,
    pub prompt_version: PromptVersionId,
    /// The person's message.
    pub question: MessageEntry,
    /// The reply, when it is stored already; the responder is then not asked again.
    pub reply: Option<MessageEntry>,
}

impl AskCounselorResult {
    fn of(counsel: &Counsel, exchange: ExchangeId, attempt: u32, question: MessageEntry) -> Self {
        let (counselor, prompt_version) = (counsel.counselor(), counsel.prompt_version());
        AskCounselorResult { exchange, attempt, counselor, prompt_version, question, reply: None }
    }
}

/// The repositories of counsels, messages and exchanges, with the clock.
#[derive(FromContext)]
pub(super) struct Conversation {
    pub(super) counsels: Repo<Counsel>,
    pub(super) messages: Repo<CounselMessage>,
    pub(super) exchanges: Repo<Exchange>,
    pub(super) clock: Clock,
}

impl Conversation {
    /// Loads a counsel of this person. Somebody else's counsel is reported as not found.
    pub(super) async fn owned_counsel(&self, id: CounselId, user: UserId) -> HandlerResult<Counsel, CounselError> {
        let found = self.counsels.find(&id).await?.filter(|counsel| counsel.belongs_to(user));
        found.ok_or_else(|| not_found("counsel", id))
    }

    /// Appends a message to the counsel and creates the message aggregate.
    pub(super) async fn append(
        &self,
        counsel: &Counsel,
        by: Speaker,
        text: &str,
    ) -> HandlerResult<MessageSent, CounselError> {
        let sent = counsel.next(self.clock.id().into(), by, text, self.clock.now());
        self.counsels.update(counsel.id(), |counsel| Ok::<_, CounselError>(counsel.append(&sent))).await?;
        self.messages.create(sent.id, MessageEvent::Sent(sent.clone()))?;
        Ok(sent)
    }

    /// Starts an exchange with a person's message.
    pub(super) async fn start_exchange(
        &self,
        counsel: CounselId,
        exchange: ExchangeId,
        text: MessageText,
    ) -> HandlerResult<AskCounselorResult, CounselError> {
        let counsel = self.open_exchange(counsel, exchange).await?;
        let question = self.append(&counsel, Speaker::Person, text.as_str()).await?;
        self.exchanges.create(exchange, Exchange::start(&question, text))?;
        Ok(AskCounselorResult::of(&counsel, exchange, 1, question.into()))
    }

    /// Resumes a stored exchange. Returns the reply when there is one, and starts another attempt otherwise.
    pub(super) async fn resume_exchange(&self, known: Exchange) -> HandlerResult<AskCounselorResult, CounselError> {
        let exchange = *known.id();
        let question = self.messages.get::<CounselError>(&known.question()).await?.into();
        if let Progress::Replied(reply) = known.progress() {
            let counsel = self.counsels.get::<CounselError>(&known.counsel()).await?;
            let reply = self.messages.get::<CounselError>(&reply).await?.into();
            let result = AskCounselorResult::of(&counsel, exchange, known.attempt(), question);
            return Ok(AskCounselorResult { reply: Some(reply), ..result });
        }
        let counsel = self.open_exchange(known.counsel(), exchange).await?;
        let now = self.clock.now();
        let retried = self.exchanges.update(&exchange, |stored| Ok::<_, CounselError>(stored.retry(now))).await?;
        Ok(AskCounselorResult::of(&counsel, exchange, retried.attempt(), question))
    }

    /// Makes this the open exchange of the counsel. An overdue exchange is given up first: the process that should have
    /// replied has crashed.
    async fn open_exchange(&self, counsel: CounselId, exchange: ExchangeId) -> HandlerResult<Counsel, CounselError> {
        let now = self.clock.now();
        if let Some(overdue) = self.counsels.get::<CounselError>(&counsel).await?.overdue(exchange, now) {
            let give_up = |stored: &Exchange| {
                Ok::<_, CounselError>(stored.fail(stored.attempt(), "no reply within the time limit"))
            };
            self.exchanges.update(&overdue, give_up).await?;
            self.close_exchange(counsel, overdue).await?;
        }
        self.counsels.update(&counsel, |stored| stored.start_exchange(exchange, now)).await
    }

    /// Closes the exchange when it is the open one of the counsel; otherwise changes nothing.
    pub(super) async fn close_exchange(
        &self,
        counsel: CounselId,
        exchange: ExchangeId,
    ) -> HandlerResult<Counsel, CounselError> {
        self.counsels.update(&counsel, |stored| Ok::<_, CounselError>(stored.end_exchange(exchange))).await
    }
}
