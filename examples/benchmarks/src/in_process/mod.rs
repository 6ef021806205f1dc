//! The framework in this process, without HTTP: commands, rebuilds, queries, live queries, process managers and timers on a
//! database, and dispatch in memory.
mod by_hand;
mod command;
mod counter_service;
mod dispatch;
mod live_query;
mod place;
mod process_steps;
mod query;
mod rebuild;
mod steps_by_hand;
mod timers;

pub(crate) use by_hand::ByHand;
pub(crate) use command::FrameworkCommand;
pub(crate) use counter_service::{Backend, CounterService};
pub(crate) use dispatch::{DirectCall, Dispatched, FrameworkDispatch};
pub(crate) use live_query::LiveQuery;
pub(crate) use place::Place;
pub(crate) use process_steps::ProcessSteps;
pub(crate) use query::{BareRedis, BareSelect, FrameworkQuery, ViewTarget};
pub(crate) use rebuild::{Commands, RebuildBeside, WholeRebuild};
pub(crate) use steps_by_hand::StepsByHand;
pub(crate) use timers::TimersFired;

/// The amount that one call adds to an account's balance.
const DEPOSIT: u64 = 10;
