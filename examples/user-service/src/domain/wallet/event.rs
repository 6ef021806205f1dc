//! The events of a wallet.
use super::{Allowance, ExchangeId};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a wallet. Each has its time, because the balance depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "wallet", version = 1)]
pub enum WalletEvent {
    /// The wallet was opened with all free tokens of its allowance.
    Opened { allowance: Allowance, at: Timestamp },
    /// The allowance was changed, and `free` tokens of it are left. Its interval begins at this time.
    AllowanceChanged { allowance: Allowance, free: u32, at: Timestamp },
    /// Tokens that no reset replaces were added.
    TokensBought { count: u32, at: Timestamp },
    /// A token was held for an exchange, for the `attempt`th time. A reservation without a name waits for the exchange
    /// that takes it over.
    TokensReserved { exchange: ExchangeId, attempt: u32, named: bool, at: Timestamp },
    /// The exchange took over the reservation `from`, which had no name. It is the exchange's `attempt`th hold and ends
    /// when the reservation would have ended.
    ReservationNamed { from: ExchangeId, exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// The token that this attempt held was released.
    TokensReleased { exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// A token was consumed for an exchange; `remaining` tokens are left.
    TokensConsumed { exchange: ExchangeId, remaining: u32, max: u32, at: Timestamp },
}
