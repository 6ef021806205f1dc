//! What queries read: views, and how events change them.
mod user_card;
mod user_wallet;

pub use user_card::UserCard;
pub use user_wallet::UserWallet;
