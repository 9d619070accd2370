//! Generates plain messages, client and service from `proto/`, without what
//! the server and the client crate do to theirs: the echo has to stay bare.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto");
    let descriptors = protox::compile(
        ["credcache/v1/credential_cache_service.proto"],
        ["../proto"],
    )?;
    tonic_prost_build::configure()
        .bytes(".")
        .generate_default_stubs(true)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}
