//! Two programs of the services under test: the one before a deploy and the one after it.
//!
//! They are two sets of modules in one binary, so nothing is compiled twice. What a running service has of a program is
//! its modules: their types read the stored data, and a start declares their events, readers and views.
pub mod new;
pub mod new_consumer;
pub mod old;
pub mod query;

use super::tally::Tally;
use cqrs_core::View;
use serde::{Deserialize, Serialize};

/// The program of a node in a scenario with a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// It knows credits.
    Before,
    /// It books bonuses as well: an event, an integration event and a view more.
    After,
}

/// The name of the view of the writers' own log.
pub const LEDGER: &str = "ledger";

/// The view that a projection on the writers' own log fills in both programs.
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "ledger", key = String)]
#[serde(transparent)]
pub struct Ledger(pub Tally);
