//! A step that neither says what undoes it nor that nothing does.
use cqrs_core::Process;

#[derive(Process)]
#[process(name = "shop.purchase", version = 1)]
#[step(Capture)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
