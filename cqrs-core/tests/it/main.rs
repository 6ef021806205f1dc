//! The core on real parts; a part that is not on this machine is said and its tests are ignored.
#[cfg(feature = "postgres")]
mod postgres;

use test_support::Trials;

fn main() -> std::process::ExitCode {
    let trials = Trials::new();
    #[cfg(feature = "postgres")]
    let trials = trials.group("postgres", postgres::trials());
    trials.run()
}
