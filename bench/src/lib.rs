//! What the measured servers and their load share: the contract, generated
//! plainly, and where a server listens. The credentials that pass through here
//! are made up.

pub mod address;

/// Generated from `proto/`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("credcache.v1");
}
