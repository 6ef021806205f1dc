//! The domain errors of credentials.
use super::{account, session};
use cqrs_core::DomainError;

/// A refusal of credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum AuthUserError {
    /// The person is linked to an account already.
    #[error("the person is linked to an account already")]
    #[kind(already_exists)]
    AlreadyLinked,
    /// The account is linked to somebody else.
    #[error("the account is linked to somebody else")]
    #[kind(already_exists)]
    AccountTaken,
    /// The channel is not a provider's.
    #[error("KAKAO or NAVER")]
    #[kind(invalid)]
    #[field("auth_channel")]
    AuthChannel,
    /// The id of the account is empty, too long, or has spaces or invisible characters.
    #[error("1 to {max} visible characters without spaces", max = account::LONGEST)]
    #[kind(invalid)]
    #[field("unique_id")]
    UniqueId,
    /// The authority is neither that of a user nor that of an administrator.
    #[error("USER or ADMIN")]
    #[kind(invalid)]
    #[field("authority")]
    Authority,
    /// The refresh token is empty or too long.
    #[error("1 to {max} bytes", max = session::LONGEST_TOKEN)]
    #[kind(invalid)]
    #[field("token")]
    Token,
    /// The successor of a refresh token is empty or too long.
    #[error("1 to {max} bytes", max = session::LONGEST_TOKEN)]
    #[kind(invalid)]
    #[field("new_token")]
    NewToken,
    /// The refresh token was stored before, so it cannot begin a session or continue one.
    #[error("a refresh token that was not stored before")]
    #[kind(already_exists)]
    TokenNotNew,
    /// The expiry is not a time, has passed, or is too far ahead.
    #[error("a time in ISO-8601 in the next {days} days", days = session::LONGEST.as_secs() / 86_400)]
    #[kind(invalid)]
    #[field("expires_at")]
    ExpiresAt,
    /// The expiry of the successor is not a time, has passed, or is too far ahead.
    #[error("a time in ISO-8601 in the next {days} days", days = session::LONGEST.as_secs() / 86_400)]
    #[kind(invalid)]
    #[field("new_expires_at")]
    NewExpiresAt,
    /// The refresh token is unknown, or it has expired.
    #[error("the refresh token is unknown or has expired")]
    #[kind(unauthenticated)]
    RefreshTokenInvalid,
    /// The refresh token was used before, so somebody has a copy of it. Its session has ended.
    #[error("the refresh token was used before; its session has ended")]
    #[kind(unauthenticated)]
    RefreshTokenReused,
}
