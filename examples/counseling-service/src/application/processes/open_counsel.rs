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
    domain::{
        counsel::CounselError,
        crisis::{Language, Notice},
    },
};
use cqrs_core::{Committed, Dispatch, Error, Handled, HandlerResult, Position, app::WithMetadata};

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

/// Opens the counsel and, when the person answered a bubble, gets the reply. A notice is in this language.
///
/// # Errors
/// Returns the refusal of a command, a refusal when no token is held for the answer, or unavailable when there is no reply;
/// the same exchange may then be tried again.
pub async fn open_counsel(
    app: &WithMetadata,
    how: OpenCounsel,
    language: Language,
) -> HandlerResult<OpenCounselResult, CounselError> {
    let opened = match how {
        OpenCounsel::Greeted(command) => open_once(app, command).await?,
        OpenCounsel::FromBubble(answer, requested) => {
            let confirmed = confirm(app, answer.chosen.user, requested).await?;
            let command = CreateCounselFromBubble { answer, attempt: confirmed.attempt() };
            let opened = open_once(app, command).await;
            confirmed.conclude(app, opened).await?
        }
    };
    let Committed { output: CreateCounselResult { mut counsel, opening, first_exchange }, position } = opened;
    let Some(exchange) = first_exchange else {
        return Ok(OpenCounselResult { counsel, messages: vec![opening], notice: None, position });
    };
    let ExchangeResult { question, reply, notice, position } = reply(app, exchange, language, position).await?;
    if counsel.last_chated_at < reply.sent.at {
        counsel.show(&reply.sent);
    }
    Ok(OpenCounselResult { counsel, messages: vec![opening, question, reply], notice, position })
}

/// Sends the command that opens a counsel. When a concurrent request has opened the counsel of the same key, or the person's
/// first one, the second try sees it.
async fn open_once<C>(app: &WithMetadata, command: C) -> HandlerResult<Committed<CreateCounselResult>, CounselError>
where
    C: Handled<Output = CreateCounselResult, Error = CounselError> + Clone,
    C::Sent: Dispatch<C>,
{
    let opened = match app.send_committed(command.clone()).await {
        Err(Error::Exists { .. } | Error::Taken { .. }) => app.send_committed(command).await,
        opened => opened,
    };
    // The counsel of this key was opened in the other way.
    opened
        .map_err(|error| if matches!(error, Error::Taken { .. }) { CounselError::OpeningReused.into() } else { error })
}
