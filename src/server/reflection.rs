//! Server reflection, v1 and v1alpha: grpcurl before 1.8.8 speaks only v1alpha.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

use crate::rpc::proto::DESCRIPTORS;

/// Adds both services. They describe the cache, with the google.rpc types that decode the details
/// of its errors, health, and themselves.
pub(super) fn add_to(routes: Routes) -> Result<Routes, Error> {
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?))
}
