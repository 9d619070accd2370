//! What the programs of the bench share: the contract, generated plainly, where
//! a server listens, and the statistics. The credentials that pass through here
//! are made up.

pub mod address;
pub mod statistics;

/// Generated from `proto/`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("credcache.v1");
}
