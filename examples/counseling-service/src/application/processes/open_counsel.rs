//! The process that opens a counsel with a greeting, or from a bubble followed by the reply to the person's answer.
use super::{
    confirmation::{Requested, confirm},
    reply::{ExchangeResult, reply},
};
use crate::{
    application::{
        commands::{BubbleAnswer, CreateCounsel, CreateCounselFromBubble, CreateCounselResult},
        projections::{CounselSummary, MessageEntry},
    },
    domain::{counsel::CounselError, crisis::Notice},
};
use cqrs_core::{Committed, Error, HandlerResult, Position, app::WithMetadata};

/// The two ways to open a counsel.
#[derive(Debug, Clone)]
pub enum OpenCounsel {
    /// With a greeting.
    Greeted(CreateCounsel),
    /// With the person's answer to a bubble, which is an exchange.
    FromBubble(BubbleAnswer, Requested),
}

/// An open counsel and its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCounselResult {
    pub counsel: CounselSummary,
    /// The messages in the order of the counsel.
    pub messages: Vec<MessageEntry>,
    /// Present when the person's answer to the bubble speaks of a crisis.
    pub notice: Option<Notice>,
    /// The position that a view must have reached to show all of it.
    pub position: Option<Position>,
}

/// Opens the counsel and, when the person answered a bubble, gets the reply.
///
/// # Errors
/// Returns the refusal of a command, a refusal when no token is held for the answer, or unavailable when there is no reply;
/// the same exchange may then be tried again.
pub async fn open_counsel(app: &WithMetadata, how: OpenCounsel) -> HandlerResult<OpenCounselResult, CounselError> {
    let opened = match how {
        OpenCounsel::Greeted(command) => app.send_committed(command).await?,
        OpenCounsel::FromBubble(answer, requested) => {
            let confirmed = confirm(app, answer.chosen.user, requested).await?;
            let command = CreateCounselFromBubble { answer, attempt: confirmed.attempt() };
            let opened = match app.send_committed(command.clone()).await {
                // A concurrent request with the same exchange has opened the counsel; the second try returns it.
                Err(Error::Exists { .. }) => app.send_committed(command).await,
                opened => opened,
            };
            confirmed.conclude(app, opened).await?
        }
    };
    let Committed { output: CreateCounselResult { mut counsel, opening, first_exchange }, position } = opened;
    let Some(exchange) = first_exchange else {
        return Ok(OpenCounselResult { counsel, messages: vec![opening], notice: None, position });
    };
    let ExchangeResult { question, reply, notice, position } = reply(app, exchange, position).await?;
    if counsel.last_chated_at < reply.sent.at {
        counsel.show(&reply.sent);
    }
    Ok(OpenCounselResult { counsel, messages: vec![opening, question, reply], notice, position })
}
