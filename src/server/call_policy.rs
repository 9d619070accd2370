//! What holds for every call, whatever its method: it is gRPC, by the letter of
//! its headers, the caller's deadline is kept, its one message comes whole within
//! a time, nothing begins once the drain has, and transport errors carry the
//! codes of the contract.
//!
//! A deadline covers the call until its response begins; a response stream has
//! to keep it itself.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{drain::Draining, one_message::only_one, request_body::timely};
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
/// The only methods that take more than one message.
const REFLECTION: &str = "/grpc.reflection.";

/// The service that holds `calls` to it.
#[derive(Clone, Debug)]
pub(super) struct CallPolicy<S> {
    calls: S,
    draining: Draining,
    request_timeout: Duration,
}

impl<S> CallPolicy<S> {
    pub(super) fn new(calls: S, draining: Draining, request_timeout: Duration) -> Self {
        Self {
            calls,
            draining,
            request_timeout,
        }
    }

    /// Whether a request would be handed on.
    pub(super) fn admits<B>(&self, request: &Request<B>) -> bool {
        self.judge(request).is_ok()
    }

    /// The deadline of a call that is to be handed on.
    fn judge<B>(&self, request: &Request<B>) -> Result<Option<Duration>, Unfit> {
        speaks_grpc(request)?;
        if size_of_headers(request) > MAX_HEADERS {
            return Err(Refusal::HeadersTooLarge.into());
        }
        let headers = request.headers();
        let timeout =
            rpc::parse_timeout(headers).map_err(|MalformedTimeout| Refusal::TimeoutMalformed)?;
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Refusal::DeadlineExceeded.into());
        }
        if headers.get(GRPC_ENCODING).is_some_and(|it| it != IDENTITY) {
            return Err(Refusal::EncodingUnsupported.into());
        }
        if self.is_too_late(request) {
            return Err(Refusal::Draining.into());
        }
        Ok(timeout)
    }

    fn is_too_late<B>(&self, request: &Request<B>) -> bool {
        self.draining.has_begun() && is_of_the_cache(request.uri().path())
    }
}

impl<S> Service<Request<Body>> for CallPolicy<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Call<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.calls.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let timeout = match self.judge(&request) {
            Ok(timeout) => timeout,
            Err(unfit) => {
                return Call::Refused {
                    response: Some(unfit.into()),
                };
            }
        };
        let takes_one = !request.uri().path().starts_with(REFLECTION);
        let request = request.map(|body| {
            let body = timely(body, self.request_timeout);
            if takes_one { only_one(body) } else { body }
        });
        Call::Running {
            call: self.calls.call(request),
            deadline: timeout.map(tokio::time::sleep),
        }
    }
}

pin_project! {
    /// A call on its way, or its answer.
    #[project = Project]
    pub(super) enum Call<F> {
        Refused {
            response: Option<Response<Body>>,
        },
        Running {
            #[pin]
            call: F,
            #[pin]
            deadline: Option<Sleep>,
        },
    }
}

impl<F> Future for Call<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, deadline) = match self.project() {
            Project::Refused { response } => {
                return response
                    .take()
                    .map_or(Poll::Pending, |it| Poll::Ready(Ok(it)));
            }
            Project::Running { call, deadline } => (call, deadline),
        };
        if let Poll::Ready(Ok(response)) = call.poll(cx) {
            return Poll::Ready(Ok(with_contract_code(response)));
        }
        if deadline
            .as_pin_mut()
            .is_some_and(|deadline| deadline.poll(cx).is_ready())
        {
            return Poll::Ready(Ok(respond(Refusal::DeadlineExceeded)));
        }
        Poll::Pending
    }
}

/// What tonic says of a message it didn't hand on, in the contract's words.
///
/// It answers OUT_OF_RANGE for an oversize message, which nothing else in the
/// server does; and, without the details that every status of ours has,
/// INTERNAL for one that is broken off or no protobuf, and UNIMPLEMENTED,
/// without a word, for a path that it doesn't know.
fn with_contract_code(response: Response<Body>) -> Response<Body> {
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
enum Unfit {
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

fn respond(refusal: Refusal) -> Response<Body> {
    Status::from(refusal).into_http()
}

/// Asked here because tonic doesn't: it would carry out what a browser can be
/// made to send.
fn speaks_grpc<B>(request: &Request<B>) -> Result<(), Unfit> {
    if request.method() != Method::POST {
        return Err(Unfit::Method);
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    match content_type.and_then(|text| text.as_bytes().split_at_checked(GRPC.len())) {
        // Not `application/grpc-web`, which is framed in another way.
        Some((grpc, [] | [b'+' | b';', ..])) if grpc.eq_ignore_ascii_case(GRPC) => Ok(()),
        _ => Err(Unfit::ContentType),
    }
}

/// What the headers of a call take, in bytes, as HTTP/2 counts them.
fn size_of_headers<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |name| name.as_str().len());
    let fields = request.headers().iter();
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
    use tonic_types::StatusExt;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::server::drain::Drain;

    /// Whether a call to `path` is let through, and else with what status it
    /// isn't.
    async fn call(path: &str, draining: &Draining) -> Option<Status> {
        let calls = service_fn(|_| async { Ok(Response::new(Body::empty())) });
        let request = Request::post(path).header(CONTENT_TYPE, "application/grpc");
        let request = request.body(Body::empty()).unwrap();
        let policy = CallPolicy::new(calls, draining.clone(), Duration::from_secs(30));
        let response = policy.oneshot(request).await.unwrap();
        Status::from_header_map(response.headers())
    }

    #[tokio::test]
    async fn drain_refuses_new_calls_of_the_cache_and_no_others() {
        let get = "/credcache.v1.CredentialCacheService/Get";
        let (drain, draining) = Drain::new();
        assert!(call(get, &draining).await.is_none());
        drain.begin();
        let status = call(get, &draining).await.unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((&*info.domain, &*info.reason), ("credcache", "DRAINING"));
        assert!(details.retry_info().unwrap().retry_delay.is_some());
        for path in [
            "/grpc.health.v1.Health/Check",
            "/credcache.v1.CredentialCacheService2/Get",
        ] {
            assert!(call(path, &draining).await.is_none(), "{path}");
        }
    }
}
