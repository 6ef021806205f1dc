//! A handler of something that is no request.
use cqrs_core::{Never, Result, handler};

#[derive(Clone)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
