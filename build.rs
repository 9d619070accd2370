//! Generates the server's own message types and service from `proto/`, and the
//! descriptor set that reflection serves. Needs no protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo hands the output folder over in the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["credcache/v1/credential_cache_service.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        // These carry a credential's value, which no Debug may print.
        .skip_debug([
            "credcache.v1.Credential",
            "credcache.v1.GetResponse",
            "credcache.v1.PutRequest",
            "credcache.v1.BatchGetResponse",
            "credcache.v1.BatchGetResult",
        ])
        // Generated, these would decode to hundreds of times a message's size.
        .extern_path(
            ".credcache.v1.BatchGetRequest",
            "crate::rpc::proto::BatchGetRequest",
        )
        .extern_path(
            ".credcache.v1.BatchPutRequest",
            "crate::rpc::proto::BatchPutRequest",
        )
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}
