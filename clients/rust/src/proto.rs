//! The messages and the service stub of the contract, for what the rest of the
//! crate doesn't cover.
//!
//! The code is generated from `proto/` and committed: see `tests/generated.rs`.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

include!("generated/client.rs");
