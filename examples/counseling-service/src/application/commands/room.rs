//! The room a counsel takes place in: what all commands about counsels need, and what they share.
use crate::{
    application::{not_found, projections::MessageCard},
    domain::counsel::{
        Counsel, CounselError, CounselId, CounselMessage, Exchange, ExchangeId, MessageEvent, Progress, Said, Speaker,
        UserId, Words,
    },
};
use cqrs_core::{Aggregate, Clock, Context, FromContext, Missing, Needs, Repo, Result};
use serde::{Deserialize, Serialize};

/// An exchange, as far as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Which one.
    pub exchange: ExchangeId,
    /// The number of this attempt to answer.
    pub attempt: u32,
    /// What the person said.
    pub question: MessageCard,
    /// The answer, if there is one already: then nobody is to be asked.
    pub reply: Option<MessageCard>,
}

/// Counsels, their messages, their exchanges.
pub(super) struct Room {
    pub(super) counsels: Repo<Counsel>,
    pub(super) messages: Repo<CounselMessage>,
    pub(super) exchanges: Repo<Exchange>,
    pub(super) clock: Clock,
}
impl FromContext for Room {
    fn from_context(context: &Context) -> core::result::Result<Self, Missing> {
        Ok(Room {
            counsels: Repo::from_context(context)?,
            messages: Repo::from_context(context)?,
            exchanges: Repo::from_context(context)?,
            clock: Clock::from_context(context)?,
        })
    }
    fn needs(needs: &mut Needs) {
        Repo::<Counsel>::needs(needs);
        Repo::<CounselMessage>::needs(needs);
        Repo::<Exchange>::needs(needs);
    }
}

impl Room {
    /// The counsel, if it is this person's.
    pub(super) async fn own(&self, id: CounselId, user: UserId) -> Result<Counsel, CounselError> {
        let found = self.counsels.find(&id).await?.filter(|counsel| counsel.belongs_to(user));
        found.ok_or_else(|| not_found("counsel", id))
    }

    /// Something is said: the counsel takes note, and the message stands for itself.
    pub(super) async fn say(&self, counsel: &Counsel, by: Speaker, text: &str) -> Result<Said, CounselError> {
        let said = counsel.next(self.clock.id().into(), by, text, self.clock.now());
        self.counsels.update(counsel.id(), |counsel| Ok::<_, CounselError>(counsel.hear(&said))).await?;
        self.messages.create(MessageEvent::Said(said.clone()))?;
        Ok(said)
    }

    /// A person says something: a new exchange begins.
    pub(super) async fn ask(
        &self,
        counsel: CounselId,
        exchange: ExchangeId,
        words: Words,
    ) -> Result<Asked, CounselError> {
        let counsel = self.begin(counsel, exchange).await?;
        let question = self.say(&counsel, Speaker::Person, words.as_str()).await?;
        self.exchanges.create(Exchange::ask(exchange, &question, words))?;
        Ok(Asked { exchange, attempt: 1, question: question.into(), reply: None })
    }

    /// An exchange that is known: what is there of it stays, only the answer may be missing.
    pub(super) async fn resume(&self, known: Exchange) -> Result<Asked, CounselError> {
        let exchange = *known.id();
        let question = self.messages.get::<CounselError>(&known.question()).await?.into();
        if let Progress::Replied(reply) = known.progress() {
            let reply = self.messages.get::<CounselError>(&reply).await?.into();
            return Ok(Asked { exchange, attempt: known.attempt(), question, reply: Some(reply) });
        }
        self.begin(known.counsel(), exchange).await?;
        let now = self.clock.now();
        let asked = self.exchanges.update(&exchange, |it| Ok::<_, CounselError>(it.ask_again(now))).await?;
        Ok(Asked { exchange, attempt: asked.attempt(), question, reply: None })
    }

    /// Makes this the open exchange. One whose time is over is given up first: whoever was to answer it has crashed.
    async fn begin(&self, counsel: CounselId, exchange: ExchangeId) -> Result<Counsel, CounselError> {
        let now = self.clock.now();
        if let Some(overdue) = self.counsels.get::<CounselError>(&counsel).await?.overdue(exchange, now) {
            let give_up = |it: &Exchange| Ok::<_, CounselError>(it.fail(it.attempt(), "nobody answered in time"));
            self.exchanges.update(&overdue, give_up).await?;
            self.end(counsel, overdue).await?;
        }
        self.counsels.update(&counsel, |it| it.begin(exchange, now)).await
    }

    /// Closes an exchange, if it is the open one.
    pub(super) async fn end(&self, counsel: CounselId, exchange: ExchangeId) -> Result<Counsel, CounselError> {
        self.counsels.update(&counsel, |it| Ok::<_, CounselError>(it.end(exchange))).await
    }
}
