//! The use cases, one file for each command and query.
//!
//! | command | what it does |
//! |---|---|
//! | [`InitializeUser`](commands::InitializeUser) | registers a person and their credentials on the first visit |
//! | [`UpdateUser`](commands::UpdateUser) | changes a person's profile |
//! | [`ReserveTokens`](commands::ReserveTokens) | reserves a message token for an exchange |
//! | [`ConsumeTokens`](commands::ConsumeTokens) | consumes a token for a complete exchange |
//! | [`ReleaseTokens`](commands::ReleaseTokens) | releases the token of a failed exchange |
//!
//! | query | what it returns |
//! |---|---|
//! | [`FindUserByUserId`](queries::FindUserByUserId) | a person's profile |
//! | [`CheckRemainingTokens`](queries::CheckRemainingTokens) | the balance of a person's wallet |
//!
//! The [`subscribers`] handle the counseling service's events of complete and failed exchanges. The integration events
//! in
//! [`published`] announce registrations, profile changes and consumed tokens.
pub mod commands;
pub mod processes;
pub mod projections;
pub mod published;
pub mod queries;
pub mod subscribers;
