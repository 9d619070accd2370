//! A response on its way out: one framed message and OK, or whatever the
//! generated service answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body, metadata::GRPC_CONTENT_TYPE};

const OK: HeaderValue = HeaderValue::from_static("0");

pin_project! {
    /// The body of a response.
    #[project = Project]
    pub(in crate::server) enum Answer {
        Fast {
            message: Option<Bytes>,
            is_over: bool,
        },
        Generated {
            #[pin]
            body: Body,
        },
    }
}

impl Answer {
    /// The response of a framed message.
    pub(super) fn fast(message: Vec<u8>) -> Response<Self> {
        let mut response = Response::new(Self::Fast {
            message: Some(message.into()),
            is_over: false,
        });
        response
            .headers_mut()
            .insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        response
    }

    pub(super) fn generated(body: Body) -> Self {
        Self::Generated { body }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.project() {
            Project::Fast { message, is_over } => Poll::Ready(match message.take() {
                Some(message) => Some(Ok(Frame::data(message))),
                None if *is_over => None,
                None => {
                    *is_over = true;
                    let mut trailers = HeaderMap::with_capacity(1);
                    trailers.insert(Status::GRPC_STATUS, OK);
                    Some(Ok(Frame::trailers(trailers)))
                }
            }),
            Project::Generated { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Fast { is_over, .. } => *is_over,
            Self::Generated { body } => body.is_end_stream(),
        }
    }

    /// Unknown, as for every gRPC message: a known one would be sent as a header
    /// that no client asks for.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Fast { .. } => SizeHint::default(),
            Self::Generated { body } => body.size_hint(),
        }
    }
}
