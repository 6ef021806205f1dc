//! The domain errors of an activity.
use super::{LARGEST_DATA, LONGEST_USER_AGENT};
use cqrs_core::DomainError;

/// A refusal of an activity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum ActivityError {
    /// The kind of the activity is not set.
    #[error("a kind of activity")]
    #[kind(invalid)]
    #[field("activity_type")]
    ActivityType,
    /// The data are too large, or have a number that JSON does not have.
    #[error("a JSON object of at most {max} bytes", max = LARGEST_DATA)]
    #[kind(invalid)]
    #[field("activity_data")]
    ActivityData,
    /// The address is not an IP address.
    #[error("an IPv4 or IPv6 address")]
    #[kind(invalid)]
    #[field("ip_address")]
    IpAddress,
    /// The name of the client is too long, or has invisible characters.
    #[error("at most {max} visible characters", max = LONGEST_USER_AGENT)]
    #[kind(invalid)]
    #[field("user_agent")]
    UserAgent,
    /// The duration is negative.
    #[error("0 or more seconds")]
    #[kind(invalid)]
    #[field("duration_seconds")]
    DurationSeconds,
}
