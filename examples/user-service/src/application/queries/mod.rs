//! The queries. They read views, never aggregates.
mod check_remaining_tokens;
mod find_user_by_user_id;

pub use check_remaining_tokens::CheckRemainingTokens;
pub use find_user_by_user_id::FindUserByUserId;
