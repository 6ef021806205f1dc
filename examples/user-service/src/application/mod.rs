//! The use cases, one file for each command and query; `docs/use-cases.txt` lists them all.
//!
//! A person is registered on the first visit ([`InitializeUser`](commands::InitializeUser)) and changes their profile
//! ([`UpdateUser`](commands::UpdateUser)). A message token is reserved for an exchange
//! ([`ReserveTokens`](commands::ReserveTokens)). The [`subscribers`] handle the counseling service's events of complete
//! and failed exchanges, and consume or release the token. Queries read the views that the [`projections`] maintain;
//! integration events are in [`published`].
pub mod commands;
pub mod processes;
pub mod projections;
pub mod published;
pub mod queries;
pub mod subscribers;
