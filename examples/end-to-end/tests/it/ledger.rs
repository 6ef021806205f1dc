//! The ledger: its checker catches what it must, its command line says what it promises, and it runs on real parts.
mod checker; // one history for each way in which an invariant can break
mod runs; // the program itself

use test_support::Trials;

pub(crate) fn trials() -> Trials {
    Trials::new().group("checker", checker::trials()).group("runs", runs::trials())
}
