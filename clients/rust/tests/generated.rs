//! The generated code of `src/generated` is what the contract generates, and the
//! licences that the crate ships are those of the repository.
//!
//! `make generate` writes the code anew after a change to the contract. The files
//! are committed so that users of the crate build neither a parser of .proto
//! files nor a code generator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{env, fs, path::Path};

use tonic_prost_build::Builder;

const CONTRACT: &str = "credcache/v1/credential_cache_service.proto";
/// The file that the generator names after the package of the contract.
const PACKAGE: &str = "credcache.v1.rs";

/// These messages carry a credential's value, which no `Debug` may print.
const WITHOUT_DEBUG: [&str; 6] = [
    "credcache.v1.Credential",
    "credcache.v1.GetResponse",
    "credcache.v1.PutRequest",
    "credcache.v1.BatchGetResponse",
    "credcache.v1.BatchGetResult",
    "credcache.v1.BatchPutRequest",
];

/// The messages and the client's side of the service.
fn client() -> Builder {
    tonic_prost_build::configure()
        .build_server(false)
        .skip_debug(WITHOUT_DEBUG)
}

/// The server's side, on the same messages: for the module `testing` and for the
/// fake servers of the tests.
fn server() -> Builder {
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".credcache.v1", "crate::proto")
}

fn generated(builder: Builder) -> String {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let descriptors = protox::compile([CONTRACT], [proto]).unwrap();
    let out = tempfile::tempdir().unwrap();
    builder
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    fs::read_to_string(out.path().join(PACKAGE)).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "`make generate` asks in the environment for the files to be written"
)]
fn writes() -> bool {
    env::var_os("CREDCACHE_GENERATE").is_some()
}

#[test]
fn committed_code_is_what_the_contract_generates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    for (name, builder) in [("client.rs", client()), ("server.rs", server())] {
        let (path, expected) = (folder.join(name), generated(builder));
        if writes() {
            fs::write(&path, &expected).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(
            committed == expected,
            "src/generated/{name} is out of date: run `make generate`"
        );
    }
}

#[test]
fn shipped_licences_are_those_of_the_repository() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let shipped = fs::read_to_string(package.join(name)).unwrap();
        let repository = fs::read_to_string(package.join("../..").join(name)).unwrap();
        assert!(shipped == repository, "{name} differs");
    }
}
