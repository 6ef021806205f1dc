//! The second half of an exchange: a responder is asked, outside every unit of work, and what comes of it is kept.
use crate::{
    application::{
        commands::{Asked, FailReply, RecordReply},
        projections::MessageCard,
        queries::ComposeReply,
    },
    domain::counsel::CounselError,
};
use cqrs_core::{Error, Fault, Position, Result, app::With};
use std::error::Error as _;

/// A complete exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What the person said.
    pub question: MessageCard,
    /// What the counsellor answered.
    pub reply: MessageCard,
    /// What a reader must have seen to see both.
    pub position: Position,
}

/// Answers, unless there is an answer already. `since` is where the question lies.
pub(super) async fn reply(app: &With, asked: Asked, since: Position) -> Result<Answered, CounselError> {
    let Asked { exchange, attempt, question, reply } = asked;
    if let Some(reply) = reply {
        return Ok(Answered { question, reply, position: since });
    }
    let counsel = question.counsel;
    match app.send(ComposeReply { question: question.clone() }).await {
        Ok(text) => {
            let (reply, position) = app.send_at(RecordReply { counsel, exchange, text }).await?;
            Ok(Answered { question, reply, position })
        }
        Err(error) => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            tracing::warn!(%exchange, attempt, reason, "no reply");
            app.send(FailReply { counsel, exchange, attempt, reason }).await?;
            Err(Error::Fault(Fault::unavailable(
                "the counsellor cannot answer right now; the same request may be sent again",
            )))
        }
    }
}
