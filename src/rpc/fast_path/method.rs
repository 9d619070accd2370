//! The methods that have a fast path.

use crate::rpc::proto::credential_cache_service_server::SERVICE_NAME;

/// A method that has a fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    BatchGet,
}

impl Method {
    /// The method at this path.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path.strip_prefix('/')?.strip_prefix(SERVICE_NAME)? {
            "/Get" => Some(Self::Get),
            "/BatchGet" => Some(Self::BatchGet),
            _ => None,
        }
    }
}
