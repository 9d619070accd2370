//! A call that could not be answered at once: its request is still arriving, its
//! answer takes time, or its response waits for room.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::RecvStream;
use http::{Request, Response, request::Parts};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};

use super::{
    message::{Arrival, NoMessage},
    peer::Peer,
    reply::{Gone, Reply},
};
use crate::{
    rpc::{Refusal, fast_path::Method},
    server::{
        call_policy::{respond, size_of_headers},
        calls::Admitted,
        methods::Requests,
    },
};

/// A call on its way.
pub(super) struct Call {
    pub(super) head: Parts,
    pub(super) admitted: Admitted,
    pub(super) body: RecvStream,
    pub(super) arrival: Arrival,
    pub(super) reply: Reply,
    /// Whether the fast path has declined the call.
    pub(super) is_declined: bool,
}

impl Call {
    /// Answers the call. An error means that the stream or the connection has ended,
    /// so that there is nobody to tell.
    ///
    /// # Cancel safety
    /// Dropping the future resets the stream.
    pub(super) async fn run(self, peer: Arc<Peer>) {
        let _: Result<(), Gone> = self.answer(&peer).await;
    }

    async fn answer(self, peer: &Peer) -> Result<(), Gone> {
        let Self {
            head,
            admitted,
            mut body,
            mut arrival,
            mut reply,
            is_declined,
        } = self;
        let deadline = admitted.timeout.map(|timeout| Instant::now() + timeout);
        let timeouts = peer.calls.timeouts();
        if admitted.requests == Requests::Stream {
            let messages = Messages::new(body, timeouts.request);
            let request = Request::from_parts(head, Body::new(messages));
            let response = generated(request, peer, deadline, &mut reply).await?;
            let limit = admitted.limits.response;
            return reply.send_generated(response, limit, None, peer).await;
        }
        let time = admitted
            .timeout
            .map_or(timeouts.request, |time| time.min(timeouts.request));
        let receiving = arrival.receive(&mut body, time, &peer.memory);
        // Held to the end of the call, like what is kept of the request.
        let mut held = match receiving.await {
            Ok(held) => held,
            Err(NoMessage::Gone) => return Err(Gone),
            Err(NoMessage::Refused(refusal)) => return reply.refuse(refusal),
        };
        if held.add(size_of_headers(&head)).is_err() {
            return reply.refuse(Refusal::MemoryFull);
        }
        if admitted.fast.is_some() {
            // It may wait, and is kept to check its response by.
            arrival.detach();
        }
        if let (Some(method), Some(message)) = (admitted.fast, arrival.message())
            && !is_declined
            && answer_fast(method, message, peer, &mut reply).await?
        {
            return Ok(());
        }
        let framed = arrival.into_body();
        let recheck = admitted.fast.map(|method| (method, framed.clone()));
        let request = Request::from_parts(head, Body::new(Whole(Some(framed))));
        let response = generated(request, peer, deadline, &mut reply).await?;
        reply
            .send_generated(response, admitted.limits.response, recheck, peer)
            .await
    }
}

/// Answers on the fast path when there is room for the response; `false` if the fast
/// path declines.
async fn answer_fast(
    method: Method,
    message: &[u8],
    peer: &Peer,
    reply: &mut Reply,
) -> Result<bool, Gone> {
    let service = peer.calls.fast();
    let mut len = 0;
    loop {
        if let Reply::Begun(_) = reply {
            reply.until_room(peer).await?;
        }
        reply.until_fits(len, peer).await?;
        // The response is made when there is room, which may have taken long.
        let Some(framed) = service.answer_fast(method, message) else {
            return Ok(false);
        };
        if !peer.memory.fits(framed.len()) {
            len = framed.len();
            continue;
        }
        if let Reply::New(_) = reply {
            if reply.try_send(framed, peer)? {
                return Ok(true);
            }
            continue;
        }
        let framed = peer.memory.hold_response(framed);
        let mut unsent = service.unsent(method, message, framed.clone());
        let sending = reply.send(framed, peer, || unsent.still_holds());
        return sending.await.map(|()| true);
    }
}

/// What the generated service answers, or that the deadline has passed.
async fn generated(
    mut request: Request<Body>,
    peer: &Peer,
    deadline: Option<Instant>,
    reply: &mut Reply,
) -> Result<Response<Body>, Gone> {
    request.extensions_mut().insert(peer.share.clone());
    let over = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => pending().await,
        }
    };
    // In this order: an answer isn't taken for a caller that has gone.
    tokio::select! {
        biased;
        () = reply.until_reset() => Err(Gone),
        response = peer.calls.answer(request) => Ok(response),
        () = over => Ok(respond(Refusal::DeadlineExceeded)),
    }
}

/// The body of a request that has arrived whole.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let len = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(len as u64)
    }
}

/// The body of a request for a method that takes a stream of messages. It has to end
/// within a time.
struct Messages {
    body: RecvStream,
    due: Instant,
    /// Armed when a message is first waited for.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl Messages {
    fn new(body: RecvStream, time: Duration) -> Self {
        Self {
            body,
            due: Instant::now() + time,
            timeout: None,
        }
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        match this.body.poll_data(cx) {
            Poll::Ready(Some(Ok(data))) => {
                let _ = this.body.flow_control().release_capacity(data.len());
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Poll::Ready(Some(Err(_))) => {
                return Poll::Ready(Some(Err(Status::cancelled("the stream was reset"))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        let due = this.due;
        let timeout = this
            .timeout
            .get_or_insert_with(|| Box::pin(sleep_until(due)));
        ready!(timeout.as_mut().poll(cx));
        Poll::Ready(Some(Err(Refusal::DeadlineExceeded.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
