//! What can be done, a file for each use case.
//!
//! | command | what it does |
//! |---|---|
//! | [`InitializeUser`](commands::InitializeUser) | somebody comes for the first time: a person and their credentials |
//! | [`UpdateUser`](commands::UpdateUser) | they say who they are |
//! | [`ReserveTokens`](commands::ReserveTokens) | holds a message token for an exchange |
//! | [`SpendTokens`](commands::SpendTokens) | the exchange is complete and costs one |
//! | [`ReleaseTokens`](commands::ReleaseTokens) | it failed, the token is free again |
//!
//! | query | what it tells |
//! |---|---|
//! | [`FindUserByUserId`](queries::FindUserByUserId) | who somebody is |
//! | [`CheckRemainingTokens`](queries::CheckRemainingTokens) | what is left in their wallet |
//!
//! It hears of counseling that an exchange [has a reply, or got none](subscribers), and [tells others](published) who
//! came, who changed, and what was spent.
pub mod commands;
pub mod flows;
pub mod projections;
pub mod published;
pub mod queries;
pub mod subscribers;
