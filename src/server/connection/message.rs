//! The message of a request: received whole, within a time and within the limit of
//! its method.
//!
//! A call has exactly one message. tonic would carry out a call by its first message
//! and pass over the others, of which the caller would never know.

use std::{
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::RecvStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::memory::{ConnectionMemory, Held, MemoryFull};
use crate::rpc::{Refusal, fast_path::FRAME_HEAD};

/// A request's body, as far as it has arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    data: Data,
    /// The most that the message may have, in bytes.
    limit: usize,
}

/// The bytes of a body. Most bodies arrive in one piece, which isn't copied.
#[derive(Debug)]
enum Data {
    Piece(Bytes),
    /// Wiped when it is dropped: there may be a value in it.
    Joined(Zeroizing<Vec<u8>>),
}

/// Why there is no message.
#[derive(Debug)]
pub(super) enum NoMessage {
    /// The caller is told.
    Refused(Refusal),
    /// The stream or the connection has ended, so that nobody can be told.
    Gone,
}

impl From<MemoryFull> for NoMessage {
    fn from(MemoryFull: MemoryFull) -> Self {
        Self::Refused(Refusal::MemoryFull)
    }
}

impl From<Refusal> for NoMessage {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Arrival {
    /// Nothing yet, of a message of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            data: Data::Piece(Bytes::new()),
            limit,
        }
    }

    /// Takes what has arrived by now. Ready when that is the whole body. The window that
    /// it took opens again with the end of the call.
    ///
    /// # Errors
    /// The body breaks a rule, or its stream has ended.
    pub(super) fn poll(
        &mut self,
        body: &mut RecvStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoMessage>> {
        while !body.is_end_stream() {
            let Some(piece) = ready!(body.poll_data(cx)) else {
                break;
            };
            self.add(piece.map_err(|_| NoMessage::Gone)?)?;
        }
        if self.bytes().is_empty() {
            return Poll::Ready(Err(Refusal::NoMessage.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Receives the rest within `time`. What is received counts as held, and no longer
    /// takes up the window: the call may wait for long.
    ///
    /// # Errors
    /// The body breaks a rule, takes too long, or doesn't fit the connection's
    /// memory; or its stream has ended.
    pub(super) async fn receive(
        &mut self,
        body: &mut RecvStream,
        time: Duration,
        memory: &Arc<ConnectionMemory>,
    ) -> Result<Held, NoMessage> {
        let mut held = memory.hold_request(self.bytes().len())?;
        let receiving = poll_fn(|cx| {
            let before = self.bytes().len();
            let polled = self.poll(body, cx);
            held.add(self.bytes().len() - before)?;
            let window = body.flow_control();
            // It fails for a stream that has ended, whose window is open again.
            let _ = window.release_capacity(window.used_capacity());
            polled
        });
        match timeout(time, receiving).await {
            Ok(received) => received?,
            Err(_) => return Err(Refusal::DeadlineExceeded.into()),
        }
        Ok(held)
    }

    /// Copies a message that stays for long out of the connection's larger buffer, which
    /// it would keep alive.
    pub(super) fn detach(&mut self) {
        if let Data::Piece(piece) = &self.data {
            self.data = Data::Joined(Zeroizing::new(piece.to_vec()));
        }
    }

    fn add(&mut self, piece: Bytes) -> Result<(), Refusal> {
        match &mut self.data {
            Data::Piece(data) if data.is_empty() => *data = piece,
            Data::Piece(data) => {
                let mut joined = Vec::with_capacity(data.len() + piece.len());
                joined.extend_from_slice(data);
                joined.extend_from_slice(&piece);
                self.data = Data::Joined(Zeroizing::new(joined));
            }
            Data::Joined(joined) => append(joined, &piece),
        }
        self.judge()
    }

    /// Judges what has arrived so far.
    fn judge(&self) -> Result<(), Refusal> {
        let body = self.bytes();
        if body.first().is_some_and(|flag| *flag != 0) {
            return Err(Refusal::FlagInvalid);
        }
        let Some(([_, len @ ..], message)) = body.split_first_chunk::<FRAME_HEAD>() else {
            return Ok(());
        };
        let len = u32::from_be_bytes(*len) as usize;
        if len > self.limit {
            return Err(Refusal::MessageTooLarge);
        }
        if message.len() > len {
            return Err(Refusal::TooManyMessages);
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Piece(piece) => piece,
            Data::Joined(joined) => joined,
        }
    }

    /// The message, if it has arrived whole.
    pub(super) fn message(&self) -> Option<&[u8]> {
        let ([_, len @ ..], message) = self.bytes().split_first_chunk::<FRAME_HEAD>()?;
        (u32::from_be_bytes(*len) as usize == message.len()).then_some(message)
    }

    /// The body: the message with what comes before it.
    pub(super) fn into_body(self) -> Bytes {
        match self.data {
            Data::Piece(piece) => piece,
            Data::Joined(joined) => Bytes::from_owner(joined),
        }
    }
}

/// Appends, and wipes what is left behind where the bytes have to move.
fn append(joined: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    if joined.capacity() - joined.len() < piece.len() {
        let mut grown = Vec::with_capacity((joined.len() + piece.len()).next_power_of_two());
        grown.extend_from_slice(joined);
        drop(mem::replace(joined, Zeroizing::new(grown)));
    }
    joined.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a body in these pieces.
    fn judge(pieces: &[&[u8]]) -> Result<Option<usize>, Refusal> {
        let mut arrival = Arrival::new(100);
        for piece in pieces {
            arrival.add(Bytes::copy_from_slice(piece))?;
        }
        Ok(arrival.message().map(<[u8]>::len))
    }

    #[test]
    fn one_message_is_taken_however_it_is_split() {
        let body = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                assert!(matches!(judge(&pieces), Ok(Some(3))), "{pieces:?}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_message_are_refused_however_they_are_split() {
        let body = [0, 0, 0, 0, 1, b'a', 0, 0, 0, 0, 0];
        for end in 7..=body.len() {
            for first in 0..end {
                let judged = judge(&[&body[..first], &body[first..end]]);
                assert!(matches!(judged, Err(Refusal::TooManyMessages)));
            }
        }
    }

    #[test]
    fn message_above_its_limit_is_refused_by_its_length() {
        assert!(matches!(judge(&[&[0, 0, 0, 0, 100]]), Ok(None)));
        for len in [[0, 0, 0, 101], [0xff; 4]] {
            let [a, b, c, d] = len;
            let judged = judge(&[&[0, a, b, c, d]]);
            assert!(matches!(judged, Err(Refusal::MessageTooLarge)));
        }
    }

    #[test]
    fn body_that_breaks_off_has_no_message() {
        assert!(matches!(judge(&[]), Ok(None)));
        assert!(matches!(judge(&[b"\0\0\0\0"]), Ok(None)));
        assert!(matches!(judge(&[b"\0\0\0\0\x02a"]), Ok(None)));
    }

    #[test]
    fn compressed_message_is_refused_by_its_first_byte() {
        for flag in 1..=u8::MAX {
            assert!(matches!(judge(&[&[flag]]), Err(Refusal::FlagInvalid)));
        }
    }
}
