//! The calls of a connection, as HTTP/2 hands them over: a Get or BatchGet that
//! has arrived whole is answered on the fast path, everything else by the
//! generated service.

mod answer;
mod arrival;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tonic::{body::Body, service::Routes};
use tower::Service as _;

use self::{
    answer::Answer,
    arrival::{Arrival, Replayed},
};
use super::call_policy::{Call, CallPolicy};
use crate::rpc::{self, fast_path::Method};

/// Answers calls; shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct Calls(Arc<Paths>);

#[derive(Debug)]
struct Paths {
    fast: rpc::Service,
    generated: CallPolicy<Routes>,
}

type Generated = Call<<Routes as tower::Service<Request<Body>>>::Future>;

pin_project! {
    /// A call on its way.
    #[project = Project]
    pub(super) enum Answering {
        Fast {
            method: Method,
            request: Option<Request<Incoming>>,
            calls: Calls,
        },
        Generated {
            #[pin]
            call: Generated,
        },
    }
}

impl Calls {
    /// `generated` answers whatever `fast` doesn't.
    pub(super) fn new(fast: rpc::Service, generated: CallPolicy<Routes>) -> Self {
        Self(Arc::new(Paths { fast, generated }))
    }

    /// The method, if a request for it may take the fast path.
    fn fast_method(&self, request: &Request<Incoming>) -> Option<Method> {
        let method = Method::of_path(request.uri().path())?;
        self.0.generated.admits(request).then_some(method)
    }

    fn answer(&self, method: Method, arrival: &Arrival) -> Option<Response<Answer>> {
        let framed = self.0.fast.answer_fast(method, arrival.message()?)?;
        Some(Answer::fast(framed))
    }

    fn generated(&self, request: Request<Body>) -> Generated {
        self.0.generated.clone().call(request)
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        match self.fast_method(&request) {
            Some(method) => Answering::Fast {
                method,
                request: Some(request),
                calls: self.clone(),
            },
            None => Answering::Generated {
                call: self.generated(request.map(Body::new)),
            },
        }
    }
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let generated = match self.as_mut().project() {
                Project::Generated { call } => {
                    return call
                        .poll(cx)
                        .map_ok(|response| response.map(Answer::generated));
                }
                Project::Fast {
                    method,
                    request,
                    calls,
                } => {
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    let (head, mut body) = request.into_parts();
                    let arrival = Arrival::of(&mut body, cx);
                    if let Some(answer) = calls.answer(*method, &arrival) {
                        return Poll::Ready(Ok(answer));
                    }
                    let body = Body::new(Replayed::new(arrival, body));
                    calls.generated(Request::from_parts(head, body))
                }
            };
            self.set(Answering::Generated { call: generated });
        }
    }
}
