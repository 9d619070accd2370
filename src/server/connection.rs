//! An accepted connection, as HTTP/2 reads and writes it: holds its place among
//! the connections there may be, and ends when its peer stays silent at the
//! start, speaks HTTP/1, takes nothing of what it is sent, or the server cuts it.
//!
//! What is written is gathered until HTTP/2 has nothing more to do for the
//! moment. h2 flushes after every response that isn't tiny; ten responses in
//! one packet cost the kernel little more than one.

use std::{
    cell::Cell,
    future::Future,
    io::{self, ErrorKind, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    authority::Authorities,
    slot::Slot,
    stranger::{Protocol, match_preface, preface_len},
    timeouts::Timeouts,
};

/// How much is gathered before it is sent, in bytes: a few answers to batches of
/// a hundred credentials.
const GATHERED: usize = 64 * 1024;
/// How long, and for how many bytes, a client that is parted with is listened to:
/// what isn't read makes the kernel take back what was sent.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

thread_local! {
    /// The buffer that the last connection to send something has done with: an
    /// idle connection holds none, and a busy worker needn't allocate one.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A socket of either kind, of no runtime yet. It doesn't block.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A socket on the runtime that serves it.
#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection within the limits. Clones are the same one: HTTP/2 has one, and
/// whoever lets it run has another to [`send`](Self::poll_send) what it wrote.
#[derive(Clone, Debug)]
pub(super) struct Connection(
    /// Never waited for: all clones are used by one task.
    Arc<Mutex<Inner>>,
);

#[derive(Debug)]
struct Inner {
    io: Io,
    authorities: Authorities,
    /// Written, and not sent yet.
    outgoing: Vec<u8>,
    /// How much of that is sent.
    sent: usize,
    /// Until the preface is there: how much of it is, and the time-out.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    /// What came in place of the preface.
    stranger: Option<Protocol>,
    /// While the peer takes nothing: the time-out.
    stall: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _slot: Slot,
}

impl Connection {
    /// Takes the socket to the runtime that this is called on.
    ///
    /// # Errors
    /// The runtime can't wait for the socket.
    pub(super) fn new(
        socket: Socket,
        slot: Slot,
        timeouts: Timeouts,
        cut: CancellationToken,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Inner {
            io: match socket {
                Socket::Tcp(socket) => Io::Tcp(TcpStream::from_std(socket)?),
                Socket::Unix(socket) => Io::Unix(UnixStream::from_std(socket)?),
            },
            authorities: Authorities::new(),
            outgoing: Vec::new(),
            sent: 0,
            preface: Some((0, Box::pin(sleep(timeouts.preface)))),
            stranger: None,
            stall: None,
            write_timeout: timeouts.write,
            cut: Box::pin(cut.cancelled_owned()),
            _slot: slot,
        }))))
    }

    /// Sends what was written. The task is woken when the peer takes more of it.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }

    /// What the peer speaks, where that isn't HTTP/2.
    pub(super) fn stranger(&self) -> Option<Protocol> {
        self.0.lock().stranger
    }

    /// Sends this in place of what HTTP/2 wrote, and closes the connection when
    /// the peer has had the time to read it.
    pub(super) async fn part_with(mut self, answer: &[u8]) {
        {
            let mut inner = self.0.lock();
            inner.outgoing.clear();
            // From here on it is sent and read as it comes.
            inner.preface = None;
            inner.stranger = None;
        }
        let parting = async {
            self.write_all(answer).await?;
            self.shutdown().await?;
            let mut ignored = (&mut self).take(LINGER_BYTES as u64);
            tokio::io::copy(&mut ignored, &mut tokio::io::sink()).await
        };
        // It ends with the connection either way.
        let _ = timeout(LINGER, parting).await;
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
                Poll::Ready(Ok(sent)) => self.sent += sent,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stall(cx),
            }
            self.stall = None;
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

    /// Whether to end instead of waiting for the peer, which `timeout` bounds.
    ///
    /// Asked only when there's nothing to do, so that a busy connection pays
    /// nothing for it; the task is woken when the answer changes.
    fn poll_end(
        cut: &mut Pin<Box<WaitForCancellationFutureOwned>>,
        timeout: Option<&mut Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(ErrorKind::ConnectionAborted.into());
        }
        match timeout {
            Some(timeout) => timeout
                .as_mut()
                .poll(cx)
                .map(|()| ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }

    /// The peer takes nothing. While that is so, nothing is read, so this has to
    /// notice the end as well.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timeout = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(timeout)));
        Self::poll_end(&mut self.cut, Some(stall), cx).map(Err)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let io = &mut self.io;
        let receive = |cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>| match io {
            Io::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Unix(io) => Pin::new(io).poll_read(cx, buffer),
        };
        let polled = self.authorities.poll_read(cx, buffer, receive);
        if polled.is_pending() {
            let timeout = self.preface.as_mut().map(|(_, timeout)| timeout);
            return Self::poll_end(&mut self.cut, timeout, cx).map(Err);
        }
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

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.lock().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
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

    /// Whoever lets the connection run sends what was written, once for all of
    /// it.
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
