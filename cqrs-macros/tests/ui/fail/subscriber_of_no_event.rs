//! A subscriber to something that never happens.
use cqrs_core::{BoxError, Recorded, subscriber};

#[derive(Clone)]
struct Pinged;

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
