//! A connection's socket, as HTTP/2 reads and writes it. The socket holds the
//! connection's slot, and fails when the peer stays silent at the start, speaks
//! HTTP/1, or accepts nothing of what it is sent.
//!
//! Writes are gathered until the connection's turn ends, because h2 flushes after
//! every response that isn't tiny, and ten responses in one packet cost the kernel
//! little more than one. Reads are bounded for each turn.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io::{self, ErrorKind, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Sleep, sleep, timeout},
};

use super::memory::{ConnectionMemory, Held};
use crate::server::{
    authority::Authorities,
    slot::Slot,
    stranger::{Protocol, match_preface, preface_len},
    timeouts::Timeouts,
};

/// How much is gathered before it is sent, in bytes: a few answers to batches of
/// a hundred credentials.
const GATHERED: usize = 64 * 1024;
/// How much is read in one turn, in bytes.
const READ_IN_TURN: usize = 64 * 1024;
/// How long, and for how many bytes, a client that is parted with is listened to:
/// what isn't read makes the kernel take back what was sent.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

thread_local! {
    /// The buffer that the last connection to send something has done with: an
    /// idle connection holds none, and a busy worker needn't allocate one.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A socket of either kind that no runtime has yet. It doesn't block.
#[derive(Debug)]
pub(in crate::server) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A socket on the runtime that serves it.
#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The socket of a connection. Clones are the same socket: HTTP/2 has one, and the
/// connection's turns have another, to [`send`](Self::poll_send) what was written.
#[derive(Clone, Debug)]
pub(super) struct Socket(
    /// Never waited for: all clones are used by one task.
    Arc<Mutex<Inner>>,
);

#[derive(Debug)]
struct Inner {
    io: Io,
    authorities: Authorities,
    /// What may still be read in this turn, in bytes.
    to_read: usize,
    /// Bytes that were read so far.
    read: u64,
    /// Written, and not sent yet.
    outgoing: Vec<u8>,
    /// How much of that is sent.
    sent: usize,
    /// Until the preface is there: how much of it is, and the timeout.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    /// What came in place of the preface.
    stranger: Option<Protocol>,
    /// While the peer accepts nothing.
    stall: Option<Stall>,
    write_timeout: Duration,
    memory: Arc<ConnectionMemory>,
    _slot: Slot,
}

/// What was read in a turn.
pub(super) struct Reading {
    /// As much was read as may be.
    pub(super) is_spent: bool,
    /// The peer has sent more control frames than an honest one would.
    pub(super) is_abused: bool,
}

/// A time in which the peer accepts nothing.
#[derive(Debug)]
struct Stall {
    timeout: Pin<Box<Sleep>>,
    /// What is gathered and waits.
    _held: Held,
}

impl Socket {
    /// Takes the socket to the runtime that this is called on.
    ///
    /// # Errors
    /// The runtime can't wait for the socket.
    pub(super) fn new(
        socket: Accepted,
        slot: Slot,
        timeouts: Timeouts,
        memory: Arc<ConnectionMemory>,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Inner {
            io: match socket {
                Accepted::Tcp(socket) => Io::Tcp(TcpStream::from_std(socket)?),
                Accepted::Unix(socket) => Io::Unix(UnixStream::from_std(socket)?),
            },
            authorities: Authorities::new(),
            to_read: READ_IN_TURN,
            read: 0,
            outgoing: Vec::new(),
            sent: 0,
            preface: Some((0, Box::pin(sleep(timeouts.preface)))),
            stranger: None,
            stall: None,
            write_timeout: timeouts.write,
            memory,
            _slot: slot,
        }))))
    }

    /// Allows a turn's worth of reading.
    pub(super) fn begin_turn(&self) {
        self.0.lock().to_read = READ_IN_TURN;
    }

    /// Sends what was written. The task is woken when the peer accepts more of it.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }

    /// How many bytes the peer has sent so far.
    pub(super) fn read(&self) -> u64 {
        self.0.lock().read
    }

    /// What the connection has to know of what was read in this turn.
    pub(super) fn reading(&self) -> Reading {
        let mut inner = self.0.lock();
        Reading {
            is_spent: inner.to_read == 0,
            is_abused: inner.authorities.meter().is_exhausted(),
        }
    }

    /// What the peer speaks, where that isn't HTTP/2.
    pub(super) fn stranger(&self) -> Option<Protocol> {
        self.0.lock().stranger
    }

    /// Sends this in place of what HTTP/2 wrote, and closes the connection when the peer
    /// has had the time to read it.
    pub(super) async fn close_with(self, answer: &[u8]) {
        {
            let mut inner = self.0.lock();
            inner.outgoing.clear();
            inner.outgoing.extend_from_slice(answer);
            inner.sent = 0;
            inner.preface = None;
            inner.stranger = None;
        }
        self.close().await;
    }

    /// Sends what HTTP/2 wrote, and closes the connection when the peer has had the time
    /// to read it.
    pub(super) async fn close(mut self) {
        self.0.lock().to_read = usize::MAX;
        let closing = async {
            poll_fn(|cx| self.poll_send(cx)).await?;
            self.shutdown().await?;
            let mut ignored = (&mut self).take(LINGER_BYTES as u64);
            tokio::io::copy(&mut ignored, &mut tokio::io::sink()).await
        };
        // The connection ends either way.
        let _ = timeout(LINGER, closing).await;
    }
}

impl Inner {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let may_be_answered_in_http1 = matches!(self.stranger, None | Some(Protocol::Http1));
        if self.preface.is_some() && may_be_answered_in_http1 {
            // Nothing before it is known that the peer speaks HTTP/2, which it
            // says first. A client of HTTP/1 gets an answer that it can read.
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.outgoing.len() {
            let unsent = &self.outgoing[self.sent..];
            let polled = match &mut self.io {
                Io::Tcp(io) => Pin::new(io).poll_write(cx, unsent),
                Io::Unix(io) => Pin::new(io).poll_write(cx, unsent),
            };
            match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(sent)) => {
                    self.sent += sent;
                    self.authorities.meter().accepted(sent);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stall(cx),
            }
            if self.stall.take().is_some() {
                self.memory.set_stalled(false);
            }
        }
        if self.outgoing.capacity() > 0 {
            let mut spare = mem::take(&mut self.outgoing);
            spare.clear();
            // What waited for the preface is small.
            if spare.capacity() >= GATHERED {
                SPARE.set(spare);
            }
        }
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Gathers what there is room for; nothing while the peer takes nothing, so
    /// that one that never does costs no more than what was gathered by then.
    fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.stall.is_some() || self.outgoing.len() >= GATHERED {
            ready!(self.poll_send(cx))?;
        }
        // Before the preface it waits, and is little.
        if self.outgoing.capacity() == 0 && self.preface.is_none() {
            self.outgoing = SPARE.take();
            self.outgoing.reserve_exact(GATHERED);
        }
        let before = self.outgoing.len();
        for slice in slices {
            let room = GATHERED - self.outgoing.len();
            self.outgoing
                .extend_from_slice(&slice[..slice.len().min(room)]);
        }
        Poll::Ready(Ok(self.outgoing.len() - before))
    }

    /// The peer accepts nothing. HTTP/2 reads nothing while that is so, and nothing
    /// but the timeout ends it.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stall = self.stall.get_or_insert_with(|| {
            self.memory.set_stalled(true);
            Stall {
                timeout: Box::pin(sleep(self.write_timeout)),
                _held: self.memory.hold_unwritten(self.outgoing.capacity()),
            }
        });
        ready!(stall.timeout.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.to_read == 0 {
            // The rest belongs to the next turn, which the connection arranges.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let io = &mut self.io;
        let receive = |cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>| match io {
            Io::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Unix(io) => Pin::new(io).poll_read(cx, buffer),
        };
        let polled = self.authorities.poll_read(cx, buffer, receive);
        if polled.is_pending() {
            if let Some((_, timeout)) = &mut self.preface {
                ready!(timeout.as_mut().poll(cx));
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            return Poll::Pending;
        }
        let read = buffer.filled().len() - before;
        self.to_read = self.to_read.saturating_sub(read);
        self.read += read as u64;
        if self.preface.is_some() && self.stranger.is_none() {
            self.read_preface(&buffer.filled()[before..]);
        }
        match self.stranger {
            // HTTP/2 would answer it in HTTP/2.
            Some(Protocol::Http1) => Poll::Ready(Err(ErrorKind::InvalidData.into())),
            _ => polled,
        }
    }

    fn read_preface(&mut self, read: &[u8]) {
        let Some((matched, _)) = &mut self.preface else {
            return;
        };
        match match_preface(*matched, read) {
            Ok(all) if all == preface_len() => self.preface = None,
            Ok(part) => *matched = part,
            Err(protocol) => self.stranger = Some(protocol),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.lock().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_gather(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_gather(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the connection sends what was written at the end of its turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_send(cx))?;
        match &mut inner.io {
            Io::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Io::Unix(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
