//! The framework in this process, without HTTP: commands, rebuilds, queries and live queries on a database, and dispatch in
//! memory.
mod by_hand;
mod command;
mod counter_service;
mod dispatch;
mod live_query;
mod query;
mod rebuild;

pub(crate) use by_hand::ByHand;
pub(crate) use command::FrameworkCommand;
pub(crate) use counter_service::{Backend, CounterService};
pub(crate) use dispatch::{DirectCall, Dispatched, FrameworkDispatch};
pub(crate) use live_query::LiveQuery;
pub(crate) use query::{BareRedis, BareSelect, FrameworkQuery, ViewTarget};
pub(crate) use rebuild::{Commands, RebuildBeside, WholeRebuild};

/// The amount that one call adds to an account's balance.
const DEPOSIT: u64 = 10;
