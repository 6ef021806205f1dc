//! The queries. They read views, never aggregates.
mod check_remaining_tokens;
mod find_auth_user_by_auth_user_id;
mod find_auth_user_by_channel_info;
mod find_auth_user_by_user_id;
mod find_tracking_by_user_id;
mod find_user_by_nickname;
mod find_user_by_user_id;

pub use check_remaining_tokens::CheckRemainingTokens;
pub use find_auth_user_by_auth_user_id::FindAuthUserByAuthUserId;
pub use find_auth_user_by_channel_info::FindAuthUserByChannelInfo;
pub use find_auth_user_by_user_id::FindAuthUserByUserId;
pub use find_tracking_by_user_id::FindTrackingByUserId;
pub use find_user_by_nickname::FindUserByNickname;
pub use find_user_by_user_id::FindUserByUserId;
