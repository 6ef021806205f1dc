//! The fault suite: injects faults into real processes and servers, and checks one set of invariants afterwards.
//!
//! A scenario has databases and a topic of its own. Writers credit accounts; a relay, a projection and a subscriber
//! process every credit; then a fault occurs. In the end nothing may be lost, doubled or out of order. The checker
//! verifies this from outside: with the callers' history files, SQL, and the topic read from its beginning.
pub mod account;
pub mod alarms;
mod catalogue;
pub mod check;
mod cli;
pub mod deploy;
mod faults;
pub mod fixture;
pub mod history;
pub mod layers;
pub mod mirror;
pub mod node;
pub mod probes;
mod run;
mod seeded_bugs;
mod table;
pub mod tally;

pub use cli::main;
