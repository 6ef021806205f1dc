//! The exchanges of counsels, and the two ways to begin an attempt: with a new message, or with a stored one.
use super::{processing::Processing, transcript::Transcript};
use crate::{
    application::projections::MessageEntry,
    domain::{
        counsel::{
            Counsel, CounselError, CounselMessage, Exchange, ExchangeId, MessageText, Progress, Speaker, UserId,
        },
        crisis::{Crisis, CrisisRecord, detect},
    },
};
use cqrs_core::{Aggregate, FromContext, HandlerResult, Repo, Timestamp};
use serde::{Deserialize, Serialize};

/// An exchange as a command leaves it: the stored question, and the reply when there is one already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskCounselorResult {
    pub exchange: ExchangeId,
    /// The wallet's number of the current attempt.
    pub attempt: u32,
    /// The time at which the attempt began.
    pub asked_at: Timestamp,
    /// The person's message.
    pub question: MessageEntry,
    /// The crisis that the message speaks of.
    pub crisis: Option<Crisis>,
    /// The reply, when it is stored already; the responder is then not asked again.
    pub reply: Option<MessageEntry>,
}

/// The number of an attempt without a hold. The wallet counts from 1, so it releases nothing.
const WITHOUT_A_HOLD: u32 = 0;

/// An attempt that a command wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub exchange: ExchangeId,
    /// The wallet's number of the attempt; absent when no hold was confirmed. Then a stored reply is returned, and a
    /// message in a crisis is answered.
    pub number: Option<u32>,
}
impl Attempt {
    fn confirmed(self) -> Result<u32, CounselError> {
        self.number.ok_or(CounselError::NoReservation)
    }
    /// Returns the number of the hold. An attempt at a message in a crisis is free, so it begins without one too.
    fn paid_or_free(self, crisis: Option<Crisis>) -> Result<u32, CounselError> {
        if crisis.is_some() { Ok(self.number.unwrap_or(WITHOUT_A_HOLD)) } else { self.confirmed() }
    }
}

/// The exchanges with the counsels that they belong to.
#[derive(FromContext)]
pub(super) struct Exchanges {
    pub(super) transcript: Transcript,
    exchanges: Repo<Exchange>,
    crises: Repo<CrisisRecord>,
    processing: Processing,
}

impl Exchanges {
    /// Returns the exchange with its question.
    pub(super) async fn find(&self, id: ExchangeId) -> HandlerResult<Option<(Exchange, CounselMessage)>, CounselError> {
        let Some(exchange) = self.exchanges.find(&id).await? else { return Ok(None) };
        let question = self.transcript.message(exchange.question()).await?;
        Ok(Some((exchange, question)))
    }

    /// Checks that a message of this person may be processed. A message in a crisis is answered without the model when no
    /// call is left.
    async fn may_be_processed(&self, user: UserId, crisis: Option<Crisis>) -> HandlerResult<(), CounselError> {
        match crisis {
            Some(_) => self.processing.consents.check(user).await,
            None => self.processing.allows(user, self.transcript.clock.now()).await,
        }
    }

    /// Starts an exchange with a person's message.
    pub(super) async fn start(
        &self,
        counsel: &Counsel,
        attempt: Attempt,
        text: &MessageText,
    ) -> HandlerResult<AskCounselorResult, CounselError> {
        let (Attempt { exchange, .. }, now) = (attempt, self.transcript.clock.now());
        let crisis = detect(text.as_str());
        self.may_be_processed(counsel.user(), crisis).await?;
        let attempt = attempt.paid_or_free(crisis)?;
        self.begin(counsel, exchange, now).await?;
        let question = self.transcript.append(*counsel.id(), Speaker::Person, text.as_str()).await?;
        self.exchanges.create(exchange, Exchange::start(&question, crisis, attempt))?;
        if let Some(kind) = crisis {
            self.crises.create(question.id, CrisisRecord::detected(kind, *counsel.id(), now))?;
        }
        Ok(AskCounselorResult { exchange, attempt, asked_at: now, question: question.into(), crisis, reply: None })
    }

    /// Resumes a stored exchange. Returns the reply when there is one, and starts another attempt otherwise.
    pub(super) async fn resume(
        &self,
        (known, question): (Exchange, CounselMessage),
        attempt: Attempt,
    ) -> HandlerResult<AskCounselorResult, CounselError> {
        let (exchange, now) = (*known.id(), self.transcript.clock.now());
        let (question, crisis) = (question.into(), known.crisis());
        if let Progress::Replied(reply) = known.progress() {
            let (attempt, reply) = (known.attempt(), Some(self.transcript.message(reply).await?.into()));
            return Ok(AskCounselorResult { exchange, attempt, asked_at: now, question, crisis, reply });
        }
        self.may_be_processed(known.user(), crisis).await?;
        let attempt = attempt.paid_or_free(crisis)?;
        let retried = self.exchanges.update(&exchange, |stored| stored.retry(attempt, now)).await?;
        self.begin(&self.transcript.counsel(retried.counsel()).await?, exchange, now).await?;
        Ok(AskCounselorResult { exchange, attempt, asked_at: now, question, crisis, reply: None })
    }

    /// Makes this the exchange of the counsel's latest attempt. The one before must not be waiting for its reply.
    async fn begin(&self, counsel: &Counsel, exchange: ExchangeId, now: Timestamp) -> HandlerResult<(), CounselError> {
        if let Some(before) = counsel.exchange().filter(|before| *before != exchange) {
            self.exchanges.update(&before, |before| before.make_room(now)).await?;
        }
        self.transcript.start_exchange(*counsel.id(), exchange).await?;
        Ok(())
    }
}
