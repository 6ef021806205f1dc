//! The use cases, one file for each command and query.
//!
//! A person gives their consent ([`GiveConsent`](commands::GiveConsent)), opens a counsel
//! ([`CreateCounsel`](commands::CreateCounsel), or [`CreateCounselFromBubble`](commands::CreateCounselFromBubble)) and sends
//! a message in it ([`AskCounselor`](commands::AskCounselor)), after the user service has confirmed that a token is held for
//! it ([`Reservations`](ports::Reservations)). A query gathers the prompt ([`PreparePrompt`](queries::PreparePrompt)), and a
//! [`Responder`](ports::Responder) composes the reply outside any unit of work. The reply is stored
//! ([`RecordReply`](commands::RecordReply)), or the attempt is given up ([`FailReply`](commands::FailReply)). The
//! [`processes`] run these steps in order. The person may react to a reply ([`ReactMessage`](commands::ReactMessage)).
//! Each message of the person raises the rapport with the counsellor ([`subscribers`]), which unlocks episodes.
//! Administrators change the catalogue and upload pictures ([`GenerateImageUrl`](commands::GenerateImageUrl)); its first
//! entries come with the program, as commands at start.
//! Administrators edit the temporary prompt version, save it ([`SaveTemporaryVersion`](commands::SaveTemporaryVersion)) and
//! activate it ([`ActivatePromptVersion`](commands::ActivatePromptVersion)).
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
