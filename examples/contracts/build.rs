//! Compiles `proto/` to Rust without a system `protoc`: messages, clients, servers, integration events, and the table of
//! who may call what.
use cqrs_core::build::Protos;
use protox::prost_reflect::{DescriptorPool, Value};
use std::{env, error::Error, fs, path::Path};

/// The messages with a refresh token.
const SECRET: [&str; 4] =
    ["SaveRefreshTokenRequest", "VerifyRefreshTokenRequest", "RotateRefreshTokenRequest", "RevokeRefreshTokensRequest"];

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Protos::compile(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto"))?;
    let out = Path::new(&env::var("OUT_DIR")?).to_owned();
    protos.write_integration_events()?;
    fs::write(out.join("descriptors.bin"), protos.encoded_descriptors())?;
    fs::write(out.join("access.rs"), access(&DescriptorPool::decode(protos.encoded_descriptors())?)?)?;
    tonic_prost_build::configure()
        .generate_default_stubs(true)
        // Their `Debug` is in src/secret.rs: it has no token.
        .skip_debug(SECRET.map(|name| format!(".com.hearlers.v1.service.{name}")))
        .compile_fds(protos.file_descriptor_set())?;
    Ok(())
}

/// Generates the table of the RPCs and their callers, sorted by path. Fails for an RPC without the option.
fn access(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name("com.hearlers.v1.access.access").ok_or("access.proto is missing")?;
    let mut rows = Vec::new();
    for rpc in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = rpc.options();
        let Value::EnumNumber(number) = *options.get_extension(&option) else { unreachable!("it is an enum") };
        if !options.has_extension(&option) || number == 0 {
            return Err(format!(
                "{} does not say who may call it: option (com.hearlers.v1.access.access)",
                rpc.full_name()
            )
            .into());
        }
        let name = rpc.parent_service().full_name().to_owned();
        rows.push((format!("/{name}/{}", rpc.name()), number));
    }
    rows.sort();
    let rows: String = rows.iter().map(|(path, number)| format!("    ({path:?}, {number}),\n")).collect();
    Ok(format!("const ACCESS: &[(&str, i32)] = &[\n{rows}];\n"))
}
