//! The domain rules: without async, I/O or a clock. A decision reads the state and returns events or an error.
pub mod auth_user;
pub mod paid_exchange;
pub mod user;
