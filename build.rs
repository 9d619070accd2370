//! Generates the server's own message types and service from `proto/`, and the
//! descriptor set that reflection serves. Needs no protoc.

use std::{env, error::Error, fs, path::PathBuf};

use protox::Compiler;

/// The service, and the messages that a client needs to decode the details of its errors.
const FILES: [&str; 2] = [
    "credcache/v1/credential_cache_service.proto",
    "google/rpc/error_details.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo hands the output folder over in the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Written as the compiler encodes it, because prost's types don't know every option and would
    // drop `debug_redact`.
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        // These messages carry a credential's value, which no `Debug` may print.
        .skip_debug([
            "credcache.v1.Credential",
            "credcache.v1.GetResponse",
            "credcache.v1.PutRequest",
            "credcache.v1.BatchGetResponse",
            "credcache.v1.BatchGetResult",
        ])
        // With generated code, these requests would decode to hundreds of times a message's size.
        .extern_path(
            ".credcache.v1.BatchGetRequest",
            "crate::rpc::BatchGetRequest",
        )
        .extern_path(
            ".credcache.v1.BatchPutRequest",
            "crate::rpc::BatchPutRequest",
        )
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
