//! Client for credcache.

/// Generated from `proto/`.
#[allow(missing_docs, unreachable_pub)]
pub mod proto {
    tonic::include_proto!("credcache.v1");
}
