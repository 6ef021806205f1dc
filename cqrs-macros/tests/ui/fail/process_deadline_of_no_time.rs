//! A deadline that passes at once, and again.
use cqrs_core::Process;

#[derive(Process)]
#[process(name = "shop.purchase", version = 1)]
enum Purchase {
    #[deadline(secs = 0, then = expired)]
    Paying,
}

fn main() {}
