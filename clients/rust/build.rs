//! Generates the client's own message types from `proto/`: the wire is the
//! boundary between this crate and the server. Needs no protoc.

use std::error::Error;

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
        .compile_fds(descriptors)?;
    Ok(())
}
