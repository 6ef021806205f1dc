//! The framework in this process, without HTTP: a command on PostgreSQL, and dispatch in memory.
mod by_hand;
mod command;
mod dispatch;

pub(crate) use by_hand::ByHand;
pub(crate) use command::FrameworkCommand;
pub(crate) use dispatch::{DirectCall, Dispatched, FrameworkDispatch};

/// The amount that one call adds to an account's balance.
const DEPOSIT: u64 = 10;
