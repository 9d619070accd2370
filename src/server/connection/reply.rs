//! A response on its way out, written only as fast as the peer accepts it.
//!
//! Guarantees that HTTP/2 is never given more of a response than its stream has
//! room for, and that a stream whose peer accepts nothing for a time is reset.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::Body as _;
use tokio::time::timeout;
use tonic::{Status, body::Body, metadata::GRPC_CONTENT_TYPE};

use super::{memory::MemoryFull, peer::Peer};
use crate::{
    rpc::{
        Refusal,
        fast_path::{FRAME_HEAD, Method, Unsent},
    },
    server::call_policy::respond,
};

const OK: HeaderValue = HeaderValue::from_static("0");

/// The stream has ended, on either side.
#[derive(Debug)]
pub(super) struct Gone;

impl From<h2::Error> for Gone {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

/// The stream of a call, from the server to the peer.
pub(super) enum Reply {
    /// Nothing is sent yet.
    New(SendResponse<Bytes>),
    /// The headers of a response are sent.
    Begun(SendStream<Bytes>),
}

impl Reply {
    /// Sends a framed message and OK at once, if the stream has room for all of
    /// it; `false` if it hasn't, and the message isn't sent then.
    ///
    /// # Errors
    /// The stream has ended.
    pub(super) fn try_send(&mut self, framed: Vec<u8>, peer: &Peer) -> Result<bool, Gone> {
        let stream = self.begin(grpc())?;
        let len = framed.len();
        stream.reserve_capacity(len);
        if stream.capacity() < len {
            return Ok(false);
        }
        stream.send_data(peer.memory.hold_response(framed), false)?;
        stream.send_trailers(ok())?;
        Ok(true)
    }

    /// Sends a framed message and OK as the peer accepts it. `framed` counts as held, and
    /// `still_holds` is asked
    /// after each wait; where it denies, the rest isn't sent and the stream is
    /// reset.
    ///
    /// # Errors
    /// The stream has ended.
    pub(super) async fn send(
        &mut self,
        framed: Bytes,
        peer: &Peer,
        still_holds: impl FnMut() -> bool,
    ) -> Result<(), Gone> {
        let stream = self.begin(grpc())?;
        send_data(stream, framed, peer, still_holds).await?;
        Ok(stream.send_trailers(ok())?)
    }

    /// Waits until the stream has room for something.
    ///
    /// # Errors
    /// The stream has ended, or was reset because the peer accepted nothing.
    pub(super) async fn until_room(&mut self, peer: &Peer) -> Result<(), Gone> {
        let stream = self.begin(grpc())?;
        stream.reserve_capacity(1);
        room(stream, peer).await.map(drop)
    }

    /// Waits until the connection has room for a response of this many bytes.
    ///
    /// # Errors
    /// The stream has ended, or the call was refused because waiting wouldn't help.
    pub(super) async fn until_fits(&mut self, bytes: usize, peer: &Peer) -> Result<(), Gone> {
        let waited = tokio::select! {
            biased;
            () = self.until_reset() => return Err(Gone),
            waited = peer.memory.until_fits(bytes) => waited,
        };
        if let Err(MemoryFull) = waited {
            self.refuse(Refusal::MemoryFull)?;
            return Err(Gone);
        }
        Ok(())
    }

    /// Sends what the generated service answers, as it comes and as the peer accepts it,
    /// in messages of some `expected` bytes. A response that waited is checked where
    /// `recheck` has the method and the request's body.
    ///
    /// # Errors
    /// The stream has ended.
    pub(super) async fn send_generated(
        &mut self,
        response: Response<Body>,
        expected: usize,
        recheck: Option<(Method, Bytes)>,
        peer: &Peer,
    ) -> Result<(), Gone> {
        let (head, body) = response.into_parts();
        let head = Response::from_parts(head, ());
        if body.is_end_stream() {
            return self.send_only_headers(head);
        }
        self.begin(head)?;
        let mut body = pin!(body);
        loop {
            let waits = self.waits(expected, peer)?;
            if waits {
                self.until_room(peer).await?;
                self.until_fits(expected, peer).await?;
            }
            let stream = self.stream()?;
            let frame = poll_fn(|cx| {
                if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
                    return Poll::Ready(Ok(frame));
                }
                stream.poll_reset(cx).map(|_| Err(Gone))
            });
            let frame = match frame.await? {
                Some(Ok(frame)) => frame,
                Some(Err(status)) => return Ok(stream.send_trailers(trailers_of(&status))?),
                None => return Ok(stream.send_data(Bytes::new(), true)?),
            };
            let data = match frame.into_data() {
                Ok(data) => peer.memory.hold_response(data),
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    return Ok(stream.send_trailers(trailers)?);
                }
            };
            let mut unsent = recheck.as_ref().map(|(method, request)| {
                let message = request.get(FRAME_HEAD..).unwrap_or_default();
                peer.calls.fast().unsent(*method, message, data.clone())
            });
            let mut still_holds = || unsent.as_mut().is_none_or(Unsent::still_holds);
            if waits && !still_holds() {
                return Err(withdraw(stream));
            }
            send_data(stream, data, peer, still_holds).await?;
        }
    }

    /// Ends the call with an error.
    ///
    /// # Errors
    /// The stream has ended.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Result<(), Gone> {
        self.send_only_headers(respond(refusal).map(drop))
    }

    /// Ends the call with headers alone.
    ///
    /// # Errors
    /// The stream has ended.
    pub(super) fn send_only_headers(&mut self, head: Response<()>) -> Result<(), Gone> {
        match self {
            Self::New(respond) => {
                respond.send_response(head, true)?;
                Ok(())
            }
            // The status of an error, where a message was to come.
            Self::Begun(stream) => {
                let mut trailers = head.into_parts().0.headers;
                trailers.remove(CONTENT_TYPE);
                Ok(stream.send_trailers(trailers)?)
            }
        }
    }

    /// Waits until the peer resets the stream, or the connection ends.
    pub(super) async fn until_reset(&mut self) {
        poll_fn(|cx| match self {
            Self::New(respond) => respond.poll_reset(cx).map(drop),
            Self::Begun(stream) => stream.poll_reset(cx).map(drop),
        })
        .await;
    }

    /// Whether a message of this many bytes has to wait.
    fn waits(&mut self, bytes: usize, peer: &Peer) -> Result<bool, Gone> {
        let stream = self.stream()?;
        stream.reserve_capacity(1);
        Ok(stream.capacity() == 0 || peer.memory.is_stalled() || !peer.memory.fits(bytes))
    }

    fn begin(&mut self, head: Response<()>) -> Result<&mut SendStream<Bytes>, Gone> {
        if let Self::New(respond) = self {
            *self = Self::Begun(respond.send_response(head, false)?);
        }
        self.stream()
    }

    fn stream(&mut self) -> Result<&mut SendStream<Bytes>, Gone> {
        match self {
            Self::Begun(stream) => Ok(stream),
            Self::New(_) => Err(Gone),
        }
    }
}

async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    peer: &Peer,
    mut still_holds: impl FnMut() -> bool,
) -> Result<(), Gone> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let mut capacity = stream.capacity();
        if capacity == 0 {
            capacity = room(stream, peer).await?;
            if !still_holds() {
                return Err(withdraw(stream));
            }
        }
        let piece = data.split_to(capacity.min(data.len()));
        stream.send_data(piece, false)?;
    }
    Ok(())
}

/// Ends a response whose credential was revoked or has expired while it waited.
fn withdraw(stream: &mut SendStream<Bytes>) -> Gone {
    // UNAVAILABLE to gRPC clients: the call may be repeated.
    stream.send_reset(Reason::REFUSED_STREAM);
    Gone
}

/// Waits for the room that was asked for. Resets the stream when the peer has
/// accepted nothing of it for the time that the timeouts give.
async fn room(stream: &mut SendStream<Bytes>, peer: &Peer) -> Result<usize, Gone> {
    match stream.capacity() {
        0 => {}
        room => return Ok(room),
    }
    let waiting = poll_fn(|cx| {
        loop {
            match ready!(stream.poll_capacity(cx)) {
                // HTTP/2 may report a change that it has taken back meanwhile.
                Some(Ok(0)) => {}
                capacity => return Poll::Ready(capacity),
            }
        }
    });
    match timeout(peer.calls.timeouts().write, waiting).await {
        Ok(Some(Ok(capacity))) => Ok(capacity),
        Ok(Some(Err(_)) | None) => Err(Gone),
        Err(_) => {
            stream.send_reset(Reason::CANCEL);
            Err(Gone)
        }
    }
}

fn grpc() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

fn ok() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, OK);
    trailers
}

fn trailers_of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // It fails for a message that no header can hold; the code is there then.
    let _ = status.add_header(&mut trailers);
    trailers
}
