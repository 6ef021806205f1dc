//! The use cases, one file for each command and query.
//!
//! A person opens a counsel ([`CreateCounsel`](commands::CreateCounsel), or
//! [`CreateCounselFromBubble`](commands::CreateCounselFromBubble)) and sends a message in it
//! ([`AskCounselor`](commands::AskCounselor)). A responder composes the reply outside any unit of work
//! ([`ComposeReply`](queries::ComposeReply)). The reply is stored ([`RecordReply`](commands::RecordReply)), or the
//! attempt is
//! given up ([`FailReply`](commands::FailReply)). The [`processes`] run these steps in order. The person may react to
//! a reply
//! ([`ReactMessage`](commands::ReactMessage)). Each message of a person raises the rapport with the counsellor
//! ([`subscribers`]), which unlocks episodes. The first tones, counsellors, bubbles and prompts come with the program, as
//! commands at start; administrators change them and upload pictures
//! ([`GenerateImageUrl`](commands::GenerateImageUrl)).
//! Queries read the views that the [`projections`] maintain; integration events are in [`published`].
pub mod commands;
pub mod ports;
pub mod processes;
pub mod projections;
pub mod published;
pub mod queries;
pub mod subscribers;

use cqrs_core::Error;
use std::fmt::Display;

/// The error for an absent object and for somebody else's: a caller must not be able to distinguish the two.
pub(crate) fn not_found<E>(kind: &'static str, id: impl Display) -> Error<E> {
    Error::NotFound { kind, id: id.to_string() }
}
