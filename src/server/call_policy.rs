//! What holds for every call, whatever its method: it is gRPC, the caller's
//! deadline is kept, its message comes whole within a time, nothing begins once
//! the drain has, and transport errors carry the codes of the contract.
//!
//! A deadline covers the call until its response begins; a response stream has
//! to keep it itself.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{drain::Draining, refusal::Refusal, request_body::timely};
use crate::rpc::{self, proto::credential_cache_service_server::SERVICE_NAME};

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
        speaks_grpc(request).is_ok() && !self.is_too_late(request)
    }

    /// The answer to a call that isn't to be handed on.
    fn refuse(&self, request: &Request<Body>) -> Option<Response<Body>> {
        if let Err(status) = speaks_grpc(request) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            return Some(response);
        }
        self.is_too_late(request)
            .then(|| respond(Refusal::Draining))
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
        if let Some(response) = self.refuse(&request) {
            return Call::Refused {
                response: Some(response),
            };
        }
        let timeout = rpc::timeout(request.headers());
        let request = request.map(|body| timely(body, self.request_timeout));
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
/// server does; and INTERNAL, without the details that every status of ours
/// has, for one that is broken off, badly framed or no protobuf.
fn with_contract_code(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let code = headers.get(Status::GRPC_STATUS);
    match code.map(|code| Code::from_bytes(code.as_bytes())) {
        Some(Code::OutOfRange) => respond(Refusal::MessageTooLarge),
        Some(Code::Internal) if !headers.contains_key(Status::GRPC_STATUS_DETAILS) => {
            respond(Refusal::MessageMalformed)
        }
        _ => response,
    }
}

fn respond(refusal: Refusal) -> Response<Body> {
    Status::from(refusal).into_http()
}

/// Asked here because tonic doesn't: it would carry out what a browser can be
/// made to send.
fn speaks_grpc<B>(request: &Request<B>) -> Result<(), StatusCode> {
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    match content_type.and_then(|text| text.as_bytes().strip_prefix(b"application/grpc")) {
        // Not `application/grpc-web`, which is framed in another way.
        Some([] | [b'+' | b';', ..]) => Ok(()),
        _ => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
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
