//! The commands, one file for each command and its handler.
mod consume_tokens;
mod initialize_user;
mod release_tokens;
mod reserve_tokens;
mod update_user;

pub use consume_tokens::ConsumeTokens;
pub use initialize_user::{InitializeUser, InitializeUserResult};
pub use release_tokens::ReleaseTokens;
pub use reserve_tokens::{ReserveTokens, ReserveTokensResult};
pub use update_user::UpdateUser;
