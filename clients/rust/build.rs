//! Generates the client's own message types from `proto/`: the wire is the
//! boundary between this crate and the server. Needs no protoc.

use std::{env, error::Error, fs, path::PathBuf};

#[allow(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where to write by the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["credcache/v1/credential_cache_service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        // These carry a credential's value, which no Debug may print.
        .skip_debug([
            "credcache.v1.Credential",
            "credcache.v1.GetResponse",
            "credcache.v1.PutRequest",
            "credcache.v1.BatchGetResponse",
            "credcache.v1.BatchGetResult",
            "credcache.v1.BatchPutRequest",
        ])
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors.clone())?;

    // The service's other side, for the fakes of the tests: they include it by
    // its path, and nothing else does.
    let served = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is unset")?).join("served");
    fs::create_dir_all(&served)?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .out_dir(&served)
        .compile_fds(descriptors.clone())?;

    // The same with this crate's own messages, for the module `testing`.
    let testing = served.with_file_name("testing");
    fs::create_dir_all(&testing)?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .extern_path(".credcache.v1", "crate::proto")
        .out_dir(testing)
        .compile_fds(descriptors)?;
    Ok(())
}
