//! A state in which the process could wait for ever, without saying so.
use cqrs_core::Process;

#[derive(Process)]
#[process(name = "shop.purchase", version = 1)]
enum Purchase {
    Paying,
}

fn main() {}
