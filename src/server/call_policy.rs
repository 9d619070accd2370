//! What holds for every call, whatever its method: it is gRPC by the letter of its
//! headers, nothing begins once the drain has, and statuses carry the codes of the
//! contract.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    request::Parts,
};
use tonic::{Code, Status, body::Body};

use super::drain::Draining;
use crate::rpc::{
    self, MalformedTimeout, Refusal, proto::credential_cache_service_server::SERVICE_NAME,
};

/// What the headers of a call may take, in bytes: tokens and trace contexts fit,
/// and no call can hold more than that.
const MAX_HEADERS: usize = 16 * 1024;
/// What a field takes beside its name and its value, as HTTP/2 counts.
const FIELD: usize = 32;
/// The method, the scheme, and the names of the path and the authority.
const PSEUDO_HEADERS: usize = ":methodPOST:schemehttp:path:authority".len() + 4 * FIELD;
const GRPC: &[u8] = b"application/grpc";
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const IDENTITY: &str = "identity";

/// Judges calls by their headers.
#[derive(Clone, Debug)]
pub(super) struct CallPolicy {
    draining: Draining,
}

impl CallPolicy {
    pub(super) fn new(draining: Draining) -> Self {
        Self { draining }
    }

    /// The time that the caller gives a call, if the call is admitted.
    ///
    /// # Errors
    /// The call is not admitted.
    pub(super) fn judge(&self, head: &Parts) -> Result<Option<Duration>, Unfit> {
        speaks_grpc(head)?;
        if size_of_headers(head) > MAX_HEADERS {
            return Err(Refusal::HeadersTooLarge.into());
        }
        let timeout = rpc::parse_timeout(&head.headers)
            .map_err(|MalformedTimeout| Refusal::TimeoutMalformed)?;
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Refusal::DeadlineExceeded.into());
        }
        let encoding = head.headers.get(GRPC_ENCODING);
        if encoding.is_some_and(|encoding| encoding != IDENTITY) {
            return Err(Refusal::EncodingUnsupported.into());
        }
        if self.draining.has_begun() && is_of_the_cache(head.uri.path()) {
            return Err(Refusal::Draining.into());
        }
        Ok(timeout)
    }
}

/// What tonic says of a message it didn't hand on, in the contract's words.
///
/// It answers OUT_OF_RANGE for an oversize message, which nothing else in the
/// server does; and, without the details that every status of ours has,
/// INTERNAL for one that is broken off or no protobuf, and UNIMPLEMENTED,
/// without a word, for a path that it doesn't know.
pub(super) fn with_contract_code(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let code = headers.get(Status::GRPC_STATUS);
    match code.map(|code| Code::from_bytes(code.as_bytes())) {
        Some(Code::OutOfRange) => respond(Refusal::MessageTooLarge),
        Some(code) if !headers.contains_key(Status::GRPC_STATUS_DETAILS) => match code {
            Code::Internal => respond(Refusal::MessageMalformed),
            Code::Unimplemented => respond(Refusal::MethodUnknown),
            _ => response,
        },
        _ => response,
    }
}

/// Why a request isn't handed on.
#[derive(Debug)]
pub(super) enum Unfit {
    Method,
    ContentType,
    Call(Refusal),
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Call(refusal)
    }
}

impl From<Unfit> for Response<Body> {
    fn from(unfit: Unfit) -> Self {
        let mut response = Self::new(Body::empty());
        match unfit {
            Unfit::Method => {
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                let allowed = HeaderValue::from_static("POST");
                response.headers_mut().insert(ALLOW, allowed);
            }
            Unfit::ContentType => *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Unfit::Call(refusal) => return respond(refusal),
        }
        response
    }
}

pub(super) fn respond(refusal: Refusal) -> Response<Body> {
    Status::from(refusal).into_http()
}

/// Asked here because tonic doesn't: it would carry out what a browser can be
/// made to send.
fn speaks_grpc(head: &Parts) -> Result<(), Unfit> {
    if head.method != Method::POST {
        return Err(Unfit::Method);
    }
    let content_type = head.headers.get(CONTENT_TYPE);
    match content_type.and_then(|text| text.as_bytes().split_at_checked(GRPC.len())) {
        // Not `application/grpc-web`, which is framed in another way.
        Some((grpc, [] | [b'+' | b';', ..])) if grpc.eq_ignore_ascii_case(GRPC) => Ok(()),
        _ => Err(Unfit::ContentType),
    }
}

/// What the headers of a call take, in bytes, as HTTP/2 counts them.
pub(super) fn size_of_headers(head: &Parts) -> usize {
    let uri = &head.uri;
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |name| name.as_str().len());
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    PSEUDO_HEADERS + path + authority + fields.sum::<usize>()
}

/// Whether the path names a method of the cache.
fn is_of_the_cache(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(SERVICE_NAME))
        .is_some_and(|path| path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tonic_types::StatusExt;

    use super::*;
    use crate::server::drain::Drain;

    /// With what status a call to `path` is refused, if it is.
    fn refusal(path: &str, draining: &Draining) -> Option<Status> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/grpc");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let unfit = CallPolicy::new(draining.clone()).judge(&head).err()?;
        Status::from_header_map(Response::from(unfit).headers())
    }

    #[test]
    fn drain_refuses_new_calls_of_the_cache_and_no_others() {
        let get = "/credcache.v1.CredentialCacheService/Get";
        let (drain, draining) = Drain::new();
        assert!(refusal(get, &draining).is_none());
        drain.begin();
        let status = refusal(get, &draining).unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((&*info.domain, &*info.reason), ("credcache", "DRAINING"));
        assert!(details.retry_info().unwrap().retry_delay.is_some());
        for path in [
            "/grpc.health.v1.Health/Check",
            "/credcache.v1.CredentialCacheService2/Get",
        ] {
            assert!(refusal(path, &draining).is_none(), "{path}");
        }
    }
}
