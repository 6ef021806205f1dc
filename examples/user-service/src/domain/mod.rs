//! The rules: no async, no I/O, no clock. Decisions read the state and return what happened, or why not.
pub mod auth_user;
pub mod spent_exchange;
pub mod user;
