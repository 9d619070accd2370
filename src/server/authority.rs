//! Replaces an `:authority` that h2 would refuse by one that it accepts, in the bytes that a peer
//! sends, before they reach HTTP/2.
//!
//! credcache doesn't route by the authority, but h2 resets each call whose authority isn't a host
//! with a port. Many clients send something else: gRPC's C core sends a percent-encoded path for a
//! Unix socket, gRPC for Java the path itself, Envoy the name of a cluster.
//!
//! Bytes that h2 accepts reach it unchanged. A replaced authority keeps its length, both as sent
//! and as decoded, because HPACK uses lengths to decide which fields both ends still remember.

mod block;
mod huffman;
#[cfg(test)]
mod tests;

use std::{
    io, mem,
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

use super::frame_meter::FrameMeter;

/// The bytes that every HTTP/2 client sends first: `PRI * HTTP/2.0 …`.
const PREFACE_LEN: usize = 24;
/// A frame's head: three bytes of length, the type, the flags, the stream.
const HEAD_LEN: usize = 9;
/// The largest frame that the server accepts, in bytes. Headers that don't fit into one frame
/// exceed the limit on a call's headers, so only the first frame of a block is inspected.
const MAX_FRAME: usize = 16 * 1024;
/// How many bytes are read at once of a frame that didn't come in one piece.
const PIECE: usize = 1024;

const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const PRIORITY_LEN: usize = 5;

/// The filter that replaces the authorities of a connection's calls.
#[derive(Debug)]
pub(super) struct Authorities {
    /// The number of bytes before the next frame's head.
    skip: usize,
    /// The head of the current frame.
    head: [u8; HEAD_LEN],
    /// How many bytes of the head have come.
    head_len: usize,
    /// A HEADERS frame that didn't come in one piece, without its head.
    held: Vec<u8>,
    /// How many bytes of `held` are still to come.
    missing: usize,
    meter: FrameMeter,
}

impl Authorities {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE_LEN,
            head: [0; HEAD_LEN],
            head_len: 0,
            held: Vec::new(),
            missing: 0,
            meter: FrameMeter::new(),
        }
    }

    /// The counts of the frames that were read.
    pub(super) fn meter(&mut self) -> &mut FrameMeter {
        &mut self.meter
    }

    /// Reads what `receive` reads. A HEADERS frame is held back until it is complete, as HTTP/2
    /// would do.
    ///
    /// # Errors
    /// The errors of `receive`.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        mut receive: impl FnMut(&mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        while self.missing > 0 {
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece[..self.missing.min(PIECE)]);
            ready!(receive(cx, &mut piece))?;
            self.add_piece(piece.filled());
        }
        if !self.held.is_empty() {
            self.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(receive(cx, buffer))?;
        let read = &mut buffer.filled_mut()[before..];
        let len = read.len();
        // The bytes aren't all held back, because an empty read would mean that the peer is done.
        let back = self.look_at(read);
        buffer.set_filled(before + len - back);
        Poll::Ready(Ok(()))
    }

    /// Looks for HEADERS frames in the bytes that were read, and returns how many bytes at their
    /// end are held back.
    fn look_at(&mut self, mut read: &mut [u8]) -> usize {
        loop {
            let skipped = self.skip.min(read.len());
            self.skip -= skipped;
            read = &mut read[skipped..];
            if read.is_empty() {
                return 0;
            }
            let taken = (HEAD_LEN - self.head_len).min(read.len());
            self.head[self.head_len..self.head_len + taken].copy_from_slice(&read[..taken]);
            self.head_len += taken;
            read = &mut read[taken..];
            if self.head_len < HEAD_LEN {
                return 0;
            }
            self.head_len = 0;
            let [high, middle, low, kind, flags, ..] = self.head;
            let len = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.meter.count(kind, flags, len);
            if kind != HEADERS || len > MAX_FRAME {
                self.skip = len;
                continue;
            }
            if let Some(missing @ 1..) = len.checked_sub(read.len()) {
                self.held = read.to_vec();
                self.missing = missing;
                return read.len();
            }
            let (payload, rest) = read.split_at_mut(len);
            repair(flags, payload);
            read = rest;
        }
    }

    /// Adds a piece to the held frame. An empty piece means that the peer is done.
    fn add_piece(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
        self.missing = match piece {
            [] => 0,
            _ => self.missing - piece.len(),
        };
        if self.missing == 0 {
            repair(self.head[4], &mut self.held);
        }
    }

    /// Hands out the held bytes, as far as the buffer has room.
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let len = buffer.remaining().min(self.held.len());
        buffer.put_slice(&self.held[..len]);
        let mut held = mem::take(&mut self.held);
        if len < held.len() {
            held.drain(..len);
            self.held = held;
        }
    }
}

/// Replaces the authority of a complete HEADERS frame. HTTP/2 judges malformed frames.
fn repair(flags: u8, payload: &mut [u8]) {
    if let Some(block) = block_of(flags, payload) {
        block::repair(block);
    }
}

/// The header block of a HEADERS frame: the payload without padding and priority.
fn block_of(flags: u8, mut payload: &mut [u8]) -> Option<&mut [u8]> {
    let mut padding = 0;
    if flags & PADDED != 0 {
        let (len, rest) = payload.split_first_mut()?;
        padding = usize::from(*len);
        payload = rest;
    }
    if flags & PRIORITY != 0 {
        payload = payload.get_mut(PRIORITY_LEN..)?;
    }
    let len = payload.len().checked_sub(padding)?;
    payload.get_mut(..len)
}
