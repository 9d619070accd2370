//! The methods that the server has, read from the descriptors of its services.

use std::collections::HashMap;

use prost::{DecodeError, Message};
use prost_types::FileDescriptorSet;

use crate::rpc::proto::DESCRIPTORS;

/// The methods by their paths.
#[derive(Debug)]
pub(super) struct Methods(HashMap<Box<str>, Requests>);

/// What a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    /// One message.
    One,
    /// A stream of messages.
    Stream,
}

impl Methods {
    /// Those of the cache, of health and of reflection.
    ///
    /// # Errors
    /// A descriptor can't be decoded.
    pub(super) fn all() -> Result<Self, DecodeError> {
        let sets = [
            DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut methods = HashMap::new();
        for set in sets {
            for file in FileDescriptorSet::decode(set)?.file {
                let package = file.package();
                for service in &file.service {
                    for method in &service.method {
                        let path = format!("/{package}.{}/{}", service.name(), method.name());
                        let requests = if method.client_streaming() {
                            Requests::Stream
                        } else {
                            Requests::One
                        };
                        methods.insert(path.into(), requests);
                    }
                }
            }
        }
        Ok(Self(methods))
    }

    /// What the method at this path takes, if there is one.
    pub(super) fn requests(&self, path: &str) -> Option<Requests> {
        self.0.get(path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_methods_and_reflection_takes_streams() {
        let methods = Methods::all().unwrap();
        for (path, requests) in [
            ("/credcache.v1.CredentialCacheService/Get", Requests::One),
            ("/credcache.v1.CredentialCacheService/Watch", Requests::One),
            ("/grpc.health.v1.Health/Watch", Requests::One),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                Requests::Stream,
            ),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                Requests::Stream,
            ),
        ] {
            assert_eq!(methods.requests(path), Some(requests), "{path}");
        }
        assert_eq!(
            methods.requests("/credcache.v1.CredentialCacheService/"),
            None
        );
    }
}
