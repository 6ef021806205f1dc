//! A person opens a counsel: with a greeting, or from a bubble, and then they are answered as in any exchange.
use super::reply::reply;
use crate::{
    application::{
        commands::{CreateCounsel, CreateCounselFromBubble, Opened},
        projections::{CounselCard, MessageCard},
    },
    domain::counsel::CounselError,
};
use cqrs_core::{Error, Position, Result, app::With};

/// How a counsel is opened.
#[derive(Debug, Clone)]
pub enum OpenCounsel {
    /// With a greeting.
    Greeted(CreateCounsel),
    /// From a bubble, which is an exchange.
    FromBubble(CreateCounselFromBubble),
}

/// An open counsel and all that has been said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The counsel.
    pub counsel: CounselCard,
    /// In order.
    pub messages: Vec<MessageCard>,
    /// What a reader must have seen to see all of it.
    pub position: Position,
}

/// Opens the counsel; answers, if the person has said something.
///
/// # Errors
/// What the counsel refuses; unavailable when nobody answered: then the exchange may be tried again.
pub async fn open_counsel(app: &With, how: OpenCounsel) -> Result<Begun, CounselError> {
    let (Opened { mut counsel, opening, asked }, position) = match how {
        OpenCounsel::Greeted(command) => app.send_at(command).await?,
        OpenCounsel::FromBubble(command) => match app.send_at(command.clone()).await {
            // The same request was faster: now its counsel is there.
            Err(Error::Exists { .. }) => app.send_at(command).await?,
            done => done?,
        },
    };
    let Some(asked) = asked else { return Ok(Begun { counsel, messages: vec![opening], position }) };
    let answered = reply(app, asked, position).await?;
    if counsel.last_chated_at < Some(answered.reply.said.at) {
        counsel.last_message = Some(answered.reply.said.text.clone());
        counsel.last_chated_at = Some(answered.reply.said.at);
    }
    Ok(Begun { counsel, messages: vec![opening, answered.question, answered.reply], position: answered.position })
}
