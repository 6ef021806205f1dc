//! What can be done, one file per use case.
//!
//! A person opens a counsel ([`CreateCounsel`](commands::CreateCounsel), or
//! [`CreateCounselFromBubble`](commands::CreateCounselFromBubble)) and says something in it
//! ([`AskCounselor`](commands::AskCounselor)). A responder, outside every unit of work, composes what the counsellor says
//! ([`ComposeReply`](queries::ComposeReply)), which is kept ([`RecordReply`](commands::RecordReply)), or else given up
//! ([`FailReply`](commands::FailReply)). [`flows`] put these in order. The person may react to a reply
//! ([`ReactMessage`](commands::ReactMessage)). Tones, counsellors, bubbles and prompts come with the program, as commands at start.
//! Whatever is read comes from the views that [`projections`] keep; what others hear is in [`published`].
pub mod commands;
pub mod flows;
pub mod ports;
pub mod projections;
pub mod published;
pub mod queries;

use cqrs_core::Error;
use std::fmt::Display;

/// There is none, or none for this person: the two must not be told apart.
pub(crate) fn not_found<E>(kind: &'static str, id: impl Display) -> Error<E> {
    Error::NotFound { kind, id: id.to_string() }
}
