//! The read models, each with the projection that maintains it.
mod auth_user_summary;
mod user_summary;
mod user_tracking;
mod user_wallet;

pub use auth_user_summary::AuthUserSummary;
pub use user_summary::UserSummary;
pub use user_tracking::UserTracking;
pub use user_wallet::UserWallet;
