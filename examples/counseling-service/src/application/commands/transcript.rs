//! The counsels and their messages, and the steps on them that several commands share.
use crate::{
    application::{not_found, projections::CounselSummary},
    domain::counsel::{
        Counsel, CounselError, CounselId, CounselMessage, ExchangeId, MessageEvent, MessageId, MessageSent, NewCounsel,
        Speaker, UserId,
    },
};
use cqrs_core::{Clock, FromContext, HandlerResult, Repo};

/// The repositories of counsels and messages, with the clock.
#[derive(FromContext)]
pub(super) struct Transcript {
    counsels: Repo<Counsel>,
    messages: Repo<CounselMessage>,
    pub(super) clock: Clock,
}

impl Transcript {
    /// Loads a counsel of this person. Somebody else's counsel is reported as not found.
    pub(super) async fn owned(&self, id: CounselId, user: UserId) -> HandlerResult<Counsel, CounselError> {
        let found = self.counsels.find(&id).await?.filter(|counsel| counsel.belongs_to(user));
        found.ok_or_else(|| not_found("counsel", id))
    }
    pub(super) async fn counsel(&self, id: CounselId) -> HandlerResult<Counsel, CounselError> {
        self.counsels.get(&id).await
    }
    pub(super) async fn message(&self, id: MessageId) -> HandlerResult<CounselMessage, CounselError> {
        self.messages.get(&id).await
    }

    /// Opens a counsel with a message of the counsellor.
    pub(super) fn open(&self, new: NewCounsel, text: &str) -> HandlerResult<(Counsel, MessageSent), CounselError> {
        let opening = self.clock.id().into();
        let counsel = Counsel::open(new, opening, self.clock.now());
        let counsel = self.counsels.create(self.clock.id().into(), counsel)?;
        Ok((counsel.clone(), self.store(&counsel, text)?))
    }
    /// Appends a message: the counsel decides on its number.
    pub(super) async fn append(
        &self,
        counsel: CounselId,
        by: Speaker,
        text: &str,
    ) -> HandlerResult<MessageSent, CounselError> {
        let (id, now) = (self.clock.id().into(), self.clock.now());
        let counsel = self.counsels.update::<_, CounselError>(&counsel, |counsel| counsel.append(id, by, now)).await?;
        self.store(&counsel, text)
    }
    /// Stores the text of the counsel's latest message.
    fn store(&self, counsel: &Counsel, text: &str) -> HandlerResult<MessageSent, CounselError> {
        let sent = counsel.latest_message(text);
        self.messages.create(sent.id, MessageEvent::Sent(sent.clone()))?;
        Ok(sent)
    }
    /// Begins an attempt of an exchange in the counsel.
    pub(super) async fn start_exchange(
        &self,
        counsel: CounselId,
        exchange: ExchangeId,
    ) -> HandlerResult<Counsel, CounselError> {
        self.counsels.update(&counsel, |counsel| counsel.start_exchange(exchange)).await
    }
    /// Builds the summary of a counsel for a command's result: the view catches up later.
    pub(super) async fn summary(&self, id: CounselId) -> HandlerResult<CounselSummary, CounselError> {
        let counsel = self.counsel(id).await?;
        let latest = self.message(counsel.latest()).await?;
        Ok(CounselSummary::of(counsel.opened_at(), latest.sent()))
    }
}
