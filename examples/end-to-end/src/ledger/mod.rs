//! The ledger: writers, kills and faults on real parts, and one checker for what must hold of all of it.
//!
//! A scenario has databases and a topic of its own. Writers credit accounts; a relay, a projection and a subscriber carry every
//! credit on; then something is broken. In the end nothing may be lost, doubled or out of order, and the checker says so from what
//! was seen from outside: callers' history files, SQL, and the topic read from its beginning.
pub mod account;
mod catalogue;
pub mod check;
mod cli;
mod faults;
pub mod history;
pub mod layers;
pub mod mirror;
pub mod node;
mod plants;
mod run;
pub mod stage;
mod table;
pub mod tally;
pub mod taps;

pub use cli::main;
