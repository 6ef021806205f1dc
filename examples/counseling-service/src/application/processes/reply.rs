//! The second half of an exchange: asks the responder outside any unit of work and stores the outcome.
use crate::{
    application::{
        commands::{AskCounselorResult, FailReply, RecordReply},
        projections::MessageEntry,
        queries::ComposeReply,
    },
    domain::counsel::CounselError,
};
use cqrs_core::{Committed, Error, Fault, HandlerResult, Position, app::WithMetadata};
use std::error::Error as _;

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
    let AskCounselorResult { exchange, attempt, counselor, prompt_version, question, reply } = request;
    if let Some(reply) = reply {
        return Ok(ExchangeResult { question, reply, position: since });
    }
    let counsel = question.counsel;
    match app.send(ComposeReply { question: question.clone(), counselor, prompt_version }).await {
        Ok(text) => {
            let record = RecordReply { counsel, exchange, text };
            let Committed { output: reply, position } = app.send_committed(record).await?;
            Ok(ExchangeResult { question, reply, position })
        }
        Err(error) => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            tracing::warn!(%exchange, attempt, reason, "counseling: the responder gave no reply; the attempt is given up and its token released");
            app.send(FailReply { counsel, exchange, attempt, reason }).await?;
            Err(Error::Fault(Fault::unavailable(
                "the counsellor cannot answer right now; the same request may be sent again",
            )))
        }
    }
}
