//! The read models, each with the projection that maintains it.
mod user_summary;
mod user_wallet;

pub use user_summary::UserSummary;
pub use user_wallet::UserWallet;
