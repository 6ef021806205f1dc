//! A subscriber of a type that is not an event.
use cqrs_core::{BoxError, Recorded, subscriber};

#[derive(Clone)]
struct Pinged;

#[subscriber(group = "notes", from = "beginning")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
