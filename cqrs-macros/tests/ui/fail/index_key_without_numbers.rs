//! The stored order of an enum must not follow the order of its variants in the source.
use cqrs_core::IndexKey;

#[derive(Clone, Copy, IndexKey)]
enum Priority {
    High,
    Low = 2,
}

fn main() {
    let mut out = Vec::new();
    Priority::Low.put(&mut out);
    Priority::High.put(&mut out);
}
