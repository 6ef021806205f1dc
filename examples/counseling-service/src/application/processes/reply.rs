//! The second half of an exchange: asks the responder outside any unit of work and stores the outcome.
use crate::{
    application::{
        commands::{AskCounselorResult, FailReply, RecordReply},
        ports::{ModelBudget, Responder},
        projections::MessageEntry,
        queries::PreparePrompt,
    },
    domain::counsel::CounselError,
};
use cqrs_core::{Committed, Error, Fault, HandlerResult, Position, app::WithMetadata};

/// The longest reply that is stored, in characters. A longer one is truncated.
const LONGEST: usize = 4000;

/// A complete exchange: a message and its reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeResult {
    pub question: MessageEntry,
    pub reply: MessageEntry,
    /// The position that a view must have reached to show both messages.
    pub position: Option<Position>,
}

/// Gets and stores the reply unless there is one already. `since` is the position of the question.
///
/// A failed attempt is recorded with [`FailReply`], which releases its token.
pub(super) async fn reply(
    app: &WithMetadata,
    request: AskCounselorResult,
    since: Option<Position>,
) -> HandlerResult<ExchangeResult, CounselError> {
    if let Some(reply) = request.reply {
        return Ok(ExchangeResult { question: request.question, reply, position: since });
    }
    let AskCounselorResult { exchange, attempt, ref question, .. } = request;
    let (reason, error) = match compose(app, &request).await {
        Ok(text) => match app.send_committed(RecordReply { exchange, text }).await {
            Ok(Committed { output: reply, position }) => {
                return Ok(ExchangeResult { question: question.clone(), reply, position });
            }
            Err(Error::Domain(CounselError::Consent(refused))) => {
                ("a consent was withdrawn".to_owned(), CounselError::Consent(refused).into())
            }
            Err(error) => return Err(error),
        },
        Err(Unanswered::UsedUp) => {
            ("the daily calls of the model are used up".to_owned(), CounselError::ModelBudgetUsedUp.into())
        }
        Err(Unanswered::Because(reason)) => {
            let message = "the counsellor cannot answer right now; the same request may be sent again";
            (reason, Fault::unavailable(message).into())
        }
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

/// Gathers the prompt and calls the responder once. The call counts whether it succeeds or not.
async fn compose(app: &WithMetadata, request: &AskCounselorResult) -> Result<String, Unanswered> {
    let failed = |reason: &dyn ToString| Unanswered::Because(reason.to_string());
    let responder = app.dependency::<dyn Responder>().map_err(|error| failed(&error))?;
    let budget = app.dependency::<dyn ModelBudget>().map_err(|error| failed(&error))?;
    let prompt = app.send(PreparePrompt { question: request.question.clone() }).await.map_err(|error| failed(&error))?;
    if !budget.take(request.asked_at) {
        return Err(Unanswered::UsedUp);
    }
    let reply = responder.respond(&prompt).await.map_err(|error| failed(&error))?;
    let reply: String = reply.trim().chars().take(LONGEST).collect();
    if reply.is_empty() { Err(failed(&"the counsellor's reply is empty")) } else { Ok(reply) }
}
