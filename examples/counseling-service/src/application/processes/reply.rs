//! The second half of an exchange: asks the responder outside any unit of work and stores the outcome.
use crate::{
    application::{
        commands::{AskCounselorResult, FailReply, RecordReply},
        ports::{ModelBudget, Responder},
        projections::MessageEntry,
        queries::{FindCrisisNotice, PreparePrompt},
    },
    domain::{
        counsel::CounselError,
        crisis::{Language, Notice},
        manner::Manner,
    },
};
use cqrs_core::{Committed, Error, Fault, HandlerResult, Position, app::WithMetadata};

/// The longest reply that is stored, in characters. A longer one is truncated.
const LONGEST: usize = 4000;

/// A complete exchange: a message and its reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeResult {
    pub question: MessageEntry,
    pub reply: MessageEntry,
    /// Present when the question speaks of a crisis.
    pub notice: Option<Notice>,
    /// The position that a view must have reached to show both messages.
    pub position: Option<Position>,
}

/// Gets and stores the reply unless there is one already. `language` is that of a notice, `since` the position of the
/// question.
///
/// A failed attempt is recorded with [`FailReply`], which releases its token. A message in a crisis has no failed attempt:
/// its notice takes the place of a reply that is not there.
pub(super) async fn reply(
    app: &WithMetadata,
    request: AskCounselorResult,
    language: Language,
    since: Option<Position>,
) -> HandlerResult<ExchangeResult, CounselError> {
    let notice = notice(app, &request, language).await;
    if let Some(reply) = request.reply {
        return Ok(ExchangeResult { question: request.question, reply, notice, position: since });
    }
    let AskCounselorResult { exchange, attempt, ref question, .. } = request;
    let composed = match (compose(app, &request).await, notice) {
        (Err(cause), Some(notice)) => {
            let reason = cause.reason();
            tracing::warn!(%exchange, attempt, reason, "counseling: there is no reply to a message in a crisis; the notice takes its place");
            Ok(notice.text.to_owned())
        }
        (composed, _) => composed,
    };
    let (reason, error) = match composed {
        Ok(text) => match app.send_committed(RecordReply { exchange, text }).await {
            Ok(Committed { output: reply, position }) => {
                return Ok(ExchangeResult { question: question.clone(), reply, notice, position });
            }
            Err(Error::Domain(CounselError::Consent(refused))) => {
                ("a consent was withdrawn".to_owned(), CounselError::Consent(refused).into())
            }
            Err(error) => return Err(error),
        },
        Err(cause) => (cause.reason(), cause.into()),
    };
    tracing::warn!(%exchange, attempt, reason, "counseling: there is no reply; the attempt is given up and its token released");
    app.send(FailReply { exchange, attempt, reason }).await?;
    Err(error)
}

/// The cause of a reply that was not composed.
enum Unanswered {
    /// The calls to the model are used up.
    UsedUp,
    /// The responder or the prompt failed.
    Because(String),
}

impl Unanswered {
    fn reason(&self) -> String {
        match self {
            Unanswered::UsedUp => "the daily calls of the model are used up".to_owned(),
            Unanswered::Because(reason) => reason.clone(),
        }
    }
}
impl From<Unanswered> for Error<CounselError> {
    fn from(cause: Unanswered) -> Self {
        match cause {
            Unanswered::UsedUp => CounselError::ModelBudgetUsedUp.into(),
            Unanswered::Because(_) => {
                let message = "the counsellor cannot answer right now; the same request may be sent again";
                Fault::unavailable(message).into()
            }
        }
    }
}

/// Finds the notice for a message in a crisis. The polite one is used when the counsellor's manner cannot be read.
async fn notice(app: &WithMetadata, request: &AskCounselorResult, language: Language) -> Option<Notice> {
    let crisis = request.crisis?;
    let find = FindCrisisNotice { crisis, counselor: request.question.sent.counselor, language };
    Some(app.send(find).await.unwrap_or_else(|_| crisis.notice(language, Manner::Polite)))
}

/// Gathers the prompt and calls the responder once. The call counts whether it succeeds or not.
async fn compose(app: &WithMetadata, request: &AskCounselorResult) -> Result<String, Unanswered> {
    let failed = |reason: &dyn ToString| Unanswered::Because(reason.to_string());
    let responder = app.dependency::<dyn Responder>().map_err(|error| failed(&error))?;
    let budget = app.dependency::<dyn ModelBudget>().map_err(|error| failed(&error))?;
    let prompt = app.send(PreparePrompt { question: request.question.clone(), crisis: request.crisis }).await;
    let prompt = prompt.map_err(|error| failed(&error))?;
    if !budget.take(request.asked_at) {
        return Err(Unanswered::UsedUp);
    }
    let reply = responder.respond(&prompt).await.map_err(|error| failed(&error))?;
    let reply: String = reply.trim().chars().take(LONGEST).collect();
    if reply.is_empty() { Err(failed(&"the counsellor's reply is empty")) } else { Ok(reply) }
}
