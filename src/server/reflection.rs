//! Server reflection, v1 and v1alpha: grpcurl before 1.8.8 speaks only the
//! latter.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

use crate::rpc::proto::DESCRIPTORS;

/// Adds both services. They describe the cache, health and themselves, and the
/// google.rpc details of errors, which clients decode with them.
pub(super) fn add_to(routes: Routes) -> Result<Routes, Error> {
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?))
}
