//! Tests of the fault suite: its checker, its command line, and runs on real servers.
mod checker; // one history for each way in which an invariant can break
mod runs; // the program itself

use test_support::Trials;

pub(crate) fn trials() -> Trials {
    Trials::new().group("checker", checker::trials()).group("runs", runs::trials())
}
