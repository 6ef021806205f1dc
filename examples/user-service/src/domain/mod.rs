//! The domain rules: without async, I/O or a clock. A decision reads the state and returns events or an error.
pub mod activity;
pub mod auth_user;
#[cfg(test)]
mod testing;
pub mod user;
pub mod wallet;
