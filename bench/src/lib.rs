//! What the programs of the bench share: the contract, generated plainly, the
//! statistics, rounds of lookups within a process, and what the kernel and
//! valgrind count. The credentials that pass through here are made up.

pub mod counts;
pub mod lookups;
pub mod statistics;

/// Generated from `proto/`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("credcache.v1");
}
