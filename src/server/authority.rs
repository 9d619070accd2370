//! What a peer sends, on its way to HTTP/2, with an `:authority` that HTTP/2
//! would refuse replaced by one that it takes.
//!
//! Nothing here routes by the authority, but h2 resets each call whose
//! authority isn't a host with a port. Many clients send something else: gRPC's
//! C core a percent-encoded path where it calls a Unix socket, gRPC for Java the
//! path itself, Envoy the name of a cluster.
//!
//! Guarantees that whatever h2 takes reaches it unchanged, and that what is
//! replaced keeps its length, both as sent and as decoded: HPACK counts lengths
//! to know which fields both ends still remember.

mod block;
mod huffman;
#[cfg(test)]
mod tests;

use std::{
    io, mem,
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

/// The bytes every HTTP/2 client sends first: `PRI * HTTP/2.0 …`.
const PREFACE_LEN: usize = 24;
/// A frame's head: its length in three bytes, its type, its flags, its stream.
const HEAD_LEN: usize = 9;
/// The largest frame that the server takes, in bytes. Headers that don't fit one
/// frame are above what the headers of a call may take, so only the first frame
/// of a block is looked at.
const MAX_FRAME: usize = 16 * 1024;
/// How much is read at once of a frame that didn't come in one piece, in bytes.
const PIECE: usize = 1024;

const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const PRIORITY_LEN: usize = 5;

/// The authorities of a connection's calls.
#[derive(Debug)]
pub(super) struct Authorities {
    /// How much comes before the next frame's head, in bytes.
    skip: usize,
    /// The head of the frame that is being read.
    head: [u8; HEAD_LEN],
    /// How much of that has come.
    head_len: usize,
    /// HEADERS that didn't come in one piece, without their head.
    held: Vec<u8>,
    /// How much of them hasn't come, in bytes.
    missing: usize,
}

impl Authorities {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE_LEN,
            head: [0; HEAD_LEN],
            head_len: 0,
            held: Vec::new(),
            missing: 0,
        }
    }

    /// Reads what `receive` does. HEADERS are held back until they are whole,
    /// as HTTP/2 would do with them.
    ///
    /// # Errors
    /// Those of `receive`.
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
            self.hold(piece.filled());
        }
        if !self.held.is_empty() {
            self.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(receive(cx, buffer))?;
        let read = &mut buffer.filled_mut()[before..];
        let len = read.len();
        // Never all of it: that would mean that the peer is done.
        let back = self.look_at(read);
        buffer.set_filled(before + len - back);
        Poll::Ready(Ok(()))
    }

    /// Looks for HEADERS in what was read; how many bytes at its end are held
    /// back.
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
            mend(flags, payload);
            read = rest;
        }
    }

    /// Adds to what is held; nothing, if no more will come.
    fn hold(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
        self.missing = match piece {
            [] => 0,
            _ => self.missing - piece.len(),
        };
        if self.missing == 0 {
            mend(self.head[4], &mut self.held);
        }
    }

    /// Hands out what was held, as far as there is room for it.
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

/// Replaces the authority of HEADERS that came whole. Malformed ones are left
/// for HTTP/2 to judge.
fn mend(flags: u8, payload: &mut [u8]) {
    if let Some(block) = block_of(flags, payload) {
        block::mend(block);
    }
}

/// The part of HEADERS that is no padding or priority.
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
