//! The use cases, one file for each command and query; `docs/use-cases.txt` lists them all.
//!
//! A person is registered on the first visit ([`InitializeUser`](commands::InitializeUser)), changes their profile
//! ([`UpdateUser`](commands::UpdateUser)), and is linked to an account by a login
//! ([`ConnectAuthChannel`](commands::ConnectAuthChannel)). A login begins a session
//! ([`SaveRefreshToken`](commands::SaveRefreshToken)), which is refreshed
//! ([`RotateRefreshToken`](commands::RotateRefreshToken)) until it ends
//! ([`RevokeRefreshTokens`](commands::RevokeRefreshTokens)).
//!
//! A message token is reserved for an exchange ([`ReserveTokens`](commands::ReserveTokens)), and the counseling service
//! makes sure of it ([`ConfirmReservation`](commands::ConfirmReservation)). The [`subscribers`] handle its events of
//! complete and failed exchanges, and consume or release the token.
//!
//! Queries read the views that the [`projections`] maintain; integration events are in [`published`].
pub mod commands;
pub mod processes;
pub mod projections;
pub mod published;
pub mod queries;
pub mod subscribers;

use cqrs_core::Error;

/// Returns the error for something that is not there, for this caller at least.
fn not_found<E>(kind: &'static str, id: impl ToString) -> Error<E> {
    Error::NotFound { kind, id: id.to_string() }
}
