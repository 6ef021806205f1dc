//! A handler without a request.
use cqrs_core::{Never, Result, handler};

#[handler]
async fn ping() -> Result<(), Never> {
    Ok(())
}

fn main() {}
