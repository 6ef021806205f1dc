//! What changes something.
mod initialize_user;
mod release_tokens;
mod reserve_tokens;
mod spend_tokens;
mod update_user;

pub use initialize_user::{InitializeUser, Initialized};
pub use release_tokens::ReleaseTokens;
pub use reserve_tokens::{ReserveTokens, Reserved};
pub use spend_tokens::SpendTokens;
pub use update_user::UpdateUser;
