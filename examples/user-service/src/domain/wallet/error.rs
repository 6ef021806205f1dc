//! The domain errors of a wallet.
use cqrs_core::DomainError;

/// A refusal of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum WalletError {
    /// The wallet has no token left to hold.
    #[error("no message tokens are left")]
    #[kind(exhausted)]
    NoRemainingTokens,
    /// No token is held for the exchange, and it is not paid.
    #[error("no message token is held for this exchange; reserve one first")]
    #[kind(precondition)]
    NoReservation,
    /// The number of the attempt is not positive.
    #[error("the number of a hold, from 1")]
    #[kind(invalid)]
    #[field("attempt")]
    Attempt,
}
