//! Two fields are two columns.
use cqrs_core::IndexKey;

#[derive(Clone, Copy, IndexKey)]
struct Price(u32, u32);

fn main() {
    Price(1, 2).put(&mut Vec::new());
}
