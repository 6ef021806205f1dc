//! Breaks a running system in every way of a catalogue, and checks that nothing is lost, doubled or out of order.
use std::process::ExitCode;

fn main() -> ExitCode {
    end_to_end::fault_suite::main()
}
