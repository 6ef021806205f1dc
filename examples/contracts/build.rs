//! Compiles `proto/` to Rust without a system `protoc`: messages, clients, servers, and integration events.
use cqrs_core::build::Protos;
use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Protos::compile(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto"))?;
    protos.write_integration_events()?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("descriptors.bin"), protos.encoded_descriptors())?;
    tonic_prost_build::configure().compile_fds(protos.file_descriptor_set())?;
    Ok(())
}
