//! The body of a request for a method that takes one message: it has to have
//! one, and no more.
//!
//! tonic would carry out a call by its first message and pass over the others,
//! of which the caller would never know.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};

use crate::rpc::Refusal;

/// A compressed-flag and a length come before every message.
const HEAD_LEN: usize = 5;

/// The same body, failing where a second message begins, where it ends without
/// any, and where the message is marked as compressed. It must name no
/// compression.
pub(super) fn only_one(body: Body) -> Body {
    Body::new(OnlyOne {
        body,
        message: Message::default(),
    })
}

pin_project! {
    struct OnlyOne {
        #[pin]
        body: Body,
        message: Message,
    }
}

/// How far the message has come.
#[derive(Debug, Default)]
struct Message {
    head: [u8; HEAD_LEN],
    head_len: usize,
    /// How much of it has come, behind its head.
    len: u64,
}

impl Message {
    fn take(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let (head, rest) = data.split_at(data.len().min(HEAD_LEN - self.head_len));
        self.head[self.head_len..self.head_len + head.len()].copy_from_slice(head);
        self.head_len += head.len();
        let [flag, len @ ..] = self.head;
        if flag != 0 {
            return Err(Refusal::FlagInvalid);
        }
        if !rest.is_empty() {
            // There is a whole head then.
            self.len += u64::try_from(rest.len()).unwrap_or(u64::MAX);
            if self.len > u32::from_be_bytes(len).into() {
                return Err(Refusal::TooManyMessages);
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Refusal> {
        match self.head_len {
            0 => Err(Refusal::NoMessage),
            _ => Ok(()),
        }
    }
}

impl http_body::Body for OnlyOne {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx)).transpose()?;
        let judged = match frame.as_ref().map(Frame::data_ref) {
            Some(Some(data)) => this.message.take(data),
            Some(None) | None => this.message.end(),
        };
        judged?;
        Poll::Ready(frame.map(Ok))
    }

    /// Never known before it has been judged.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a body in these pieces.
    fn judge(pieces: &[&[u8]]) -> Result<(), Refusal> {
        let mut message = Message::default();
        pieces.iter().try_for_each(|piece| message.take(piece))?;
        message.end()
    }

    #[test]
    fn one_message_is_taken_however_it_is_split() {
        let body = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                assert!(judge(&pieces).is_ok(), "{pieces:?}");
            }
        }
    }

    #[test]
    fn what_comes_behind_it_is_refused_however_it_is_split() {
        let body = [0, 0, 0, 0, 1, b'a', 0, 0, 0, 0, 0];
        for end in 7..=body.len() {
            for first in 0..end {
                let judged = judge(&[&body[..first], &body[first..end]]);
                assert!(matches!(judged, Err(Refusal::TooManyMessages)));
            }
        }
    }

    #[test]
    fn body_without_any_message_is_refused() {
        assert!(matches!(judge(&[]), Err(Refusal::NoMessage)));
        assert!(matches!(judge(&[b"", b""]), Err(Refusal::NoMessage)));
    }

    #[test]
    fn compressed_message_is_refused_by_its_first_byte() {
        for flag in 1..=u8::MAX {
            assert!(matches!(judge(&[&[flag]]), Err(Refusal::FlagInvalid)));
        }
    }
}
