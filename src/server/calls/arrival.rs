//! What has arrived of a request's body, looked at without waiting for the
//! rest, and handed on where that isn't enough.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::{Error, body::Incoming};

/// A compression flag and a length come before every message.
const FRAME_HEAD: usize = 5;
/// No more is looked at than this and one frame: a BatchGet of a thousand keys of
/// 128 bytes.
const ENOUGH: usize = 128 * 1024;

/// What was there when it was asked for.
pub(super) struct Arrival {
    data: Bytes,
    /// Whether that is all of the body.
    is_whole: bool,
    /// What came after it and isn't data.
    next: Option<Result<Frame<Bytes>, Error>>,
}

impl Arrival {
    /// Takes what is there. Where more is to come, the task is woken for it.
    pub(super) fn of(body: &mut Incoming, cx: &mut Context<'_>) -> Self {
        let mut arrival = Self {
            data: Bytes::new(),
            is_whole: false,
            next: None,
        };
        while arrival.data.len() <= ENOUGH {
            if body.is_end_stream() {
                arrival.is_whole = true;
                break;
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(None) => arrival.is_whole = true,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        arrival.add(data);
                        continue;
                    }
                    Err(other) => arrival.next = Some(Ok(other)),
                },
                Poll::Ready(Some(Err(error))) => arrival.next = Some(Err(error)),
                Poll::Pending => {}
            }
            break;
        }
        arrival
    }

    /// Most requests come in one piece, which isn't copied.
    fn add(&mut self, data: Bytes) {
        if self.data.is_empty() {
            self.data = data;
        } else if !data.is_empty() {
            let mut joined = BytesMut::from(std::mem::take(&mut self.data));
            joined.extend_from_slice(&data);
            self.data = joined.freeze();
        }
    }

    /// The message, if there is exactly one, and it isn't compressed.
    pub(super) fn message(&self) -> Option<&[u8]> {
        let (head, message) = self.data.split_first_chunk::<FRAME_HEAD>()?;
        let [flag, len @ ..] = *head;
        let len = usize::try_from(u32::from_be_bytes(len)).ok()?;
        (self.is_whole && flag == 0 && len == message.len()).then_some(message)
    }
}

/// The body as it was before it was looked at.
pub(super) struct Replayed {
    arrival: Arrival,
    rest: Incoming,
}

impl Replayed {
    pub(super) fn new(arrival: Arrival, rest: Incoming) -> Self {
        Self { arrival, rest }
    }
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let data = std::mem::take(&mut this.arrival.data);
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(next) = this.arrival.next.take() {
            return Poll::Ready(Some(next));
        }
        if this.arrival.is_whole {
            return Poll::Ready(None);
        }
        Pin::new(&mut this.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        let Arrival {
            data,
            is_whole,
            next,
        } = &self.arrival;
        data.is_empty() && next.is_none() && (*is_whole || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
