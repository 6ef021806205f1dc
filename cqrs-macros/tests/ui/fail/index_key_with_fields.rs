//! A variant with fields has no number alone.
use cqrs_core::IndexKey;

#[derive(Clone, Copy, IndexKey)]
enum Priority {
    High(u8),
    Low,
}

fn main() {
    let mut out = Vec::new();
    Priority::Low.put(&mut out);
    Priority::High(1).put(&mut out);
}
