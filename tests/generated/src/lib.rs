//! Checks that the Rust client's committed code is what the contract generates, and that the
//! licences that the client ships are the repository's.
//!
//! This package doesn't depend on the client, because the client may not compile between a change
//! to the contract and the new code. `make generate` writes the code anew. The files are committed
//! so that users of the crate need neither a parser of .proto files nor a code generator.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tonic_prost_build::Builder;

const CONTRACT: &str = "credcache/v1/credential_cache_service.proto";
/// The file that the generator names after the contract's package.
const PACKAGE: &str = "credcache.v1.rs";

/// Messages that carry a credential's value, which no `Debug` may print.
const WITHOUT_DEBUG: [&str; 6] = [
    "credcache.v1.Credential",
    "credcache.v1.GetResponse",
    "credcache.v1.PutRequest",
    "credcache.v1.BatchGetResponse",
    "credcache.v1.BatchGetResult",
    "credcache.v1.BatchPutRequest",
];

/// Generates the messages and the client side of the service.
fn client() -> Builder {
    tonic_prost_build::configure()
        .build_server(false)
        .skip_debug(WITHOUT_DEBUG)
}

/// Generates the server side for the same messages: for the module `testing`, and for the fake
/// servers of the tests.
fn server() -> Builder {
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".credcache.v1", "crate::proto")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn generated(builder: Builder) -> String {
    let proto = repository().join("proto");
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
    let folder = repository().join("clients/rust/src/generated");
    for (name, builder) in [("client.rs", client()), ("server.rs", server())] {
        let (path, expected) = (folder.join(name), generated(builder));
        if writes() {
            fs::write(&path, &expected).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(
            committed == expected,
            "clients/rust/src/generated/{name} is out of date: run `make generate`"
        );
    }
}

#[test]
fn shipped_licences_are_those_of_the_repository() {
    let package = repository().join("clients/rust");
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let shipped = fs::read_to_string(package.join(name)).unwrap();
        let repository = fs::read_to_string(repository().join(name)).unwrap();
        assert!(shipped == repository, "{name} differs");
    }
}
