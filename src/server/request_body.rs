//! A request's body, which has to come whole within a time.
//!
//! What has come of it is kept until the rest is there, so a caller that stops
//! in the middle would hold memory for as long as it likes. The time bounds the
//! receiving alone; how long the call then takes is no concern of this.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};

use crate::rpc::Refusal;

/// The same body, failing with DEADLINE_EXCEEDED where it hasn't ended
/// `timeout` from now.
pub(super) fn timely(body: Body, timeout: Duration) -> Body {
    Body::new(Timely {
        body,
        due: Instant::now() + timeout,
        timeout: None,
    })
}

pin_project! {
    struct Timely {
        #[pin]
        body: Body,
        due: Instant,
        // Armed when the body is first waited for: most come with their headers.
        #[pin]
        timeout: Option<Sleep>,
    }
}

impl http_body::Body for Timely {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if this.timeout.is_none() {
            this.timeout.set(Some(sleep_until(*this.due)));
        }
        if let Some(timeout) = this.timeout.as_pin_mut() {
            ready!(timeout.poll(cx));
            return Poll::Ready(Some(Err(Refusal::DeadlineExceeded.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
